"""Recall, MRR and hits by the length of the prefix (the paper's Table 5), from stored ranks: no model is run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from statistics import mean

import numpy as np

from reproduce.evaluation import metrics
from reproduce.evaluation.uncertainty import Judged, Measurement, OneRun, difference, relative_gain
from reproduce.paper import controls, numbers
from reproduce.paper.rows import ROWS
from reproduce.reports import Page, figures, measuring
from reproduce.reports import page as pages
from reproduce.reports.document import Block, Bullets, Cell, Document, Figure, Number, Section, Table, signed
from reproduce.reports.measuring import METRICS, Seeds, View
from reproduce.reports.records import Records, papers_task
from reproduce.runs.record import Result
from reproduce.runs.request import Request

NARM, IMPROVED = "NARM", "Improved GRU-Rec"
LONGEST = 19  # clicks in the paper's longest prefixes
NO_END = np.iinfo(np.int64).max
OVER, UP_TO = ">19", "up to 19"
TICKS = {
    "1": (1, 1), "2": (2, 2), "3": (3, 3), "4–5": (4, 5), "6–9": (6, 9), "10–19": (10, 19), OVER: (20, NO_END),
}  # fmt: skip
SPANS = {**TICKS, UP_TO: (1, LONGEST), "all": (1, NO_END)}
TABLE5 = {"1–3": (1, 3), "4–17": (4, 17), "18–19": (18, 19)}  # the ranges that the paper compares
DRAWN = (NARM, IMPROVED, "V-SKNN", "GRU-Rec", "Item-KNN")  # rows that are drawn first
LINES = 5  # in the left panel: more could not be told apart
RIVALS = (IMPROVED, "V-SKNN")  # rows that the reference is compared with first

Rows = Mapping[str, Sequence[Result]]  # label -> its records, a seed each, all of one split
CSV = ("data set", "model", "clicks", "prefixes", "hits", "Recall@20", "MRR@20")


def draw(request: Request, failed: Mapping[str, str]) -> Document:
    records = Records.of_request(request)
    sections = [_Section(request, records, name) for name in pages.viewed_datasets(request, records)]
    parts: list[Block] = [section.section() for section in sections] or [pages.no_records(request)]
    csv = [row for section in sections for row in section.csv()]
    return Document(
        "Table 5: short prefixes and long ones",
        [line for section in sections[:4] if (line := section.answer())],
        "Recall@20 after so many clicks, in per cent of the test prefixes of that length. NARM and Improved GRU-Rec "
        f"read the first {LONGEST} clicks of a prefix. Intervals are 95 %, over test sessions and, where known, seeds. "
        f"{View.of(request.options).told}".rstrip(),
        parts,
        pages.foot("lengths", request, "Every model and length, with MRR@20 and hits: [lengths.csv](lengths.csv)."),
        pages.data(records, {"lengths.csv": Table(CSV, csv)}),
    )


PAGE = Page(draw)


@lru_cache(maxsize=256)
def hits(result: Result) -> np.ndarray:
    """Count the targets ranked among the first 20; entry n has those after n clicks."""
    hit = metrics.RECALL.values(result.greater, result.equal) > 0
    return np.bincount(result.length[hit], minlength=int(result.length.max(initial=0)) + 1)


class _Section:
    """The rows of one data set, measured by the length of the prefix."""

    def __init__(self, request: Request, records: Records, dataset: str) -> None:
        self.request, self.dataset, self.title = request, dataset, pages.title_of(dataset)
        self.view = View.of(request.options)
        own = records.others(dataset)
        shown = request.rows([*ROWS, *controls.ROWS, *own])
        self.rows: Rows = {row.label: runs for row in shown if (runs := records.results(row, dataset))}
        self.remarks = records.remarks(dataset)
        self.remarks += pages.outside_notes([run for runs in self.rows.values() for run in runs])
        self.seeds = Seeds.of(records, next(iter(self.rows.values()))[0]) if self.rows else Seeds(())
        self.overall = {label: mean(run.recall() for run in runs) for label, runs in self.rows.items()}
        ranked = sorted(self.overall, key=lambda label: -self.overall[label])
        self.reference = NARM if NARM in self.rows else next(iter(ranked), "")
        first = [row.label for row in own if row.label in self.rows]
        order = [label for label in dict.fromkeys([self.reference, *first, *DRAWN, *ranked]) if label in self.rows]
        self.drawn = order[:LINES]
        rivals = [label for label in dict.fromkeys([*first, *RIVALS, *ranked]) if label in self.rows]
        self.rivals = [label for label in rivals if label != self.reference][:2]
        self.measured = {
            name: {metric: self._measure(metric, *span) for metric in METRICS}
            for name, span in {**SPANS, **TABLE5}.items()
            if self.where(*span).any()
        }

    def _measure(self, metric: str, low: int, high: int) -> dict[str, Measurement]:
        lengths, where = measuring.of_lengths(low, high), self.view.where
        chosen = lengths if where is None else lambda run: lengths(run) & where(run)
        return measuring.measured(self.rows, metric, self.seeds, chosen, self.view.rule)

    def where(self, low: int, high: int) -> np.ndarray:
        """Return which test prefixes have low to high clicks: (n,) bool."""
        length = next(iter(self.rows.values()))[0].length if self.rows else np.empty(0)
        return np.asarray((length >= low) & (length <= high))

    def against(self, rival: str, span: str) -> Judged | None:
        """Return the reference less another row in Recall@20 on the prefixes of a span; None where there are none."""
        if span not in self.measured:
            return None
        rows: dict[str, Measurement] = self.measured[span]["recall"]
        return difference(rows[self.reference], rows[rival])

    def answer(self) -> str:
        """Say how the reference stands to its rivals on prefixes of up to 19 clicks and on longer ones."""
        words = []
        for rival in self.rivals:
            short, longer = (self.against(rival, span) for span in (UP_TO, OVER))
            if short is not None:
                text = f"{_interval(short)} to {rival} on prefixes of up to {LONGEST} clicks"
                words.append(text + (f", {_interval(longer)} on longer ones" if longer is not None else ""))
        return f"**{self.title}.** {self.reference}: {'; '.join(words)}." if words else ""

    def section(self) -> Section:
        if not self.rows:
            command = pages.command("table2", self.request, dataset=self.dataset)
            return Section(self.title, [f"No record yet: {command} makes them.", *self.remarks], self.dataset)
        parts: list[Block] = [self._figure(), self._table()]
        if self._of_the_paper() and {NARM, IMPROVED} <= self.rows.keys():
            parts += ["The paper's Table 5, targets among the first 20 (ours, then the paper's):", self._table5()]
        if any(isinstance(self.against(rival, "all"), OneRun) for rival in self.rivals):
            parts.append("Intervals are over test sessions only: no row has several seeds here.")
        return Section(self.title, [*parts, Bullets(self.remarks)] if self.remarks else parts, self.dataset)

    def _of_the_paper(self) -> bool:
        runs = [run for some in self.rows.values() for run in some]
        return numbers.PAPER_COLUMN.get(self.dataset) == "DIGINETICA" and papers_task(self.dataset, runs)

    def _table(self) -> Table:
        rows: list[list[Cell]] = []
        for span in SPANS:
            if span in self.measured:
                level = _number(self.measured[span]["recall"][self.reference])
                effects = [_effect(self.against(rival, span)) for rival in self.rivals]
                rows.append([span, int(self.where(*SPANS[span]).sum()), level, *effects])
        head = ["clicks", "prefixes", self.reference, *(f"{self.reference} − {rival}" for rival in self.rivals)]
        return Table(head, rows, "Recall@20 by length of the prefix")

    def _table5(self) -> Table:
        """Compare hits and NARM's gain over Improved GRU-Rec, in per cent, with the paper's, in its three ranges."""
        rows: list[list[Cell]] = []
        for name, (low, high) in TABLE5.items():
            if name not in self.measured:
                continue
            theirs = [sum(pair[i] for n, pair in numbers.TABLE5.items() if low <= n <= high) for i in (0, 1)]
            found = self.measured[name]["recall"]
            gain = relative_gain(found[NARM], found[IMPROVED])
            ours = [_hits(self.rows[label], low, high) for label in (IMPROVED, NARM)]
            pairs = [f"{a:,.0f}; {b:,}" for a, b in zip(ours, theirs, strict=True)]
            rows.append(
                [name, *pairs, _effect(gain, 1), Number(100 * (theirs[1] / theirs[0] - 1), places=1, signed=True)]
            )
        return Table(["clicks", IMPROVED, NARM, "gain, per cent", "gain in the paper"], rows, "The paper's Table 5")

    def _figure(self) -> Figure:
        spans = [span for span in TICKS if span in self.measured]
        ticks = [f"{span}\n{_short(int(self.where(*TICKS[span]).sum()))}" for span in spans]
        lines = [
            figures.Line(label, range(len(spans)), [self.measured[s]["recall"][label].value for s in spans])
            for label in self.drawn
        ]
        differences = []
        for rival in self.rivals:
            effects = [e for span in spans if (e := self.against(rival, span)) is not None]
            differences.append(
                figures.Difference(
                    rival, [e.value for e in effects], [measuring.estimate(e).interval() for e in effects]
                )
            )
        name = f"lengths-{self.dataset}"
        caption = (
            f"Left: Recall@20 by length. Right: {self.reference} less others on the same prefixes, 95 % intervals."
        )
        files = figures.by_bin(name, ticks, lines, differences, self.reference)
        return Figure(name, f"{self.title}: Recall@20 by length of the prefix", caption, files)

    def csv(self) -> list[list[Cell]]:
        """Return the rows of lengths.csv: each length alone, and spans with 95 % intervals."""
        rows: list[list[Cell]] = []
        for label, runs in self.rows.items():
            longest = min(LONGEST, int(runs[0].length.max(initial=0)))
            for n in range(1, longest + 1):
                where = self.where(n, n)
                if where.any() and str(n) not in self.measured:
                    values = [
                        Number(mean(100 * float(one.values(run.greater, run.equal)[where].mean()) for run in runs))
                        for one in metrics.PAPERS.values()
                    ]
                    rows.append(self._line(label, str(n), (n, n), *values))
            for span, ends in {**SPANS, **TABLE5}.items():
                if span in self.measured:
                    rows.append(
                        self._line(label, span, ends, *(_number(self.measured[span][m][label]) for m in METRICS))
                    )
        return rows

    def _line(self, label: str, name: str, ends: tuple[int, int], *values: Number) -> list[Cell]:
        prefixes = str(int(self.where(*ends).sum()))
        return [self.dataset, label, name, prefixes, Number(_hits(self.rows[label], *ends)), *values]


def _hits(runs: Sequence[Result], low: int, high: int) -> float:
    """Return the number of targets among the first 20 after low to high clicks, a mean over seeds."""
    return sum(int(hits(run)[low : high + 1].sum()) for run in runs) / len(runs)


def _number(one: Measurement) -> Number:
    half = min(100.0, measuring.half_width(measuring.alone(one)))  # of two or three sessions it can exceed 100 %
    return Number(one.value, half=half)


def _effect(effect: Judged | None, places: int = 2) -> Number | None:
    if effect is None or math.isnan(effect.value):
        return None
    return Number(effect.value, interval=measuring.estimate(effect).interval(), places=places, signed=True)


def _interval(effect: Judged) -> str:
    low, high = measuring.estimate(effect).interval()
    return f"{signed(effect.value, 1)} ({signed(low, 1)} to {signed(high, 1)})"


def _short(count: int) -> str:
    return f"{count / 1000:.0f}k" if count >= 1000 else str(count)
