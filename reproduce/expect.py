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
from typing import Literal, get_args

from tabulate import tabulate

from reproduce import catalog
from reproduce.errors import InputError, UsageError
from reproduce.evaluation import metrics
from reproduce.evaluation.metrics import Measure
from reproduce.evaluation.uncertainty import contrast
from reproduce.paper.counting import Counting, Ties
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
    outside = sorted({each.side for each in expected} - {"within noise"})
    if not outside:
        return f"Within noise: {differences}."
    outcome = f"{' and '.join(outside).capitalize()} ours: {differences}."
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
    causes = dict(_causes(records, row, dataset, measures, view))
    title = catalog.dataset(dataset).title
    if options.json:
        fitting = explaining(expected, causes)
        content = {
            "row": row.label,
            "dataset": title,
            "seeds": len(results),
            "metrics": [asdict(number) for number in expected],
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


def _causes(
    records: Records, row: Row, dataset: str, measures: Sequence[Measure], view: View
) -> Iterator[tuple[str, list[float]]]:
    """Yield the causes that the records of the data set can show, and what ours becomes by each."""
    results = records.results(row, dataset)

    def ours(
        runs: Sequence[Result] = results,
        measures: Sequence[Measure] = measures,
        where: Where = view.where,
        rule: Counting = view.rule,
    ) -> list[float]:
        each = (measuring.measured({"": runs}, measure, Seeds({}), where, rule) for measure in measures)
        return [measured[""].value for measured in each]

    if dataset in ORDERS:
        other, words = ORDERS[dataset]
        if runs := records.results(row, other):
            yield words, ours(runs)
    if view.where is every_prefix:
        yield "only the last click of each session", ours(where=last_clicks)
    else:
        yield "every click to be predicted, not only the last", ours(where=every_prefix)
    for ties in get_args(Ties):
        if ties != view.rule.ties:
            yield f"ties {ties}", ours(rule=replace(view.rule, ties=ties))
    yield "hits at a rank below the cut-off, not up to it", ours(rule=replace(view.rule, below=True))
    for k in CUTOFFS:
        if any(measure.k != k for measure in measures):
            yield f"a cut-off of {k}", ours(measures=[replace(measure, k=k) for measure in measures])
