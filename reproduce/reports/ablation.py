"""NARM against variants of itself: the paper's Tables 4 and 2, and the details in which published NARMs differ."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from reproduce.errors import UsageError
from reproduce.evaluation.verdicts import MARGIN
from reproduce.paper import numbers
from reproduce.paper.rows import Row
from reproduce.paper.variants import PAPERS, VARIANTS
from reproduce.reports import figures
from reproduce.reports.document import NOT_RUN, Block, Bullets, Cell, Document, Figure, Folded, Number, Section, Table
from reproduce.reports.figures import Dot, DotPanel, Dots
from reproduce.reports.measuring import METRICS
from reproduce.reports.study import TOO_FEW, UNFINISHED, Compared, Page, Study, difference, few_seeds, joined
from reproduce.runs.request import Request, set_fields

HYBRID = "hybrid"  # the variant that is NARM itself
PAPER = Dots("paper", figures.MID, "D", hollow=True)
MARKS = (
    "**Bold**: better or worse than NARM (the interval leaves out 0). **≈**: not distinguishable from NARM. "
    f"{TOO_FEW} **{UNFINISHED}**: still improving at the last epoch allowed. Intervals are over test sessions and "
    "seeds and hold for all variants of a panel (Dunnett)."
)


def rows(request: Request) -> list[Row]:
    if wrong := sorted(set(request.settings) - {"narm"}):
        raise UsageError(f"--set {wrong[0]}.…: {wrong[0]} is not among the models of this command")
    return [_row(request, name) for name in request.options.get("variant") or PAPERS]


def draw(study: Study) -> Document:
    sections = [_Section(study, name) for name in study.datasets]
    shown = [section for section in sections if section.rows.keys() - {HYBRID} or section.failed]
    asked = bool(study.request.options.get("metric"))
    # A single variant is a line.
    large = [section for section in shown if len(section.variants) > 1 or section.failed or asked]
    given = [f"narm.{key}={value}" for key, value in study.request.settings.get("narm", {}).items()]
    return Document(
        "Ablation: what NARM's parts are worth",
        [section.answer() if section in large else section.line() for section in shown if section.compared],
        "A variant less NARM, in points. These are the paper's Tables 4 and 2.",
        [
            f"Set for every variant: {', '.join(given)}." if given else "",
            _figure([section for section in large if section.compared]),
            MARKS if any(section.compared for section in large) else "",
            *(section.section() for section in large),
            *(section.line() for section in shown if not (section.compared or section in large)),
            _not_run(study, sections, shown),
        ],
    )


PAGE = Page(draw, rows)


def _row(request: Request, name: str) -> Row:
    """Return the row of a variant, with the fields that --set gives to all variants."""
    return set_fields(Row(name, "narm", VARIANTS[name].fields), request.settings.get("narm", {}))


def _not_run(study: Study, sections: Sequence[_Section], shown: Sequence[_Section]) -> str:
    if not shown:
        first = study.request.datasets[:1] or study.datasets[:1]
        return f"No variant has a record yet: {study.command('ablation', *first, settings=study.request.settings)}"
    others = [section.title for section in sections if section not in shown]
    return f"No variant is run on {joined(others)}." if others else ""


class _Section(Compared):
    """The variants on one data set."""

    def __init__(self, study: Study, dataset: str) -> None:
        variants = {name: _row(study.request, name) for name in VARIANTS}
        found = {name: study.records.results(row, dataset) for name, row in variants.items()}
        super().__init__(study, dataset, found, HYBRID)
        self.failed = [name for name, row in variants.items() if study.failed(row, dataset)]
        self.compared = HYBRID in self.rows and len(self.rows) > 1
        known = {*self.rows, *self.failed, *(name for name in VARIANTS if self.theirs(name, "recall") is not None)}
        self.variants = [name for name in VARIANTS if name in known and name != HYBRID]

    def theirs(self, name: str, metric: str) -> float | None:
        """Return variant less NARM in the paper's numbers; None where it has none or they are of another task."""
        column = numbers.PAPER_COLUMN[self.dataset] if self.of_the_paper else ""
        score, full = VARIANTS[name].published.get(column), VARIANTS[HYBRID].published.get(column)
        return getattr(score, metric) - getattr(full, metric) if score and full and name != HYBRID else None

    def answer(self) -> str:
        """Say which variants differ, and how far the differences are from the paper's."""
        differ = [*self.named("better"), *self.named("worse")]
        alike = len(self.judged("undecided"))
        gaps = [
            abs(effect.value - theirs)
            for metric, effects in self.effects.items()
            for name, effect in effects.items()
            if (theirs := self.theirs(name, metric)) is not None
        ]
        words = [f"**{self.title}.**"]
        if gaps:
            every = "Both" if len(gaps) == 2 else f"All {len(gaps)}"
            words.append(f"{every} differences of ours lie within {max(gaps):.2f} points of the paper's.")
        if differ:
            words.append(f"Distinguishable from NARM: {'; '.join(differ)}.")
        if alike:
            verb = "is" if alike == 1 else "are"
            words.append(f"{alike} of {alike + len(differ)} {verb} not distinguishable from 0.")
        if self.judged("not judged"):
            words.append("Single runs are not judged: how far another seed moves them is not known.")
        return " ".join(words)

    @property
    def _narm(self) -> str:
        runs = self.rows.get(HYBRID, [])
        scores = " / ".join(f"{mean(getattr(run, metric)() for run in runs):.2f}" for metric in METRICS if runs)
        return f"NARM: {scores}, {'one run' if len(runs) == 1 else f'{len(runs)} runs'}." if runs else ""

    def line(self) -> str:
        """Return what there is to say of a single variant."""
        (name,) = self.variants
        cells = {title: self._cell(name, metric) for metric, title in METRICS.items()}
        texts = [f"{title} {cell.text if isinstance(cell, Number) else cell}" for title, cell in cells.items()]
        few = ", provisional" if few_seeds(self.rows[name]) else ""
        return f"**{self.title}.** {name} ({VARIANTS[name].meaning}): {', '.join(texts)}{few}. {self._narm}"

    def section(self) -> Section:
        parts: list[Block] = [self._narm, self._table(), *self.other_measures()]
        meanings = [f"{name}: {VARIANTS[name].meaning}" for name in self.variants]
        parts.append(Folded("What each variant changes", [Bullets(meanings)]))
        if missing := [name for name in VARIANTS if name not in self.rows and name not in self.failed]:
            given = self.study.request.settings
            command = self.study.command("ablation", self.dataset, settings=given, variant=missing[:1])
            parts.append(f"Not run: {', '.join(missing)}. {command} runs the first.")
        return Section(self.title, parts, self.dataset)

    def _table(self) -> Table:
        lines: list[dict[str, Cell]] = []
        for name in self.variants:
            line: dict[str, Cell] = {"variant": name}
            for metric, title in METRICS.items():
                line[f"{title} less NARM's"] = self._cell(name, metric)
                theirs = self.theirs(name, metric)
                line[f"paper: {title}"] = None if theirs is None else Number(theirs, signed=True)
            lines.append(line)
        return Table(lines, "Variants less NARM, points")

    def _cell(self, name: str, metric: str) -> Cell:
        if name not in self.rows:
            return "failed" if name in self.failed else NOT_RUN
        if not self.compared:
            return f"{mean(getattr(run, metric)() for run in self.rows[name]):.2f}, not compared"
        notes = few_seeds(self.rows[name]) + UNFINISHED * any(run.unfinished for run in self.rows[name])
        return difference(self.effects[metric][name], bold=["better", "worse"], notes=notes)

    def panels(self) -> list[DotPanel]:
        """Return a panel for each metric: every variant less NARM, ours and the paper's."""
        panels = []
        for metric, title in METRICS.items():
            dots = figures.of_effects(self.effects[metric], self.variants)
            rows = dict(enumerate(self.variants))
            missing = {i: NOT_RUN for i, name in rows.items() if name not in self.effects[metric]}
            for i, name in rows.items():
                if (theirs := self.theirs(name, metric)) is not None:
                    dots.append(Dot(i, theirs, PAPER, offset=0.0 if i in missing else 0.24))
            panels.append(DotPanel(f"{self.title}: {title}", dots, missing, reach=100.0))
        return panels


def _figure(sections: Sequence[_Section]) -> Block:
    """Draw the variants of all data sets in one figure, a line of panels for each."""
    if not sections:
        return ""
    labels, panels = [section.variants for section in sections], [section.panels() for section in sections]
    files = figures.dots("ablation", labels, panels, label="points below (−) or above (+) NARM", band=MARGIN)
    caption = (
        "Each variant less NARM, with a 95 % interval that holds for all variants of a panel; grey: within half a "
        "point."
    )
    return Figure("ablation", "Each variant less NARM, ours and the paper's", caption, files)
