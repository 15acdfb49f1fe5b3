"""What a page is drawn from: a request, its records and view, and the rows of a data set, measured together."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from reproduce import catalog, reports
from reproduce.evaluation import comparisons, metrics
from reproduce.evaluation.metrics import Measure
from reproduce.evaluation.uncertainty import FEW, Estimate, Measurement
from reproduce.paper import later_baselines, numbers
from reproduce.paper.rows import ROWS, Row
from reproduce.reports import measuring, renderers
from reproduce.reports.document import Block, Bullets, Document, Number, Table
from reproduce.reports.measuring import METRICS, Effect, Kind, Seeds, View, Where
from reproduce.reports.records import Records, papers_task, reference, reference_folder
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import OUTSIDE, OutsideResult, Result
from reproduce.runs.request import Request, words

NARM = "NARM"
FULL_DECODER = Row("NARM, fully connected", "narm", {"decoder": "fully-connected"})
KNOWN = (*ROWS, FULL_DECODER, *later_baselines.ROWS)
FEW_SEEDS, UNFINISHED = "¹", "†"
TOO_FEW = f"**{FEW_SEEDS}**: fewer than {FEW} runs, so its verdicts are provisional."


def title_of(dataset: str) -> str:
    return catalog.dataset(dataset).title


def distinct(rows: Iterable[Row]) -> list[Row]:
    """Return the rows with a label each: where a user's own row is labelled as another, its origin is added."""
    models, found = {row.label: row.model for row in KNOWN}, []
    for row in rows:
        if models.setdefault(row.label, row.model) != row.model:
            row = replace(row, label=f"{row.label} ({'from outside' if row.model.startswith(OUTSIDE) else row.model})")
        found.append(row)
    return found


def no_rows(request: Request) -> list[Row]:
    """Return no rows: a page that is only a view runs nothing."""
    return []


@dataclass(frozen=True)
class Page:
    """A page, which a module in reports/ defines as PAGE."""

    make: Callable[[Study], Document]  # what is the page's own; `draw` adds what all pages have
    rows: Callable[[Request], list[Row]] = no_rows  # the rows that it runs
    reads_logs: bool = False  # it cannot be drawn from records alone

    @property
    def name(self) -> str:
        return self.make.__module__.rpartition(".")[2]

    @property
    def runs(self) -> bool:
        return self.rows is not no_rows

    def draw(self, request: Request) -> Document:
        """Draw the page."""
        study = Study(request)
        document, runs = self.make(study), study.records.runs()
        notes = [*(study.failures if self.runs else ()), *study.records.remarks(), *study.outside_notes()]
        if not (study.datasets if self.runs else any(map(study.records.of, study.viewed))) and not self.reads_logs:
            notes.append(f"No records yet: {study.command('table2')} makes some.")
        every_run = "Seeds, settings, device and commit of every run: [runs.csv](runs.csv)." if len(runs) else ""
        # From stored records, so that it draws this page and trains nothing.
        stored = {"stored": self.runs and self.name != reports.INDEX}
        options = {"settings": request.settings, **request.options, **stored}
        foot = [f"Made by {study.command(self.name, models=request.models, **options)}.", every_run, document.foot]
        return replace(
            document,
            title=document.title + (", on a synthetic log" if study.datasets == ["synthetic"] else ""),
            introduction=f"{document.introduction} {study.view.note}".strip(),
            parts=[*document.parts, Bullets(notes)],
            foot=" ".join(filter(None, foot)),
            data={**({"runs.csv": renderers.csv(runs)} if len(runs) else {}), **document.data},
            shown=[name for name in dict.fromkeys(request.datasets) if name in study.datasets],
        )


class Study:
    """What a page is drawn from: the request, the records of its folder, and the view of their ranks."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.records, self.view = Records.of_request(request), View.of(request.options)
        self.reference = reference(request.results)  # the project's own records; None if these are they

    @cached_property
    def datasets(self) -> list[str]:
        """The data sets with records or just asked for: the paper's in its order, then the others."""
        names = dict.fromkeys([*self.records.datasets(), *self.request.datasets])
        return sorted(names, key=lambda name: [*numbers.DATASETS, name].index(name))

    @property
    def viewed(self) -> list[str]:
        """The data sets that a page without runs shows: those asked for, or else all with records."""
        return list(dict.fromkeys(self.request.datasets)) or self.datasets

    def title(self, dataset: str) -> str:
        """Return the title of a data set, with its name where another data set here has the same title."""
        title = title_of(dataset)
        alone = [title_of(name) for name in self.datasets].count(title) < 2
        return title if alone else f"{title} ({dataset})"

    def wanted(self, dataset: str) -> list[Row]:
        """Return the rows to show, with records or without; none whose settings a search found."""
        return distinct(self.request.rows([*(row.at(dataset) for row in KNOWN), *self.records.others(dataset)]))

    def rows(self, dataset: str) -> dict[str, list[Result]]:
        """Return the records of every row that has some, by label."""
        found = {row.label: self.records.results(row, dataset) for row in self.wanted(dataset)}
        return {label: runs for label, runs in found.items() if runs}

    def compared(self, dataset: str) -> Compared:
        """Return the rows of a data set that have records, to be compared with NARM."""
        return Compared(self, dataset, self.rows(dataset))

    def from_reference(self, row: Row, dataset: str) -> list[Result]:
        """Return the project's own records of a row, where they are of the split that is shown here."""
        runs, digest = self.reference.results(row, dataset) if self.reference else [], self.records.digest(dataset)
        return [run for run in runs if digest in ("", run.split["digest"])]

    @property
    def failures(self) -> list[str]:
        return [f"{path.removeprefix('runs/')} failed: {why}" for path, why in self.request.failures.items()]

    def failed(self, row: Row, dataset: str) -> bool:
        """Return whether a run of a row failed."""
        if not self.request.failures or row.model not in catalog.recommenders():
            return False
        cells = (Experiment.of(dataset, row.model, row.at(dataset).fields, seed) for seed in self.request.seeds)
        return any(cell.path in self.request.failures for cell in cells)

    def outside_notes(self) -> list[str]:
        """Return a line for each row whose ranks come from another program."""
        files = {
            row.label: run.file
            for dataset in self.request.outside
            for row in self.wanted(dataset)
            for run in self.records.results(row, dataset)
            if isinstance(run, OutsideResult)
        }
        return [
            f"{label}: ranks from outside ({file}): how it was trained is not known here."
            for label, file in files.items()
        ]

    def command(self, page: str, *datasets: str, models: Sequence[str] = (), **options: Any) -> str:
        """Return the command that makes a page, as one would type it, in backquotes.

        Args:
            datasets: default: the log of one's own that the page is about, if it is about one.
            models: the models to run.
            options: the options of the page, and `settings` of models as in a request.
        """
        asked = self.request.datasets
        own = asked if len(asked) == 1 and asked[0] in catalog.current().data else ()
        settings = options.pop("settings", {})
        named = replace(self.request, datasets=datasets or own, models=models, settings=settings, options=options)
        line, folder = ["python", "-m", "reproduce", *words(page, named)], self.request.results
        if folder.resolve() == reference_folder():
            line += ["--results", "results"]
        elif folder != Path("results/local"):
            line += ["--results", str(folder)]
        return f"`{shlex.join(line)}`"


class Compared:
    """The rows of one data set, measured on the same test prefixes in one view, and each less a reference row."""

    def __init__(self, study: Study, dataset: str, rows: Mapping[str, Sequence[Result]], reference: str = NARM) -> None:
        self.study, self.dataset, self.title = study, dataset, study.title(dataset)
        self.rows = {label: list(runs) for label, runs in rows.items() if runs}
        self.results = [run for runs in self.rows.values() for run in runs]
        self.seeds = Seeds.of(study.records, self.results[0]) if self.results else Seeds({})
        self.of_the_paper = papers_task(dataset, self.results)
        self._wanted = reference

    def measure(self, metric: str | Measure, where: Where = measuring.every_prefix) -> dict[str, Measurement]:
        """Measure a metric of every row, in per cent, on all test prefixes of the view or on some of them."""
        view = self.study.view
        return measuring.measured(self.rows, metric, self.seeds, lambda run: where(run) & view.where(run), view.rule)

    @cached_property
    def measured(self) -> dict[str, dict[str, Measurement]]:
        """Recall@20 and MRR@20: "recall" or "mrr" -> label -> measurement."""
        return {metric: self.measure(metric) for metric in METRICS}

    @cached_property
    def reference(self) -> str:
        """The row that the others are compared with: NARM, or the highest where NARM has no record; "" without rows."""
        recall = self.measured["recall"]
        highest = max(recall, key=lambda label: recall[label].value, default="")
        return self._wanted if self._wanted in recall else highest

    @cached_property
    def effects(self) -> dict[str, dict[str, Effect]]:
        """Every other row less the reference, judged together: metric -> label -> effect."""
        if len(self.rows) < 2:
            return {metric: {} for metric in METRICS}
        return {metric: comparisons.against(rows, self.reference) for metric, rows in self.measured.items()}

    def judged(self, kind: Kind) -> list[tuple[str, str, Effect]]:
        """Return label, name of the metric and effect of the comparisons with one verdict."""
        return [
            (label, METRICS[metric], effect)
            for metric, effects in self.effects.items()
            for label, effect in effects.items()
            if measuring.kind_of(effect) == kind
        ]

    def named(self, kind: Kind) -> list[str]:
        """Return the comparisons with one verdict in words, with intervals that hold for all rows together."""
        return [f"{label} in {title}, {difference(effect, 1).text}" for label, title, effect in self.judged(kind)]

    def other_measures(self) -> list[Block]:
        """Return the table of the measures that --metric asks for."""
        names = self.study.request.options.get("metric")
        if not names or not self.rows:
            return []
        text = "In other measures, counted as above; bold is the highest of a column:"
        return [text, self.table([metrics.parse(name) for name in names])]

    def table(self, measures: Iterable[Measure]) -> Table:
        """Return measures of every row, with 95 % intervals; the highest of a column is bold."""
        found = {measure.title: self.measure(measure) for measure in dict.fromkeys(measures)}
        best = {title: max((row.value for row in rows.values()), default=0.0) for title, rows in found.items()}
        lines = [
            {"model": label, "seeds": str(len(runs))}
            | {title: number(rows[label], bold=rows[label].value == best[title]) for title, rows in found.items()}
            for label, runs in self.rows.items()
        ]
        return Table(lines, "Other measures")


def number(row: Measurement, notes: str = "", *, bold: bool = False, close: bool = False) -> Number:
    """Return the cell of a row's number with its interval."""
    sd = float(row.points.std(ddof=1)) if len(row.points) > 1 else None
    half = min(measuring.half_width(row), 100.0)  # of two sessions it can exceed 100 %
    return Number(row.value, half=half, mark="bold" if bold else "close" if close else "", notes=notes, sd=sd)


def difference(effect: Effect | Estimate, places: int = 2, bold: Sequence[Kind] = (), notes: str = "") -> Number:
    """Return the cell of a difference with its interval, marked as bold where its verdict is one of those given.

    An effect that is no comparison with a reference row has no mark.
    """
    kind = None if isinstance(effect, Estimate) else measuring.kind_of(effect)
    mark: Literal["", "bold", "close"] = "bold" if kind in bold else "close" if kind == "undecided" else ""
    return Number(effect.value, interval=measuring.ends(effect), places=places, signed=True, mark=mark, notes=notes)


def few_seeds(runs: Sequence[Result]) -> str:
    """Return the sign of a row of chance with too few runs for a verdict that is not provisional."""
    return FEW_SEEDS if len(runs) < FEW and not measuring.without_chance(runs[0]) else ""


def joined(words: Iterable[str]) -> str:
    """Join words as in a sentence: a, b and c."""
    *first, last = [*words] or [""]
    return f"{', '.join(first)} and {last}" if first else last
