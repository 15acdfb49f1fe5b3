"""The claims of the paper's text, each tested on the stored records: reproduced, not, within noise, or not yet run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from reproduce import catalog
from reproduce.evaluation import bootstrap, ranking
from reproduce.evaluation.bootstrap import Effect, Sample
from reproduce.paper import numbers
from reproduce.paper.claims import CLAIMS, Claim, Close, Collapse, Gain, LongerGain, Statement
from reproduce.paper.rows import Row
from reproduce.reports import page as pages
from reproduce.reports.description import AboutPage, Drawn, Option, Page
from reproduce.reports.page import DASH
from reproduce.reports.shelf import Shelf
from reproduce.runs import stored_search
from reproduce.runs.record import Result
from reproduce.runs.request import Request, same

YES, NO, NOISE, ABSENT = "reproduced", "not reproduced", "within noise", "not yet run"
CONTRADICTED = 4  # the exit status of --strict

ABOUT = AboutPage(
    "tests the paper's claims on the stored records",
    (Option("--strict", f"exit {CONTRADICTED} when a claim is not reproduced on the paper's data"),),
)


@dataclass(frozen=True)
class Verdict:
    """What the records say of a statement, the numbers in words."""

    word: str
    numbers: str


def draw(request: Request, failed: Mapping[str, str]) -> Drawn:
    own = Shelf.at(request.results)
    found = {one.name: {name: judge(own, one, name) for name in numbers.DATASETS} for one in CLAIMS}
    head = ["claim", *(catalog.dataset(name).title for name in numbers.DATASETS)]
    lines = [[claim, *(overall(verdicts) for verdicts in cells.values())] for claim, cells in found.items()]
    parts = [
        "# The paper's claims",
        f"*{YES}*: every statement of the claim lies beyond noise on the paper's side. *{NO}*: at least one lies "
        f"beyond noise on the other side. *{NOISE}*: neither. Noise is the 95 % interval of a bootstrap over whole "
        "sessions (and seeds where there are several), for each statement by itself; from a single run also "
        f"whatever is under {bootstrap.ONE_RUN} points, since another seed would move it. A model that was searched "
        "stands with the settings found, on training sessions alone. DIGINETICA by time is not what the paper ran; it "
        "shows what the order of clicks is worth.",
        pages.table(head, lines),
    ]
    for claim in CLAIMS:
        parts.append(f"## {claim.name}: {claim.text}")
        parts += [f"- {catalog.dataset(name).title}: {told(found[claim.name][name])}" for name in found[claim.name]]
    parts.append(f"Made by {pages.command('claims', request)}.")
    text = "\n\n".join(parts).replace("\n\n- ", "\n- ") + "\n"
    return Drawn(text, status=status(found) if request.options.get("strict") else 0)


def status(found: Mapping[str, Mapping[str, list[Verdict]]]) -> int:
    """The exit status under --strict: verdicts count only on the paper's own data."""
    verdicts = [overall(cells[name]) for cells in found.values() for name in cells if name != "diginetica"]
    return CONTRADICTED if NO in verdicts else 0


PAGE = Page(ABOUT, draw)


def overall(verdicts: list[Verdict]) -> str:
    """Of all statements together: a contradiction outweighs a gap, a gap outweighs noise."""
    words = {one.word for one in verdicts}
    return next((word for word in (NO, ABSENT, NOISE, YES) if word in words), DASH)


def told(verdicts: list[Verdict]) -> str:
    if not verdicts:
        return "the paper makes no such claim here."
    absent = sum(one.word == ABSENT for one in verdicts)
    lines = [f"{one.numbers}: {one.word}" for one in verdicts if one.word != ABSENT]
    if absent:
        lines.append(f"{absent} of {len(verdicts)} statements lack records")
    return f"**{overall(verdicts)}**. " + "; ".join(lines) + "."


def judge(own: Shelf, claim: Claim, dataset: str) -> list[Verdict]:
    """A verdict for each statement of a claim on a data set."""
    return [_verdict(own, one, dataset) for one in claim.statements.get(numbers.PAPER_COLUMN[dataset], ())]


def _verdict(own: Shelf, statement: Statement, dataset: str) -> Verdict:
    if isinstance(statement, Collapse):
        return _collapse(statement, own, dataset)
    one, other = (
        (statement.one, statement.other) if isinstance(statement, Close) else (statement.better, statement.worse)
    )
    (one, first), (other, second) = _tuned(own, one, dataset), _tuned(own, other, dataset)
    if not first or not second:
        return Verdict(ABSENT, "")
    if first[0].split["digest"] != second[0].split["digest"]:
        return Verdict(ABSENT, "records of different splits")
    if isinstance(statement, LongerGain):
        return _longer(statement, first, second)
    metric = statement.metric
    a, b = _samples(first, second, metric)
    name = f"{one.label} − {other.label}, {'Recall' if metric == 'recall' else 'MRR'}"
    if isinstance(statement, Gain):
        share = a.value / b.value
        moved = bootstrap.effect((100 / b.value, a), (-100 * share / b.value, b))
        gain = Effect(100 * (share - 1), 100 * (share - 1) + moved.low, 100 * (share - 1) + moved.high, np.nan)
        inside = gain.low <= statement.per_cent <= gain.high
        return Verdict(YES if inside else NO, f"{name} {_numbers(gain, ' %')}, the paper {statement.per_cent:+.1f} %")
    effect = bootstrap.effect((1, a), (-1, b))
    if isinstance(statement, Close):
        return Verdict(_close(effect, statement.points), f"{name} {_numbers(effect)}")
    return Verdict(_above(effect), f"{name} {_numbers(effect)}")


def _tuned(own: Shelf, row: Row, dataset: str) -> tuple[Row, list[Result]]:
    """The records of a row: those with the fields that a search on train found, where there are any.

    Of several searches, the one whose run did best on its own validation part: a setting can win a search and not last.
    """
    searches = stored_search.found(own.folder, dataset)
    found = [Row(f"{row.label} (searched)", row.model, one.row.fields) for one in searches if same(one.base, row)]
    tuned = [(one, kept) for one in found if (kept := own.results(one, dataset))]
    return max(tuned, key=lambda pair: _validated(pair[1][0]), default=(row, own.results(row, dataset)))


def _validated(result: Result) -> float:
    return max((one.get("validation_recall", 0.0) for one in result.epochs), default=0.0)


def _longer(statement: LongerGain, first: list[Result], second: list[Result]) -> Verdict:
    """The difference of two ratios of hits, to first order in each: a sum over one row's runs, and the other's."""
    length = first[0].length
    masks = [(low <= length) & (length <= high) for low, high in (statement.lengths, statement.than)]
    (a1, b1), (a2, b2) = (_samples(first, second, "recall", mask) for mask in masks)
    share1, share2 = a1.value / b1.value, a2.value / b2.value
    better = a1 * (100 / b1.value) + a2 * (-100 / b2.value)
    worse = b1 * (-100 * share1 / b1.value) + b2 * (100 * share2 / b2.value)
    moved, value = bootstrap.effect((1, better), (1, worse)), 100 * (share1 - share2)
    effect = Effect(value, value + moved.low, value + moved.high, np.nan)
    spans = [f"{low}-{high}" for low, high in (statement.lengths, statement.than)]
    return Verdict(_above(effect), f"gain on {spans[0]} less gain on {spans[1]} {_numbers(effect, ' %')}")


def _collapse(statement: Collapse, own: Shelf, dataset: str) -> Verdict:
    """With the defaults on both, since a search is of one data set.

    The two share their test sessions, so a bootstrap of the same size draws the same ones.
    """
    before, after = own.results(statement.row, statement.before), own.results(statement.row, dataset)
    if not before or not after:
        return Verdict(ABSENT, "")
    (then,), (now,) = _samples(before, before, "recall")[:1], _samples(after, after, "recall")[:1]
    effect = bootstrap.effect((statement.share, then), (-1, now))
    name = f"{statement.row.label}, {statement.share:g} × Recall on {statement.before} − Recall"
    return Verdict(_above(effect), f"{name} {_numbers(effect)}")


def _samples(first: list[Result], second: list[Result], metric: str, where: np.ndarray | None = None) -> list[Sample]:
    values = []
    for results in (first, second):
        ranks = np.stack([one.ranks() for one in results])  # (K, n)
        values.append(100.0 * ranking.METRICS[metric](ranks))
    return bootstrap.samples(values, first[0].session, None if where is None else [where, where])


def _above(effect: Effect) -> str:
    return {1: YES, -1: NO, 0: NOISE}[effect.side]


def _close(effect: Effect, points: float) -> str:
    if -points <= effect.low and effect.high <= points:
        return YES
    return NO if effect.low > points or effect.high < -points else NOISE


def _numbers(effect: Effect, unit: str = "") -> str:
    return f"{effect.value:+.2f}{unit} [{effect.low:+.2f}, {effect.high:+.2f}]"
