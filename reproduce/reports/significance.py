"""Which recommenders differ from NARM by more than noise: every row less NARM on the same test prefixes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from reproduce.evaluation import comparisons
from reproduce.evaluation.comparisons import Pair
from reproduce.evaluation.uncertainty import ALPHA, Estimate, Measurement, OneRun
from reproduce.paper import controls
from reproduce.paper.counting import Counting
from reproduce.paper.rows import ROWS
from reproduce.reports import Page, figures, measuring
from reproduce.reports import page as pages
from reproduce.reports.comparison import FULL_DECODER, TOO_FEW, few_seeds
from reproduce.reports.document import Block, Bullets, Cell, Document, Figure, Folded, Number, Section, Table, signed
from reproduce.reports.figures import Dot, DotPanel, Dots
from reproduce.reports.measuring import METRICS, Effect, Seeds, View, ends
from reproduce.reports.records import Records
from reproduce.runs.record import Result
from reproduce.runs.request import Request

NARM = "NARM"
FEW = 10  # ours: sessions; if fewer carry half of a variance, other sessions might change the verdict
MOST = 12.0  # points: the figure shows what is farther than this from the reference at its edge
Kind = Literal["ahead", "behind", "undecided", "not judged"]
LOOK: Mapping[Kind, Dots] = {
    "ahead": Dots("ahead", figures.MID),
    "behind": Dots("behind", figures.DARK),
    "undecided": Dots("undecided", figures.INK, hollow=True),
    "not judged": Dots("not judged: interval over test sessions only", figures.GREY, hollow=True),
}
METHOD = (
    "Intervals count the noise between test sessions and between seeds, and hold for all rows of a panel together "
    "(Dunnett). Rows with searched settings are not compared: budgets differed. All pairs, with wider intervals that "
    "hold for all of them: [pairs.csv](pairs.csv)."
)


def draw(request: Request, failed: Mapping[str, str]) -> Document:
    records = Records.of_request(request)
    shown = [name for name in pages.viewed_datasets(request, records) if records.of(name)]
    compared = [_Compared(request, records, name) for name in shown]
    sections: list[Block] = [one.section() for one in compared] or [pages.no_records(request)]
    pairs = [row for one in compared for row in one.pairs()]
    answer = [line for line in (_answer(kind, compared) for kind in ("ahead", "undecided", "behind")) if line]
    unjudged = [one.title for one in compared if one.kinds("not judged")]
    if unjudged:
        answer.append(
            f"**Not judged**, at least in part: {pages.listed(unjudged)}. How far another seed moves is unknown."
        )
    return Document(
        "Which models differ from NARM?",
        answer,
        "Each model less NARM, on the same test prefixes, in points. A 95 % interval that leaves out 0 is a "
        f"difference. {View.of(request.options).told}".rstrip(),
        [
            f"**Bold**: better than NARM. **≈**: not distinguishable from it. Unmarked: worse. {TOO_FEW}",
            *sections,
            Folded("Method", [METHOD]),
        ],
        pages.foot("significance", request, "All pairs: [pairs.csv](pairs.csv)."),
        pages.data(records, {"pairs.csv": Table(PAIRS, pairs)}),
    )


PAGE = Page(draw)
PAIRS = (
    "data set", "metric", "first", "second", "difference", "judged", "p", "sessions with half of the noise",
)  # fmt: skip


def recorded(request: Request, records: Records, dataset: str) -> dict[str, list[Result]]:
    """Return the records of all rows of a data set by label, without rows whose settings a search found."""
    wanted = [*ROWS, FULL_DECODER, *(row.at(dataset) for row in controls.ROWS), *records.others(dataset)]
    found = {row.label: records.results(row, dataset) for row in request.rows(wanted)}
    return {label: results for label, results in found.items() if results}


class _Compared:
    """The rows of one data set, each less a reference row: NARM, or the highest row where NARM has no record."""

    def __init__(self, request: Request, records: Records, dataset: str) -> None:
        self.dataset, self.title = dataset, pages.title_of(dataset)
        self.found, self.remarks = recorded(request, records, dataset), records.remarks(dataset)
        self.remarks += pages.outside_notes([run for runs in self.found.values() for run in runs])
        self.seeds = Seeds.of(records, next(iter(self.found.values()))[0]) if self.found else Seeds(())
        self.view = View.of(request.options)
        where, rule = self.view.where, self.view.rule
        self.rows = {metric: measuring.measured(self.found, metric, self.seeds, where, rule) for metric in METRICS}
        recall = self.rows["recall"]
        self.reference = NARM if NARM in recall else max(recall, key=lambda label: recall[label].value, default="")
        self.effects: dict[str, Mapping[str, Effect]] = {
            metric: comparisons.against(rows, self.reference) if len(rows) > 1 else {}
            for metric, rows in self.rows.items()
        }

    def kinds(self, kind: Kind) -> list[tuple[str, str, Effect]]:
        """Return label, metric and effect of the comparisons with one verdict."""
        return [
            (label, metric, effect)
            for metric, effects in self.effects.items()
            for label, effect in effects.items()
            if kind_of(effect) == kind
        ]

    def section(self) -> Section:
        if not self.effects["recall"]:
            return Section(self.title, ["Fewer than two rows have records.", *self.remarks], self.dataset)
        parts: list[Block] = []
        if self.reference != NARM:
            parts.append(f"NARM has no record here; the reference is {self.reference}, the highest row.")
        few = min(
            (estimate(effect).half for effects in self.effects.values() for effect in effects.values()), default=FEW
        )
        if 0 < few < FEW:
            parts.append(f"Half of the noise of a difference comes from as few as {few} test sessions (pairs.csv).")
        parts += [self._figure(), Folded("The same in numbers", [self._table()], on_terminal=True)]
        return Section(
            self.title,
            [*parts, *self._moved_by_ties(), *([Bullets(self.remarks)] if self.remarks else [])],
            self.dataset,
        )

    def _ordered(self) -> list[str]:
        return sorted(self.effects["recall"], key=lambda label: -self.effects["recall"][label].value)

    def _table(self) -> Table:
        head = ["model", "runs", *(f"{title} less {self.reference}'s" for title in METRICS.values())]
        rows: list[list[Cell]] = []
        for label in self._ordered():
            cells = [_cell(effects[label]) for effects in self.effects.values()]
            runs = self.found[label]
            rows.append([label, f"{len(runs)} {few_seeds(runs)}".rstrip(), *cells])
        return Table(head, rows, f"differences from {self.reference}, points, with 95 % intervals")

    def _figure(self) -> Figure:
        labels = self._ordered()
        panels = []
        for metric, title in METRICS.items():
            effects = self.effects[metric]
            dots = [
                Dot(i, effects[label].value, LOOK[kind_of(effects[label])], ends(effects[label]))
                for i, label in enumerate(labels)
            ]
            shown = [dot for dot in dots if abs(dot.value) < MOST]
            reach = [end for dot in shown for end in (*(dot.interval or ()), dot.value) if math.isfinite(end)]
            span = max(min([*reach, -1.0]), -MOST) - 0.5, min(max([*reach, 1.0]), MOST) + 0.5
            below = f"points behind (−) or ahead of (+) {self.reference}"
            panels.append(DotPanel(title, dots, span, values=True, label=below))
        caption = (
            f"Each model less {self.reference}; 95 % intervals that hold for all rows of a panel. Triangles: "
            "off the scale."
        )
        name = f"significance-{self.dataset}"
        return Figure(
            name, f"{self.title}: each model less {self.reference}", caption, figures.dots(name, [labels], [panels])
        )

    def _moved_by_ties(self) -> list[str]:
        """Name the comparisons whose verdict changes with tied items in random order."""
        moved = []
        for metric, effects in self.effects.items():
            rule = Counting(ties="at random")
            rows = measuring.measured(self.found, metric, self.seeds, self.view.where, rule)
            if all(abs(rows[label].value - one.value) < 0.005 for label, one in self.rows[metric].items()):
                continue
            for label, other in comparisons.against(rows, self.reference).items():
                if kind_of(other) != kind_of(effects[label]):
                    moved.append(f"{label} in {METRICS[metric]} ({signed(other.value)}, {kind_of(other)})")
        return [f"With ties in random order judged otherwise: {'; '.join(moved)}."] if moved else []

    def pairs(self) -> list[list[Cell]]:
        """Return a row of pairs.csv for every pair of rows, the better one first."""
        lines: list[list[Cell]] = []
        for metric, title in METRICS.items():
            rows: dict[str, Measurement] = dict(sorted(self.rows[metric].items(), key=lambda row: -row[1].value))
            for (better, worse), one in comparisons.pairwise(rows).items():
                interval = ends(one) if isinstance(one, Pair) else None
                p = Number(one.p, places=6) if isinstance(one, Pair) else None
                judged = "yes" if isinstance(one, Pair) else "no"
                half = str(estimate(one).half)
                lines.append(
                    [self.dataset, title, better, worse, Number(one.value, interval=interval), judged, p, half]
                )
        return lines


def kind_of(effect: Effect) -> Kind:
    if isinstance(effect, OneRun):
        return "not judged"
    return "undecided" if effect.p >= ALPHA else "ahead" if effect.value > 0 else "behind"


def estimate(effect: Effect) -> Estimate:
    """Return the effect judged without regard to other comparisons."""
    return effect.alone if isinstance(effect, Pair) else effect.these_runs


def _cell(effect: Effect) -> Number:
    mark: Mapping[Kind, Literal["", "bold", "close"]] = {"ahead": "bold", "undecided": "close"}
    return Number(effect.value, interval=ends(effect), signed=True, mark=mark.get(kind_of(effect), ""))


def _answer(kind: Kind, compared: list[_Compared]) -> str:
    """Return a bullet on the comparisons with one verdict, data set by data set."""
    words = []
    for one in compared:
        cases = one.kinds(kind)
        if not cases:
            continue
        if kind == "ahead":
            told = [
                f"{label} in {METRICS[metric]}, {signed(e.value, 1)} ({signed(low, 1)} to {signed(high, 1)})"
                for label, metric, e in cases
                for low, high in [ends(e)]
            ]
            words.append(f"on {one.title}, {pages.listed(told)}")
        elif kind == "undecided":
            labels: dict[str, list[str]] = {}
            for label, metric, _ in cases:
                labels.setdefault(label, []).append(METRICS[metric])
            told = [
                label if len(metrics) == len(METRICS) else f"{label} in {metrics[0]}"
                for label, metrics in labels.items()
            ]
            words.append(f"on {one.title}, {pages.listed(told)}")
        else:
            words.append(
                f"{len(cases)} of {sum(len(effects) for effects in one.effects.values())} comparisons on {one.title}"
            )
    heads: Mapping[Kind, str] = {
        "ahead": "Better than NARM",
        "undecided": "Not distinguishable from NARM",
        "behind": "Worse",
    }
    return f"**{heads[kind]}:** {'; '.join(words)}." if words else ""
