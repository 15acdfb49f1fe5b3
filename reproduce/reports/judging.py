"""Judge each statement of a claim from the records in a results folder."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reproduce import catalog
from reproduce.evaluation import uncertainty, verdicts
from reproduce.evaluation.uncertainty import Estimate, Measurement, OneRun
from reproduce.evaluation.verdicts import Verdict
from reproduce.paper import claims, numbers
from reproduce.paper.claims import Above, Close, Collapse, Gain, LongerGain, Statement
from reproduce.paper.originals import PREDICTED
from reproduce.paper.rows import Row
from reproduce.reports import measuring
from reproduce.reports.document import UNKNOWN
from reproduce.reports.measuring import METRICS, Seeds
from reproduce.reports.records import Records
from reproduce.runs import stored_search
from reproduce.runs.record import Result
from reproduce.runs.stored_search import VERSION, Found

NOT_RUN, INCOMPLETE = "not run", "incomplete"
Chosen = Callable[[tuple[Row, ...]], tuple[Row, ...] | None]  # the rows to take for a statement's, if any


class Evidence:
    """The records of one data set that bear on claims, read and measured when they are first needed."""

    def __init__(self, own: Records, dataset: str, searches: Sequence[Found] = ()) -> None:
        self.dataset, self._own = dataset, own
        # In an older protocol a single fit decided which setting won: that is no basis for a comparison.
        self.searches = [one for one in searches if one.protocol.version == VERSION]
        self.column = numbers.PAPER_COLUMN[dataset]
        self.seeds = Seeds(())
        self._results: dict[str, list[Result]] = {}
        self._measured: dict[tuple[str, str, tuple[int, int] | None], Measurement] = {}

    @property
    def records(self) -> list[Result]:
        """The records used so far."""
        return [one for results in self._results.values() for one in results]

    def results(self, row: Row) -> list[Result]:
        """Return the records of a row."""
        key = f"{row.label} {sorted(row.at(self.dataset).fields.items())}"
        if key not in self._results:
            found = self._own.results(row, self.dataset)
            if found and not self.records:
                self.seeds = Seeds.of(self._own, found[0])
            self._results[key] = found
        return self._results[key]

    def measured(self, row: Row, metric: str, lengths: tuple[int, int] | None = None) -> Measurement:
        """Measure a metric, in per cent, of a row that has records.

        Args:
            metric: "recall" or "mrr".
            lengths: the least and the greatest number of clicks in the prefixes to use; default all.
        """
        key = (f"{row.label} {sorted(row.at(self.dataset).fields.items())}", metric, lengths)
        if key not in self._measured:
            where = None if lengths is None else measuring.of_lengths(*lengths)
            self._measured[key] = measuring.measured({"": self.results(row)}, metric, self.seeds, where)[""]
        return self._measured[key]

    def tuned_equally(self, rows: tuple[Row, ...]) -> tuple[Row, ...] | None:
        """Return each row with the settings of its search; None unless every row has a search with the same budget.

        A row whose model has nothing to search stays as it is and needs none.
        """
        wanted = [row for row in rows if can_be_searched(row)]
        found = dict(zip((row.label for row in wanted), stored_search.compared(self.searches, wanted), strict=False))
        if wanted and not found:
            return None
        return tuple(_as_tuned(row, found[row.label]) if row.label in found else row for row in rows)

    def predicted(self, rows: tuple[Row, ...]) -> tuple[Row, ...]:
        """Return each row of the paper with the settings of public code; others stay as they are."""
        return tuple(_predicted(row) for row in rows)


def _predicted(row: Row) -> Row:
    public = PREDICTED.get(row.label)
    if public is None or public.row.fields == row.fields:
        return row
    return Row(f"{row.label} (public code)", public.row.model, public.row.fields, public.row.on)


def can_be_searched(row: Row) -> bool:
    """Return whether the model of a row declares a field to search."""
    kind = catalog.recommenders().get(row.model)
    return kind is not None and any(one.metadata.get("search") for one in dataclasses.fields(kind))  # type: ignore[arg-type]


def _as_tuned(row: Row, found: Found) -> Row:
    if not found.better:
        return row
    return Row(f"{row.label} (tuned)", row.model, found.row.fields, found.row.on)


@dataclass(frozen=True)
class Said:
    """What the records say of a statement."""

    statement: str  # in words, with the meaning and unit of its numbers
    effect: Estimate | None = None  # None where records are missing or cannot be compared
    level: float = uncertainty.LEVEL  # of the interval that decides the verdict, by Holm's method
    published: float | None = None  # the effect in the paper
    p: float = math.nan  # after Holm's correction over the statements of the claim
    verdict: Verdict | None = None  # None where records are missing or cannot be compared
    lacking: tuple[str, ...] = ()  # the rows without records
    searched: bool = False  # the model of one of its rows has something to search
    unequal: bool = False  # its methods were not tuned equally
    power: float = math.nan  # of showing the statement if the truth is as published, with the seeds that there are
    seeds: int | None = None  # of each row with which that power is 0.8; None: not by 100, or not asked

    @property
    def provisional(self) -> bool:
        """Whether there is a verdict, and it rests on a row with fewer than three seeds."""
        judged = self.verdict not in (None, Verdict.ONE_RUN, Verdict.UNTESTABLE)
        return judged and self.effect is not None and self.effect.provisional

    @property
    def undecided(self) -> bool:
        return self.verdict in (Verdict.UNDECIDED, Verdict.NEGLIGIBLE)


def judge(
    claim: claims.Claim, dataset: str, evidence: Mapping[str, Evidence], chosen: Chosen = lambda rows: rows
) -> list[Said]:
    """Judge each statement of a claim on a data set.

    Args:
        evidence: by data set; a `Collapse` needs two of them.
        chosen: returns the rows to take for those of a statement; None where there are none. By default the rows stay
            as they are, with published settings.
    """
    here = evidence[dataset]
    said: list[Said] = []
    weighed: dict[int, verdicts.Statement] = {}
    statements = claim.statements.get(here.column, ())
    for one in statements:
        rows = chosen(claims.rows(one))
        if rows is None:
            said.append(Said(_words(one, claims.rows(one)), searched=True, unequal=True))
            continue
        there = evidence[one.before] if isinstance(one, Collapse) else here
        lacking = tuple(row.label for row in rows if not here.results(row) or not there.results(row))
        statement = None if lacking else _weigh(one, rows, here, there)
        if statement is not None:
            weighed[len(said)] = statement
        searched = any(can_be_searched(row) for row in rows)
        published = claims.published(one, here.column)
        said.append(Said(_words(one, rows), published=published, lacking=lacking, searched=searched))
    for (i, statement), judgement in zip(weighed.items(), verdicts.judge(list(weighed.values())), strict=True):
        effect = statement.effect.these_runs if isinstance(statement.effect, OneRun) else statement.effect
        level = judgement.level
        said[i] = dataclasses.replace(said[i], effect=effect, level=level, p=judgement.p, verdict=judgement.verdict)
        true = 0.0 if isinstance(statements[i], Gain) else said[i].published
        if said[i].undecided and true is not None:
            power = functools.partial(statement.power, true=true, level=level)
            said[i] = dataclasses.replace(said[i], power=power(effect), seeds=effect.seeds_for(power))
    return said


def overall(said: Sequence[Said]) -> str:
    """Return one verdict for all statements: a failure outweighs missing records, and these outweigh "undecided"."""
    found = {one.verdict for one in said}
    if not said:
        return UNKNOWN
    if Verdict.FAILS in found:
        return Verdict.FAILS.value
    if len(found) == 1:
        verdict = found.pop()
        return NOT_RUN if verdict is None else verdict.value
    if found == {None, Verdict.ONE_RUN}:
        return Verdict.ONE_RUN.value
    return INCOMPLETE if None in found else Verdict.UNDECIDED.value


def provisional(said: Sequence[Said]) -> bool:
    """Return whether the verdict on all statements rests on a row with fewer than three seeds.

    A claim fails by any statement that does, and holds by all of them. Without such a verdict nothing is provisional.
    """
    failing = [one for one in said if one.verdict is Verdict.FAILS]
    if failing:
        return all(one.provisional for one in failing)
    return overall(said) == Verdict.HOLDS.value and any(one.provisional for one in said)


def power_line(said: Sequence[Said]) -> str:
    """Say how many seeds would decide the undecided statements if the paper's effects were true; "" if there are none.

    A statement is found with a probability of 0.8 at the level of its step in Holm's method.
    """
    if overall(said) not in (Verdict.UNDECIDED.value, INCOMPLETE):
        return ""
    told = []
    for one in said:
        if not one.undecided or math.isnan(one.power):
            continue
        paper = f"the paper's {one.published:+.2f}"
        if one.power >= uncertainty.POWER:
            told.append(f"{one.statement}: {paper} would have been found with a probability of {one.power:.2f}")
        elif one.seeds is None:
            most = uncertainty.MOST_SEEDS
            told.append(f"{one.statement}: {paper} would not be found four times in five by {most} seeds of each row")
        else:
            told.append(f"{one.statement}: {one.seeds} seeds of each row would find {paper} four times in five")
    return "; ".join(told) + "." if told else ""


def _weigh(one: Statement, rows: tuple[Row, ...], here: Evidence, there: Evidence) -> verdicts.Statement | None:
    """Turn a statement whose rows have records into one that can be judged; None where these cannot be compared."""
    if isinstance(one, Collapse):
        if not np.array_equal(here.results(rows[0])[0].session, there.results(rows[0])[0].session):
            return None
        terms = [(one.share, there.measured(rows[0], "recall")), (-1.0, here.measured(rows[0], "recall"))]
        return verdicts.Above(uncertainty.contrast(terms), margin=None)
    first, second = rows
    if isinstance(one, LongerGain):
        inside, outside = (
            (here.measured(first, "recall", span), here.measured(second, "recall", span)) for span in _spans(one)
        )
        needed = claims.published(one, here.column)
        return verdicts.Above(uncertainty.gain_difference(inside, outside), margin=None, needed=needed)
    a, b = here.measured(first, one.metric), here.measured(second, one.metric)
    if isinstance(one, Gain):
        return verdicts.gain_as_published(uncertainty.relative_gain(a, b), one.per_cent)
    effect = uncertainty.difference(a, b)
    return verdicts.Close(effect, one.points) if isinstance(one, Close) else verdicts.Above(effect)


def _spans(one: LongerGain) -> tuple[tuple[int, int], tuple[int, int]]:
    return one.lengths, one.than


def _words(one: Statement, rows: tuple[Row, ...]) -> str:
    if isinstance(one, Collapse):
        before = catalog.dataset(one.before).title
        return f"{rows[0].label}: {one.share:g} × Recall@20 on {before} − Recall@20 here"
    first, second = (row.label for row in rows)
    if isinstance(one, LongerGain):
        spans = [f"{low}-{high}" for low, high in _spans(one)]
        return f"gain of {first} over {second} in hits, %: on {spans[0]} clicks − on {spans[1]} clicks"
    metric = METRICS[one.metric]
    if isinstance(one, Gain):
        within = verdicts.SHARE * one.per_cent
        return f"gain of {first} over {second} in {metric}, %: ours − the paper's, within ±{within:g}"
    if isinstance(one, Close):
        return f"{first} − {second}, {metric}, within ±{one.points:g}"
    assert isinstance(one, Above)
    return f"{first} − {second}, {metric}"
