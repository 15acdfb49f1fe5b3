"""`expect`: what a published number of a model on a data set should be, and which causes on record explain another.

Ours is the row's number with its interval. A published number is judged by the difference, whose interval allows for
test sessions and seeds on both sides. Where it is outside, the causes that stored records can show are tried: each
gives the number that ours becomes by it.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any, Literal, get_args

from tabulate import tabulate

from reproduce import catalog
from reproduce.errors import InputError, UsageError
from reproduce.evaluation import metrics
from reproduce.evaluation.metrics import Measure
from reproduce.evaluation.uncertainty import contrast
from reproduce.paper.counting import OURS, Counting, Ties
from reproduce.paper.rows import Row
from reproduce.reports import measuring
from reproduce.reports.measuring import Seeds, View, Where, every_prefix, last_clicks
from reproduce.reports.records import Records, reference_folder
from reproduce.reports.study import KNOWN
from reproduce.runs.record import Result
from reproduce.runs.request import set_fields, settings_of

Side = Literal["within noise", "below", "above"]
BELOW = "an undertrained run, another split, or a tie rule or cut-off that costs hits"
ABOVE = "a rule of counting that gives hits away, other settings, or another split"


@dataclass(frozen=True)
class Expectation:
    """One metric: the published number beside ours, in per cent."""

    title: str  # such as Recall@20
    published: float
    ours: float
    half: float  # of our number's 95 % interval
    noise: float  # half of the 95 % interval of the difference

    @property
    def difference(self) -> float:
        return self.published - self.ours

    @property
    def side(self) -> Side:
        if abs(self.difference) <= self.noise:
            return "within noise"
        return "below" if self.difference < 0 else "above"


@dataclass(frozen=True)
class Cause:
    """What ours becomes under another condition."""

    words: str  # such as: the clicks in the order of the file
    values: Sequence[float]  # one for each metric, in per cent


def explaining(expected: Sequence[Expectation], causes: Sequence[Cause]) -> list[Cause]:
    """Return the causes under which all metrics come within noise of the published ones, the nearest first."""

    def distances(cause: Cause) -> list[float]:
        return [abs(metric.published - value) for metric, value in zip(expected, cause.values, strict=True)]

    fitting = [
        cause
        for cause in causes
        if all(distance <= metric.noise for distance, metric in zip(distances(cause), expected, strict=True))
    ]
    return sorted(fitting, key=lambda cause: sum(distances(cause)))


def verdict(expected: Sequence[Expectation], causes: Sequence[Cause]) -> str:
    """Say in a sentence or two whether the published numbers are ours, and what explains them if they are not."""
    differences = ", ".join(
        f"{metric.title} {metric.difference:+.2f} (noise {metric.noise:.1f})" for metric in expected
    )
    sides = {metric.side for metric in expected}
    outside = sides - {"within noise"}
    if not outside:
        return f"Within noise: {differences}."
    usual = {"below": BELOW, "above": ABOVE}[min(outside)]
    if len(outside) == 2:
        usual = "another split or another way of counting"
    outcome = f"{min(outside).capitalize()} ours: {differences}."
    if len(sides) > 1:
        parts = (f"{one.title} {one.side} ({one.difference:+.2f}, noise {one.noise:.1f})" for one in expected)
        outcome = f"Not ours in every metric: {', '.join(parts)}."
    for cause in explaining(expected, causes):
        numbers = " / ".join(f"{value:.2f}" for value in cause.values)
        return f"{outcome} Explained by {cause.words}: ours is {numbers} then."
    return f"{outcome} No cause on record explains it; the usual ones are {usual}."


# --- from stored records ----------------------------------------------------------------------------------------------

OUTSIDE = 4  # exit status: a number is not within noise
ORDERS = {  # the same clicks in another order
    "diginetica": ("diginetica-file-order", "the clicks of a session in the order of the raw file, not of time"),
    "diginetica-file-order": ("diginetica", "the clicks of a session in the order of time, not of the raw file"),
}
CUTOFFS = (5, 10, 15, 20, 50)  # tried beside the given one


@dataclass(frozen=True)
class Counted:
    """The metrics that are compared, which test prefixes count and how ranks are counted."""

    measures: Sequence[Measure]
    rule: Counting = OURS
    where: Where = every_prefix

    def values(self, results: Sequence[Result]) -> list[float]:
        """Return each metric, in per cent, as the mean over the results."""
        counts = [(run.greater[mask], run.equal[mask]) for run in results for mask in [self.where(run)]]
        return [mean(measure.mean(greater, equal, self.rule) for greater, equal in counts) for measure in self.measures]


def answer(options: Namespace) -> int:
    """Print the text, or JSON, and return the exit status: 0 within noise, 4 outside."""
    measures = [metrics.parse(text) for text in options.metric] or list(metrics.PAPERS.values())[: len(options.values)]
    if len(measures) != len(options.values):
        named = " ".join(measure.key for measure in measures)
        raise UsageError(
            f"expect: {len(options.values)} numbers for {named}; give one for each, or name others by --metric"
        )
    for value in options.values:
        if not 0 <= value <= 100:
            raise UsageError(f"expect: {value:g} is not per cent")
    (dataset,) = catalog.named_datasets([options.dataset], options.rules, options.data)
    view = View.of(vars(options))
    counted = Counted(measures, view.rule, view.where)
    row = _row(options.model, options.set)
    folders = [options.results] if options.results else [reference_folder(), Path("results/local")]
    shelves = [Records(folder) for folder in folders]
    shelf = next((records for records in shelves if records.results(row, dataset)), None)
    if shelf is None:
        command = f"python -m reproduce table2 --dataset {dataset} --model {catalog.current().model_word(row.model)}"
        raise InputError(f"no record of {row.label} on {dataset}; {command} makes one")
    results = shelf.results(row, dataset)
    expected = _expectations(shelf, results, options.values, counted)
    causes = list(_causes(shelf, row, dataset, counted))
    words = {"row": row.label, "dataset": catalog.dataset(dataset).title, "seeds": len(results)}
    print(_as_json(words, expected, causes) if options.json else _as_text(words, expected, causes))
    return 0 if all(metric.side == "within noise" for metric in expected) else OUTSIDE


def _row(name: str, settings: Sequence[str]) -> Row:
    """Return the row of a label, in any case, or else the first row of a model, with fields set."""
    rows = KNOWN
    row = next((row for row in rows if row.label.lower() == name.lower()), None)
    if row is None:
        kind = catalog.recommender(name)
        row = next((row for row in rows if row.model == kind.name), Row(kind.label, kind.name))
    return set_fields(row, settings_of(row.model, settings, "was named"))


def _expectations(
    records: Records, results: Sequence[Result], published: Sequence[float], counted: Counted
) -> list[Expectation]:
    seeds, made = Seeds.of(records, results[0]), []
    for measure, value in zip(counted.measures, published, strict=True):
        ours = measuring.measured({"ours": results}, measure, seeds, counted.where, counted.rule)["ours"]
        low, high = measuring.estimate(contrast([(1.0, ours)])).against(value).interval()
        made.append(Expectation(measure.title, value, ours.value, measuring.half_width(ours), (high - low) / 2))
    return made


def _causes(shelf: Records, row: Row, dataset: str, counted: Counted) -> Iterator[Cause]:
    """Yield the causes that the records of the data set can show."""
    results = shelf.results(row, dataset)
    if dataset in ORDERS:
        other, words = ORDERS[dataset]
        if runs := shelf.results(row, other):
            yield Cause(words, counted.values(runs))
    if counted.where is every_prefix:
        yield Cause("only the last click of each session", replace(counted, where=last_clicks).values(results))
    else:
        yield Cause(
            "every click to be predicted, not only the last", replace(counted, where=every_prefix).values(results)
        )
    for ties in get_args(Ties):
        if ties != counted.rule.ties:
            yield Cause(f"ties {ties}", replace(counted, rule=replace(counted.rule, ties=ties)).values(results))
    below = replace(counted, rule=replace(counted.rule, below=True))
    yield Cause("hits at a rank below the cut-off, not up to it", below.values(results))
    for k in CUTOFFS:
        if any(measure.k != k for measure in counted.measures):
            others = [replace(measure, k=k) for measure in counted.measures]
            yield Cause(f"a cut-off of {k}", replace(counted, measures=others).values(results))
    for other_row in KNOWN:
        another = other_row.model == row.model and other_row.label != row.label
        if another and (runs := shelf.results(other_row, dataset)):
            yield Cause(f"the row {other_row.label}", counted.values(runs))


def _as_text(words: dict[str, Any], expected: Sequence[Expectation], causes: Sequence[Cause]) -> str:
    lines = [
        [
            metric.title,
            f"{metric.published:.2f}",
            f"{metric.ours:.2f} ±{metric.half:.1f}",
            f"{metric.difference:+.2f} ±{metric.noise:.1f}",
        ]
        for metric in expected
    ]
    head = ["", "published", "ours", "published - ours"]
    others = [[cause.words, *(f"{value:.2f}" for value in cause.values)] for cause in causes]
    titles = ["ours would be, with", *(metric.title for metric in expected)]
    parts = [
        f"{words['row']} on {words['dataset']}, {words['seeds']} seed{'s' * (words['seeds'] != 1)}",
        tabulate(lines, head, disable_numparse=True, colalign=["left", *["right"] * 3]),
        verdict(expected, causes),
        tabulate(others, titles, disable_numparse=True),
    ]
    return "\n\n".join(parts)


def _as_json(words: dict[str, Any], expected: Sequence[Expectation], causes: Sequence[Cause]) -> str:
    fitting = explaining(expected, causes)
    judged = [
        {
            "metric": metric.title,
            "published": metric.published,
            "ours": metric.ours,
            "low": metric.ours - metric.half,
            "high": metric.ours + metric.half,
            "difference": metric.difference,
            "noise": metric.noise,
            "side": metric.side,
        }
        for metric in expected
    ]
    tried = [{"cause": cause.words, "values": [*cause.values], "explains": cause in fitting} for cause in causes]
    return json.dumps({**words, "metrics": judged, "causes": tried, "verdict": verdict(expected, causes)}, indent=1)
