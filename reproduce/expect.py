"""`expect`: what a published number of a model on a data set should be, and which causes on record explain another.

Ours is the row's number with its interval. A published number is judged by the difference, whose interval allows for
test sessions and seeds on both sides. Where it is outside, the causes that stored records can show are tried: each
gives the number that ours becomes by it.
"""

from __future__ import annotations

import json
import math
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Literal, get_args

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
from reproduce.runs.request import Request, command_line, set_fields, settings_of

Side = Literal["within noise", "below", "above"]
USUAL = {
    "below": "an undertrained run, another split, or a tie rule or cut-off that costs hits",
    "above": "an evaluation protocol that gives hits away, other settings, or another split",
}
Causes = Mapping[str, Sequence[float]]  # another condition -> what ours becomes under it, for each metric, in per cent


@dataclass(frozen=True)
class Expectation:
    """One metric: the published number beside ours, in per cent."""

    metric: str  # such as Recall@20
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


def explaining(expected: Sequence[Expectation], causes: Causes) -> list[str]:
    """Return the causes under which all metrics come within noise of the published ones, the nearest first."""
    distances = {
        cause: [abs(metric.published - value) for metric, value in zip(expected, values, strict=True)]
        for cause, values in causes.items()
    }
    noise = [metric.noise for metric in expected]
    fitting = [cause for cause, far in distances.items() if all(map(float.__le__, far, noise))]
    return sorted(fitting, key=lambda cause: sum(distances[cause]))


def verdict(expected: Sequence[Expectation], causes: Causes) -> str:
    """Say in a sentence or two whether the published numbers are ours, and what explains them if they are not."""
    differences = ", ".join(f"{each.metric} {each.difference:+.2f} (noise {each.noise:.1f})" for each in expected)
    sides = {each.side for each in expected}
    outside = sorted(sides - {"within noise"})
    if not outside:
        return f"Within noise: {differences}."
    outcome = f"{outside[0].capitalize()} ours: {differences}."
    if len(sides) > 1:
        parts = (f"{each.metric} {each.side} ({each.difference:+.2f}, noise {each.noise:.1f})" for each in expected)
        outcome = f"Not ours in every metric: {', '.join(parts)}."
    for cause in explaining(expected, causes):
        numbers = " / ".join(f"{value:.2f}" for value in causes[cause])
        return f"{outcome} Explained by {cause}: ours is {numbers} then."
    usual = USUAL[outside[0]] if len(outside) == 1 else "another split or another evaluation protocol"
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
    records = next((there for there in map(Records, folders) if there.results(row, dataset)), None)
    if records is None:
        wanted = Request(datasets=[dataset], models=[row.model], data=options.data, results=folders[-1])
        command = command_line("table2", replace(wanted, settings={row.model: row.at(dataset).fields}))
        raise InputError(f"no record of {row.label} on {dataset}; {command} makes one")
    results = records.results(row, dataset)
    seeds, expected = Seeds.of(records, results[0]), []
    for measure, published in zip(measures, options.values, strict=True):
        ours = measuring.measured({"ours": results}, measure, seeds, view.where, view.rule)["ours"]
        half = measuring.half_width(ours)
        if ours.unknown or not math.isfinite(half):
            why = "how far another seed moves it is not known; run several" if ours.unknown else "too few test sessions"
            raise InputError(f"{row.label} on {dataset}: {measure.title} is {ours.value:.2f} here, not judged: {why}")
        low, high = measuring.estimate(contrast([(1.0, ours)])).against(published).interval()
        expected.append(Expectation(measure.title, published, ours.value, half, (high - low) / 2))
    causes = dict(_causes(records, row, dataset, counted))
    title = catalog.dataset(dataset).title
    if options.json:
        fitting = explaining(expected, causes)
        content = {
            "row": row.label,
            "dataset": title,
            "seeds": len(results),
            "metrics": [
                {
                    **asdict(number),
                    "low": number.ours - number.half,
                    "high": number.ours + number.half,
                    "difference": number.difference,
                    "side": number.side,
                }
                for number in expected
            ],
            "causes": [{"cause": cause, "values": of, "explains": cause in fitting} for cause, of in causes.items()],
            "verdict": verdict(expected, causes),
        }
        print(json.dumps(content, indent=1))
    else:
        lines = [
            [
                number.metric,
                f"{number.published:.2f}",
                f"{number.ours:.2f} ±{number.half:.1f}",
                f"{number.difference:+.2f} ±{number.noise:.1f}",
            ]
            for number in expected
        ]
        head = ["", "published", "ours", "published - ours"]
        others = [[cause, *(f"{value:.2f}" for value in values)] for cause, values in causes.items()]
        titles = ["ours would be, with", *(number.metric for number in expected)]
        print(f"{row.label} on {title}, {len(results)} seed{'s' * (len(results) != 1)}\n")
        print(tabulate(lines, head, disable_numparse=True, colalign=["left", *["right"] * 3]), end="\n\n")
        print(verdict(expected, causes), end="\n\n")
        print(tabulate(others, titles, disable_numparse=True))
    return 0 if all(number.side == "within noise" for number in expected) else OUTSIDE


def _row(name: str, settings: Sequence[str]) -> Row:
    """Return the row of a label, in any case, or else the first row of a model, with fields set."""
    row = next((row for row in KNOWN if row.label.lower() == name.lower()), None)
    if row is None:
        kind = catalog.recommender(name, load=False)
        row = next((row for row in KNOWN if row.model == kind.name), Row(kind.label, kind.name))
    return set_fields(row, settings_of(row.model, settings, "was named"))


def _causes(records: Records, row: Row, dataset: str, counted: Counted) -> Iterator[tuple[str, list[float]]]:
    """Yield the causes that the records of the data set can show, and what ours becomes by each."""
    results, rule = records.results(row, dataset), counted.rule
    if dataset in ORDERS:
        other, words = ORDERS[dataset]
        if runs := records.results(row, other):
            yield words, counted.values(runs)
    if counted.where is every_prefix:
        yield "only the last click of each session", replace(counted, where=last_clicks).values(results)
    else:
        yield "every click to be predicted, not only the last", replace(counted, where=every_prefix).values(results)
    for ties in get_args(Ties):
        if ties != rule.ties:
            yield f"ties {ties}", replace(counted, rule=replace(rule, ties=ties)).values(results)
    below = replace(counted, rule=replace(rule, below=True))
    yield "hits at a rank below the cut-off, not up to it", below.values(results)
    for k in CUTOFFS:
        if any(measure.k != k for measure in counted.measures):
            others = [replace(measure, k=k) for measure in counted.measures]
            yield f"a cut-off of {k}", replace(counted, measures=others).values(results)
    for another in KNOWN:
        if another.model == row.model and another.label != row.label and (runs := records.results(another, dataset)):
            yield f"the row {another.label}", counted.values(runs)
