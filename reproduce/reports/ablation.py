"""NARM against variants of itself: the paper's Tables 4 and 2, and the details in which published NARMs differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean

from reproduce.errors import UsageError
from reproduce.evaluation import comparisons
from reproduce.evaluation.comparisons import Pair
from reproduce.evaluation.uncertainty import ALPHA, OneRun
from reproduce.evaluation.verdicts import MARGIN, Verdict, equivalent
from reproduce.paper import numbers
from reproduce.paper.rows import Row
from reproduce.paper.variants import PAPERS, VARIANTS
from reproduce.reports import Page, cutoff_table, figures, measuring
from reproduce.reports import page as pages
from reproduce.reports.comparison import TOO_FEW, few_seeds
from reproduce.reports.document import Block, Bullets, Cell, Document, Figure, Folded, Number, Section, Table, signed
from reproduce.reports.figures import Dot, DotPanel, Dots
from reproduce.reports.measuring import METRICS, Seeds
from reproduce.reports.records import Records, papers_task
from reproduce.runs.record import Result
from reproduce.runs.request import Request, set_fields

HYBRID = "hybrid"  # the variant that is NARM itself
OURS = Dots("ours, 95 % interval", figures.DARK)
UNJUDGED = Dots("not judged: interval over test sessions only", figures.GREY, hollow=True)
PAPER = Dots("paper", figures.MID, "D", hollow=True)
MARKS = (
    "**Bold**: better or worse than NARM beyond noise. **≈**: not distinguishable from NARM. "
    f"{TOO_FEW} Intervals are over test sessions and seeds and hold for all variants of a panel (Dunnett)."
)


def rows(request: Request) -> list[Row]:
    wrong = set(request.settings) - {"narm"}
    if wrong:
        raise UsageError(f"--set {sorted(wrong)[0]}.…: {sorted(wrong)[0]} is not among the models of this command")
    return [_row(request, name) for name in _requested(request)]


def draw(request: Request, failed: Mapping[str, str]) -> Document:
    records = Records.of_request(request)
    datasets = pages.shown_datasets(request, records)
    sections = [_Section(request, records, name, failed) for name in datasets]
    shown = [section for section in sections if section.effects or section.reasons or section.variants_run()]
    others = [section.title for section in sections if section not in shown]
    parts: list[Block] = [f"Set for every variant: {', '.join(_given(request))}."] if _given(request) else []
    parts += [figure] if (figure := _figure([section for section in shown if section.effects])) else []
    parts += [MARKS] if any(section.effects for section in shown) else []
    parts += [section.section() for section in shown]
    if others:
        parts.append(f"No variant is run on {pages.listed(others)}.")
    if not shown:
        asked = [name for name in request.datasets if name in datasets] or datasets
        options = {"dataset": asked[0]} if asked else {}
        parts.append(f"No variant has a record yet: {_command(request, **options)}")
    title = "Ablation: what NARM's parts are worth"
    return Document(
        title + (", on a synthetic log" if datasets == ["synthetic"] else ""),
        [line for section in shown for line in section.answer()],
        "A variant less NARM, in points. These are the paper's Tables 4 and 2.",
        parts,
        pages.foot("ablation", request),
        pages.data(records),
        shown=[name for name in dict.fromkeys(request.datasets) if name in datasets],
    )


PAGE = Page(draw, rows)


def _requested(request: Request) -> Sequence[str]:
    return request.options.get("variant") or PAPERS


def _row(request: Request, name: str) -> Row:
    """Return the row of a variant, with the fields that --set gives to all variants."""
    return set_fields(Row(name, "narm", VARIANTS[name].fields), request.settings.get("narm", {}))


def _given(request: Request) -> list[str]:
    """Return the settings of all variants, as on the command line."""
    return [f"narm.{key}={value}" for key, value in request.settings.get("narm", {}).items()]


def _command(request: Request, **options: str) -> str:
    given = {"set": " ".join(_given(request))} if _given(request) else {}
    return pages.command("ablation", request, **options, **given)


class _Section:
    """The variants on one data set."""

    def __init__(self, request: Request, records: Records, dataset: str, failed: Mapping[str, str]) -> None:
        self.request, self.dataset, self.title = request, dataset, pages.title_of(dataset)
        rows = {name: _row(request, name) for name in VARIANTS}
        self.found = {name: records.results(row, dataset) for name, row in rows.items()}
        self.reasons = {
            name: why for name, row in rows.items() if (why := pages.failure(request, row, dataset, failed))
        }
        self.remarks = records.remarks(dataset)
        same = {name: runs for name, runs in self.found.items() if runs}
        self.seeds = Seeds.of(records, same[HYBRID][0]) if HYBRID in same else Seeds(())
        self.effects: dict[str, dict[str, measuring.Effect]] = {}  # metric -> variant -> variant less NARM
        if HYBRID in same and len(same) > 1:
            for metric in METRICS:
                self.effects[metric] = comparisons.against(measuring.measured(same, metric, self.seeds), HYBRID)
        self.theirs = self._differences_in_the_paper()

    @property
    def results(self) -> list[Result]:
        return [run for runs in self.found.values() for run in runs]

    def _differences_in_the_paper(self) -> dict[str, dict[str, float]]:
        """Return variant less NARM in the paper's numbers, by variant and metric; {} where they are of another task."""
        if not papers_task(self.dataset, self.results):
            return {}
        scores = {name: one.published.get(numbers.PAPER_COLUMN[self.dataset]) for name, one in VARIANTS.items()}
        full = scores.pop(HYBRID)
        return {
            name: {metric: getattr(one, metric) - getattr(full, metric) for metric in METRICS}
            for name, one in scores.items()
            if one and full
        }

    def variants(self) -> list[str]:
        """Return the variants to show: those with a record, failed, or in the paper."""
        known = [name for name in VARIANTS if self.found[name] or name in self.reasons or name in self.theirs]
        return [name for name in known if name != HYBRID]

    def variants_run(self) -> bool:
        """Return whether anything but NARM itself has a record."""
        return any(runs for name, runs in self.found.items() if name != HYBRID)

    def answer(self) -> list[str]:
        """Return a bullet: which variants differ, and how far the differences are from the paper's."""
        if not self.effects:
            return []
        differ, alike, unjudged = [], [], False
        gaps = []
        for metric, effects in self.effects.items():
            for name, effect in effects.items():
                word = verdict(effect)
                if word in ("better", "worse") and isinstance(effect, Pair):
                    interval = f"{signed(effect.low, 1)} to {signed(effect.high, 1)}"
                    differ.append(f"{name} {METRICS[metric]} {signed(effect.value, 1)} ({interval})")
                elif word == Verdict.ONE_RUN.value:
                    unjudged = True
                else:
                    alike.append(f"{name} {METRICS[metric]}")
                if name in self.theirs:
                    gaps.append(abs(effect.value - self.theirs[name][metric]))
        words = [f"**{self.title}.**"]
        if gaps:
            words.append(f"All {len(gaps)} differences of ours lie within {max(gaps):.2f} points of the paper's.")
        if differ:
            words.append(f"Beyond noise: {'; '.join(differ)}.")
        if alike:
            words.append(f"{len(alike)} of {len(alike) + len(differ)} are not distinguishable from 0.")
        if unjudged:
            words.append("Single runs are not judged: how far another seed moves them is not known.")
        return [" ".join(words)]

    def section(self) -> Section:
        parts: list[Block] = []
        hybrid = self.found[HYBRID]
        if hybrid:
            scores = " / ".join(f"{mean(getattr(run, metric)() for run in hybrid):.2f}" for metric in METRICS)
            runs = "one run" if len(hybrid) == 1 else f"{len(hybrid)} runs"
            parts.append(f"NARM: {scores}, {runs}.")
        names = self.variants()
        if names:
            parts.append(self._table(names))
        if self.results and (measures := self.request.options.get("metric")):
            parts += cutoff_table.blocks(self.found, measures, self.seeds)
        if names:
            meanings = Bullets([f"{name}: {VARIANTS[name].meaning}" for name in names])
            parts.append(Folded("What each variant changes", [meanings]))
        failures = [f"{name} failed: {why}" for name, why in self.reasons.items()]
        missing = [name for name in VARIANTS if not self.found[name] and name not in self.reasons]
        notes = [*failures, *self.remarks]
        if missing:
            notes.append(f"Not run: {', '.join(missing)}. {self._command(missing[:1])} runs the first.")
        return Section(self.title, [*parts, Bullets(notes)] if notes else parts, self.dataset)

    def _command(self, names: Sequence[str]) -> str:
        return _command(self.request, variant=" ".join(names), dataset=self.dataset)

    def _table(self, names: Sequence[str]) -> Table:
        rows: list[list[Cell]] = []
        for name in names:
            row: list[Cell] = [name]
            for metric in METRICS:
                theirs = self.theirs.get(name, {}).get(metric)
                row += [self._cell(name, metric), None if theirs is None else Number(theirs, signed=True)]
            rows.append(row)
        head = ["variant"] + [word for title in METRICS.values() for word in (f"{title} less NARM's", "paper")]
        if not self.theirs:
            head, rows = [head[0], *head[1::2]], [[row[0], *row[1::2]] for row in rows]
        return Table(_distinct(head), rows, "Variants less NARM, points")

    def _cell(self, name: str, metric: str) -> Cell:
        effect = self.effects.get(metric, {}).get(name)
        if effect is None:
            results = self.found[name]
            if name in self.reasons and not results:
                return "failed"
            return f"{mean(getattr(run, metric)() for run in results):.2f}, not compared" if results else "not run"
        notes = few_seeds(self.found[name])
        word = verdict(effect)
        mark = "bold" if word in ("better", "worse") else "" if isinstance(effect, OneRun) else "close"
        return Number(effect.value, interval=measuring.ends(effect), signed=True, mark=mark, notes=notes)  # type: ignore[arg-type]


def _distinct(head: Sequence[str]) -> list[str]:
    """Tell the two columns of the paper apart: a table of the same names could not be exported."""
    return [
        f"paper: {METRICS['mrr']}" if word == "paper" and i > 2 else "paper: Recall@20" if word == "paper" else word
        for i, word in enumerate(head)
    ]


def verdict(effect: measuring.Effect) -> str:
    """Return the verdict that a paired difference allows, in the words of the page."""
    if isinstance(effect, OneRun):
        return Verdict.ONE_RUN.value
    if effect.p < ALPHA:
        return "better" if effect.value > 0 else "worse"
    return (Verdict.NEGLIGIBLE if equivalent(effect.alone) else Verdict.UNDECIDED).value


def _figure(sections: Sequence[_Section]) -> Figure | None:
    """Draw the variants of all data sets in one figure, a line of panels for each."""
    if not sections:
        return None
    labels, panels = [], []
    for section in sections:
        names = section.variants()
        labels.append(names)
        line = []
        for metric, title in METRICS.items():
            dots, missing = [], {}
            for i, name in enumerate(names):
                effect = section.effects[metric].get(name)
                theirs = section.theirs.get(name, {}).get(metric)
                if effect is not None:
                    dots.append(
                        Dot(i, effect.value, UNJUDGED if isinstance(effect, OneRun) else OURS, measuring.ends(effect))
                    )
                else:
                    missing[i] = "not run"
                if theirs is not None:
                    dots.append(Dot(i, theirs, PAPER, offset=0.24 if effect is not None else 0.0))
            ends = [end for dot in dots for end in (*(dot.interval or ()), dot.value) if math.isfinite(end)]
            span = min([*ends, -1.0]) - 0.3, max([*ends, 1.0]) + 0.3
            below = "points below (−) or above (+) NARM" if section is sections[-1] else ""
            line.append(DotPanel(f"{section.title}: {title}", dots, span, missing, label=below))
        panels.append(line)
    caption = (
        "Each variant less NARM, with a 95 % interval that holds for all variants of a panel; grey: within "
        "half a point."
    )
    files = figures.dots("ablation", labels, panels, band=MARGIN, key=f"within {MARGIN}")
    return Figure("ablation", "Each variant less NARM, ours and the paper's", caption, files)
