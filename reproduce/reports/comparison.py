"""The rows of the main table: published numbers, what public code predicts, ours, ours tuned, and their marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Literal

import numpy as np

from reproduce.evaluation import metrics
from reproduce.evaluation.uncertainty import FEW, Measurement
from reproduce.paper import numbers
from reproduce.paper.counting import Counting
from reproduce.paper.numbers import Score
from reproduce.paper.originals import PREDICTED, Prediction
from reproduce.paper.rows import ROWS, Row
from reproduce.reports import measuring
from reproduce.reports.document import NOT_RUN, Cell, Number, Scores
from reproduce.reports.measuring import USUAL, Mark, Seeds, View
from reproduce.reports.records import Records
from reproduce.runs.record import Result
from reproduce.runs.request import same
from reproduce.runs.stored_search import Found

FULL_DECODER = Row("NARM, fully connected", "narm", {"decoder": "fully-connected"})
FEW_SEEDS, UNFINISHED = "¹", "†"
TOO_FEW = f"**{FEW_SEEDS}**: fewer than {FEW} runs, so its verdicts are provisional."
MARKS = (
    "**Bold**: highest. **≈**: not distinguishable from the highest. "
    f"{TOO_FEW} **{UNFINISHED}**: still improving at the last epoch allowed."
)


@dataclass(frozen=True)
class Line:
    """A row of the main table on one data set, with everything its cells are made from."""

    row: Row
    theirs: Score | None = None  # the published numbers
    prediction: Prediction | None = None  # the settings and the rule of counting of public code
    predicted_runs: Sequence[Result] = ()
    results: Sequence[Result] = ()  # ours
    tuned: Row | None = None  # the row with the fields that a search found
    tuned_runs: Sequence[Result] = ()
    reference: Sequence[Result] = ()  # the project's own runs, shown beside a user's

    @property
    def label(self) -> str:
        return self.row.label

    @property
    def records(self) -> list[Result]:
        return [*self.results, *self.tuned_runs, *self.predicted_runs]

    def predicted(self, metric: str, dataset: str, unseen: np.ndarray | None) -> float | None:
        """Return what public code predicts for the paper's number; None where there are no such runs."""
        if self.prediction is None or not self.predicted_runs:
            return None
        rule = self.prediction.counted(dataset)
        return mean(counted(one, metric, rule, unseen) for one in self.predicted_runs)


def counted(result: Result, metric: str, rule: Counting, unseen: np.ndarray | None = None) -> float:
    """Return a record's metric under a rule of counting, in per cent."""
    return metrics.PAPERS[metric].mean(result.greater, result.equal, rule, unseen)


def unseen_targets(own: Records, dataset: str) -> np.ndarray | None:
    """Return which targets do not occur in train, (n,) bool; None where train has every item of the test.

    Only the fractions of YOOCHOOSE lack some: their test sessions were filtered against the whole training part. There
    POP's record tells. POP scores an item by its clicks in train, so the items without clicks share the last place.
    """
    results = own.results(ROWS[0], dataset) if dataset in numbers.FRACTIONS else []
    if not results:
        return None
    return np.asarray(results[0].ranks() == results[0].split["n_items"])


def lines(
    own: Records, reference: Records | None, dataset: str, shown: Iterable[Row], searches: Sequence[Found]
) -> list[Line]:
    """Return a line for every row of a page, with its records."""
    found = []
    for row in shown:
        # DIGINETICA by time was never published by these authors.
        of_paper = dataset in numbers.PAPER_COLUMN and dataset not in numbers.OTHER_ORDER
        prediction = PREDICTED.get(row.label) if of_paper else None
        if prediction is not None and not same(row.at(dataset), _ours(row.label, dataset)):
            prediction = None  # it stands for a row with other settings
        tuned = _tuned(own, dataset, row, searches)
        results = own.results(row, dataset)
        found.append(
            Line(
                row=row,
                theirs=_published(row.label, dataset),
                prediction=prediction,
                predicted_runs=predicted_runs(own, dataset, prediction) if prediction else (),
                results=results,
                tuned=tuned,
                tuned_runs=own.results(tuned, dataset) if tuned else (),
                reference=_others(reference.results(row, dataset), results) if reference else (),
            )
        )
    return found


def predicted_runs(own: Records, dataset: str, prediction: Prediction) -> Sequence[Result]:
    """Return the records of a prediction: of the row closer to the authors' code if it has any."""
    closer = own.results(prediction.closer, dataset) if prediction.closer else []
    return closer or own.results(prediction.row, dataset)


def _others(reference: Sequence[Result], ours: Sequence[Result]) -> Sequence[Result]:
    """Return the reference's runs of a row; none where they are the same records as ours, in a copied folder."""
    made = [[(one.identity, one.environment) for one in some] for some in (reference, ours)]
    return () if made[0] == made[1] else reference


def _ours(label: str, dataset: str) -> Row:
    return next(row for row in ROWS if row.label == label).at(dataset)


def _published(label: str, dataset: str) -> Score | None:
    if label == FULL_DECODER.label:
        return numbers.published(numbers.TABLE2, "fully connected", dataset)
    return numbers.published(numbers.TABLE3, label, dataset)


def _tuned(own: Records, dataset: str, row: Row, searches: Sequence[Found]) -> Row | None:
    """Return the row with the settings that a search found; of several searches, the one whose run validates best.

    Validation is on training sessions. A setting can win a search and still do worse in the whole training.
    """
    found = [one.row for one in searches if one.better and one.base.label == row.label]
    return max(found, key=lambda one: _validated(own.results(one, dataset)), default=None)


def _validated(results: Sequence[Result]) -> float:
    return max((epoch.get("validation_recall", 0.0) for one in results for epoch in one.epochs), default=-1.0)


def tuned_rows(own: Records, dataset: str, searches: Sequence[Found]) -> list[Row]:
    """Return a row, labelled as tuned, for each row whose search found better settings than its own.

    Of several searches of a row only the setting whose run validates best is kept; the others are failed searches.
    """
    rows = []
    for base in {one.base.label: one.base for one in searches if one.better}.values():
        tuned = _tuned(own, dataset, base, searches)
        assert tuned is not None
        rows.append(Row(f"{base.label} (tuned)", tuned.model, tuned.fields, tuned.on))
    return rows


@dataclass(frozen=True)
class Cells:
    """One metric of all lines: the measurements and their marks."""

    metric: str
    measured: Mapping[str, Measurement]  # ours by label, all of one split
    marks: Mapping[str, Mark]  # by label, for the reference's runs by "reference " and label
    tuned: Mapping[str, Measurement] = field(default_factory=dict)
    reference: Mapping[str, Measurement] = field(default_factory=dict)


def cells(made: Sequence[Line], metric: str, seeds: Seeds, view: View = USUAL) -> Cells:
    """Measure the lines' records of one split; reference runs of that split compete for the mark of the highest."""
    kept = {(line.label, "ours"): line.results for line in made if line.results}
    digest = next(iter(kept.values()))[0].split["digest"] if kept else ""
    for line in made:
        for kind, results in (("tuned", line.tuned_runs), ("reference", line.reference)):
            if results and {run.split["digest"] for run in results} == {digest}:
                kept[line.label, kind] = list(results)
    named = {f"{kind} {label}": results for (label, kind), results in kept.items()}
    found = measuring.measured(named, metric, seeds, view.where, view.rule)
    by_kind = {
        kind: {label: found[f"{kind} {label}"] for label, one in kept if one == kind}
        for kind in ("ours", "tuned", "reference")
    }
    compared = {key: one for key, one in found.items() if not key.startswith("tuned ")}
    marks = {key.removeprefix("ours "): mark for key, mark in measuring.marks(compared).items()}
    return Cells(metric, by_kind["ours"], marks, by_kind["tuned"], by_kind["reference"])


def scores(score: Score | None) -> Scores | None:
    """Return a published score as a cell; None where there is none."""
    return None if score is None else Scores(score.recall, score.mrr)


def cell(line: Line, cells: Cells) -> Cell:
    """Return the cell of our number of a line: its interval, its mark and its signs."""
    if not line.results:
        return NOT_RUN
    return number(cells.measured[line.label], cells.marks.get(line.label), signs_of(line.results))


def number(one: Measurement, mark: Mark | None = None, notes: str = "") -> Number:
    marks: dict[Mark | None, Literal["bold", "close"]] = {"highest": "bold", "equal": "close"}
    half = measuring.half_width(measuring.alone(one))
    sd = float(one.points.std(ddof=1)) if len(one.points) > 1 else None
    return Number(one.value, half=half, mark=marks.get(mark, ""), notes=notes, sd=sd)


def signs_of(results: Sequence[Result]) -> str:
    """Return the signs of the legend that apply to a number: few runs, training unfinished."""
    unfinished = any(run.unfinished for run in results)
    return few_seeds(results) + UNFINISHED * unfinished


def few_seeds(results: Sequence[Result]) -> str:
    """Return the sign of a row of chance with too few runs for a verdict that is not provisional."""
    return FEW_SEEDS if len(results) < FEW and not measuring.without_chance(results[0]) else ""
