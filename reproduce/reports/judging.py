"""Judge each statement of a claim from the records in a results folder."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from reproduce import catalog
from reproduce.evaluation import uncertainty, verdicts
from reproduce.evaluation.uncertainty import Estimate, Measurement, OneRun
from reproduce.evaluation.verdicts import Verdict
from reproduce.paper import claims, numbers
from reproduce.paper.claims import Above, Close, Collapse, Gain, LongerGain, Statement
from reproduce.paper.rows import Row
from reproduce.reports import measuring
from reproduce.reports.measuring import METRICS, Seeds
from reproduce.reports.shelf import Shelf
from reproduce.runs import stored_search
from reproduce.runs.record import Result
from reproduce.runs.stored_search import Found
from reproduce.runs.trials import VERSION

_TWO_SIDED = float(special.ndtri(1 - uncertainty.ALPHA / 2))
Chosen = Callable[[tuple[Row, ...]], tuple[Row, ...] | None]  # the rows to take for a statement's, if any


class Evidence:
    """The records of one data set that bear on claims, read and measured when they are first needed."""

    def __init__(self, own: Shelf, dataset: str, searches: Sequence[Found] = ()) -> None:
        self.dataset, self._own = dataset, own
        # In an older protocol a single fit decided which setting won: that is no basis for a comparison.
        self.searches = [one for one in searches if one.protocol.version == VERSION]
        self.column = numbers.PAPER_COLUMN[dataset]
        self.seeds = Seeds(())
        self._results: dict[str, list[Result]] = {}
        self._measured: dict[tuple[str, str, tuple[int, int] | None], Measurement] = {}
        self._digest = self._commonest()

    @property
    def records(self) -> list[Result]:
        """The records used so far."""
        return [one for results in self._results.values() for one in results]

    def results(self, row: Row) -> list[Result]:
        """Return the records of a row; none where one is of another split than most rows of the claims."""
        key = f"{row.label} {sorted(row.at(self.dataset).fields.items())}"
        if key not in self._results:
            found = self._own.results(row, self.dataset)
            if any(one.split["digest"] != self._digest for one in found):
                self._own.remarks.append(f"{self.dataset}, {row.label}: records of another split; left out.")
                found = []
            if found and not self.records:
                self.seeds = Seeds.of(self._own.folder, found[0])
            self._results[key] = found
        return self._results[key]

    def _commonest(self) -> str:
        """Return the digest of the split that most rows of the claims have records of; "" without records."""
        statements = [one for claim in claims.CLAIMS for one in claim.statements.get(self.column, ())]
        rows = {row.label: row for one in statements for row in claims.rows(one)}
        found = [results[0] for row in rows.values() if (results := self._own.results(row, self.dataset))]
        digests = Counter({one.experiment.path: str(one.split["digest"]) for one in found}.values())  # each run once
        return digests.most_common(1)[0][0] if digests else ""

    def measured(self, row: Row, metric: str, lengths: tuple[int, int] | None = None) -> Measurement:
        """Measure a metric, in per cent, of a row that has records.

        Args:
            metric: "recall" or "mrr".
            lengths: the least and the greatest number of clicks in the prefixes to use; default all.
        """
        key = (f"{row.label} {sorted(row.at(self.dataset).fields.items())}", metric, lengths)
        if key not in self._measured:
            results = self.results(row)
            length = results[0].length
            where = None if lengths is None else (lengths[0] <= length) & (length <= lengths[1])
            self._measured[key] = measuring.measured({"": results}, metric, self.seeds, where)[""]
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
    level: float = uncertainty.LEVEL  # of the interval that decides the verdict
    published: float | None = None  # the effect in the paper
    p: float = math.nan  # after Holm's correction over the statements of the claim
    verdict: Verdict | None = None  # None where records are missing or cannot be compared
    lacking: tuple[str, ...] = ()  # the rows without records
    searched: bool = False  # the model of one of its rows has something to search
    unequal: bool = False  # its methods were not tuned equally

    @property
    def power(self) -> float:
        """The probability, with any number of seeds, of finding the paper's effect on this test part; may be NaN."""
        if self.effect is None or self.published is None or not self.effect.session_variance > 0:
            return math.nan
        z = abs(self.published) / math.sqrt(self.effect.session_variance)
        return float(special.ndtr(z - _TWO_SIDED) + special.ndtr(-z - _TWO_SIDED))

    @property
    def blind(self) -> bool:
        """Whether nothing is shown and more seeds may not help: the paper's effect is found less than 4 times in 5.

        This is only for statements that one row is above another; how close two rows are is another question.
        """
        settled = self.verdict in (None, Verdict.HOLDS, Verdict.FAILS)
        return not settled and self.level == uncertainty.LEVEL and self.power < 0.8


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
    for one in claim.statements.get(here.column, ()):
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
    adjusted = verdicts.holm([one.p for one in weighed.values()])
    found = verdicts.judge(list(weighed.values()))
    for (i, judged), p, verdict in zip(weighed.items(), adjusted, found, strict=True):
        effect = judged.effect.these_runs if isinstance(judged.effect, OneRun) else judged.effect
        level = 1 - 2 * uncertainty.ALPHA if isinstance(judged, verdicts.Close) else uncertainty.LEVEL
        said[i] = dataclasses.replace(said[i], effect=effect, level=level, p=p, verdict=verdict)
    return said


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
