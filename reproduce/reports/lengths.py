"""Recall, MRR and hits by the length of the prefix (the paper's Table 5), from stored ranks: no model is run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from statistics import mean

import numpy as np

from reproduce.evaluation import metrics, uncertainty
from reproduce.evaluation.uncertainty import Judged, Measurement, OneRun
from reproduce.paper import numbers
from reproduce.reports import figures, measuring, renderers
from reproduce.reports.document import Block, Cell, Document, Figure, Number, Section, Table
from reproduce.reports.figures import Dot, DotPanel, Dots
from reproduce.reports.measuring import METRICS, View, Where
from reproduce.reports.study import KNOWN, NARM, Compared, Page, Study, difference, number
from reproduce.runs.record import Result

IMPROVED = "Improved GRU-Rec"
LONGEST = 19  # clicks in the paper's longest prefixes
NO_END = np.iinfo(np.int64).max
OVER, UP_TO = ">19", "up to 19"
TICKS = {
    "1": (1, 1), "2": (2, 2), "3": (3, 3), "4–5": (4, 5), "6–9": (6, 9), "10–19": (10, 19), OVER: (20, NO_END),
}  # fmt: skip
SPANS = {**TICKS, UP_TO: (1, LONGEST), "all": (1, NO_END)}
TABLE5 = {"1–3": (1, 3), "4–17": (4, 17), "18–19": (18, 19)}  # the ranges that the paper compares
ALL = {**{str(n): (n, n) for n in range(1, LONGEST + 1)}, **SPANS, **TABLE5}
DRAWN = (NARM, IMPROVED, "V-SKNN", "GRU-Rec", "Item-KNN")  # rows that are drawn first
LINES = 5  # in the left panel: more could not be told apart


def draw(study: Study) -> Document:
    sections = [_Section(study, name) for name in study.viewed]
    return Document(
        "Table 5: short prefixes and long ones",
        [line for section in sections[:4] if (line := section.answer())],
        "Recall@20 after so many clicks, in per cent of the test prefixes of that length. NARM and Improved GRU-Rec "
        f"read the first {LONGEST} clicks of a prefix. Intervals are 95 %, over test sessions and, where known, seeds.",
        [section.section() for section in sections],
        foot="Every model and length, with MRR@20 and hits: [lengths.csv](lengths.csv).",
        data={"lengths.csv": renderers.csv([line for section in sections for line in section.csv()])},
    )


PAGE = Page(draw)


def of_lengths(low: int, high: int) -> Where:
    """Return the test prefixes of low to high clicks."""
    return lambda result: (low <= result.length) & (result.length <= high)


class _Section(Compared):
    """The rows of one data set, measured by the length of the prefix."""

    def __init__(self, study: Study, dataset: str) -> None:
        super().__init__(study, dataset, study.rows(dataset))
        recall = {label: mean(run.recall() for run in runs) for label, runs in self.rows.items()}
        ranked = sorted(recall, key=lambda label: -recall[label])
        suites = {row.model for row in KNOWN}
        others = [row.label for row in study.wanted(dataset) if row.model not in suites]

        def first(*wanted: str) -> list[str]:
            return [label for label in dict.fromkeys([*wanted, *ranked]) if label in self.rows]

        self.drawn = first(self.reference, *others, *DRAWN)[:LINES]
        self.rivals = [label for label in first(*others, IMPROVED, "V-SKNN") if label != self.reference][:2]

    @cached_property
    def by_length(self) -> dict[str, dict[str, dict[str, Measurement]]]:
        """The spans with test prefixes: span -> metric -> label -> measurement."""
        return {
            name: {metric: self.measure(metric, of_lengths(*span)) for metric in METRICS}
            for name, span in ALL.items()
            if self.prefixes(*span)
        }

    def prefixes(self, low: int, high: int) -> int:
        """Return the number of test prefixes of low to high clicks."""
        return int(self._in(self.results[0], low, high).sum()) if self.results else 0

    def hits(self, label: str, low: int, high: int) -> float:
        """Return the number of targets among the first 20 after low to high clicks, a mean over seeds."""
        rule = self.study.view.rule
        hit = [
            metrics.RECALL.values(run.greater, run.equal, rule)[self._in(run, low, high)] for run in self.rows[label]
        ]
        return sum(float(values.sum()) for values in hit) / len(hit)

    def _in(self, run: Result, low: int, high: int) -> np.ndarray:
        """Return which test prefixes of the view have low to high clicks."""
        return of_lengths(low, high)(run) & self.study.view.where(run)

    def against(self, rival: str, span: str, places: int = 2) -> Number | None:
        """Return the reference less another row in Recall@20 on the prefixes of a span; None where there are none."""
        effect = self._effect(rival, span)
        return None if effect is None else difference(measuring.estimate(effect), places)

    def _effect(self, rival: str, span: str) -> Judged | None:
        rows = self.by_length[span]["recall"] if span in self.by_length else {}
        return uncertainty.difference(rows[self.reference], rows[rival]) if rows else None

    def answer(self) -> str:
        """Say how the reference stands to its rivals on prefixes of up to 19 clicks and on longer ones."""
        words = []
        for rival in self.rivals:
            short, longer = (self.against(rival, span, 1) for span in (UP_TO, OVER))
            if short is not None:
                text = f"{short.text} against {rival} on prefixes of up to {LONGEST} clicks"
                words.append(text + (f", {longer.text} on longer ones" if longer is not None else ""))
        return f"**{self.title}.** {self.reference}: {'; '.join(words)}." if words else ""

    def section(self) -> Section:
        if not self.rows:
            command = self.study.command("table2", self.dataset)
            return Section(self.title, [f"No record yet: {command} makes them."], self.dataset)
        parts: list[Block] = [self._figure(), self._table()]
        diginetica = (
            self.of_the_paper and self.study.view == View() and numbers.PAPER_COLUMN.get(self.dataset) == "DIGINETICA"
        )
        if diginetica and {NARM, IMPROVED} <= self.rows.keys():
            parts += ["The paper's Table 5, targets among the first 20 (ours, then the paper's):", self._table5()]
        if any(isinstance(self._effect(rival, "all"), OneRun) for rival in self.rivals):
            parts.append("Intervals are over test sessions only: no row has several seeds here.")
        return Section(self.title, parts, self.dataset)

    def _table(self) -> Table:
        lines = [
            {
                "clicks": span,
                "prefixes": self.prefixes(*ends),
                self.reference: number(self.by_length[span]["recall"][self.reference]),
                **{f"{self.reference} − {rival}": self.against(rival, span) for rival in self.rivals},
            }
            for span, ends in SPANS.items()
            if span in self.by_length
        ]
        return Table(lines, "Recall@20 by length of the prefix")

    def _table5(self) -> Table:
        """Compare hits and NARM's gain over Improved GRU-Rec, in per cent, with the paper's, in its three ranges."""
        lines: list[dict[str, Cell]] = []
        for name, (low, high) in TABLE5.items():
            if name in self.by_length:
                theirs = [sum(pair[i] for n, pair in numbers.TABLE5.items() if low <= n <= high) for i in (0, 1)]
                found = self.by_length[name]["recall"]
                line: dict[str, Cell] = {"clicks": name}
                for label, due in zip((IMPROVED, NARM), theirs, strict=True):
                    line[label] = f"{self.hits(label, low, high):,.0f}; {due:,}"
                gain = measuring.estimate(uncertainty.relative_gain(found[NARM], found[IMPROVED]))
                line["gain, per cent"] = None if math.isnan(gain.value) else difference(gain, 1)
                line["gain in the paper"] = Number(100 * (theirs[1] / theirs[0] - 1), places=1, signed=True)
                lines.append(line)
        return Table(lines, "The paper's Table 5")

    def _figure(self) -> Figure:
        spans = [span for span in TICKS if span in self.by_length]
        counts = [self.prefixes(*TICKS[span]) for span in spans]
        levels = [
            figures.Line(label, range(len(spans)), [self.by_length[span]["recall"][label].value for span in spans])
            for label in self.drawn
        ]
        dots = []
        for k, rival in enumerate(self.rivals):
            kind, offset = figures.look(rival), 0.36 * (k - (len(self.rivals) - 1) / 2)
            look = Dots(f"{self.reference} − {rival}", kind.colour, kind.marker)
            for i, span in enumerate(spans):
                if cell := self.against(rival, span):
                    dots.append(Dot(i, cell.value, look, cell.interval, offset))
        reach = max([3.0, *(1.1 * abs(dot.value) for dot in dots if spans[dot.row] != OVER)])
        panel = DotPanel("Differences in Recall@20, points", dots, reach=reach)  # what lies beyond is at the edge
        name = f"lengths-{self.dataset}"
        short = [f"{count / 1000:.0f}k" if count >= 1000 else str(count) for count in counts]
        files = figures.by_bin(name, levels, spans, short, panel, f"above 0: {self.reference} is better")
        caption = (
            f"Left: Recall@20 by length. Right: {self.reference} less others on the same prefixes, 95 % intervals."
        )
        return Figure(name, f"{self.title}: Recall@20 by length of the prefix", caption, files)

    def csv(self) -> Iterator[dict[str, object]]:
        """Yield the rows of lengths.csv: each length alone and spans, with 95 % intervals."""
        for label in self.rows:
            for name, found in self.by_length.items():
                line: dict[str, object] = {"data set": self.dataset, "model": label, "clicks": name}
                line |= {"prefixes": self.prefixes(*ALL[name]), "hits": self.hits(label, *ALL[name])}
                for metric, title in METRICS.items():
                    cell = number(found[metric][label])
                    half = cell.half or 0.0
                    line |= {title: cell.value, f"{title}: low": cell.value - half, f"{title}: high": cell.value + half}
                yield line
