"""From the records of a results folder to what they say of each statement of a claim."""

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
Chosen = Callable[[tuple[Row, ...]], tuple[Row, ...] | None]  # the rows that stand for those of a statement, if any


class Evidence:
    """The records of one data set that bear on claims, measured when a statement asks for them."""

    def __init__(self, own: Shelf, dataset: str, searches: Sequence[Found] = ()) -> None:
        self.dataset, self._own = dataset, own
        # By an older protocol a setting won by a single fit: that compares nothing.
        self.searches = [one for one in searches if one.protocol.version == VERSION]
        self.column = numbers.PAPER_COLUMN[dataset]
        self.seeds = Seeds(())
        self._results: dict[str, list[Result]] = {}
        self._measured: dict[tuple[str, str, tuple[int, int] | None], Measurement] = {}
        self._digest = self._commonest()

    @property
    def records(self) -> list[Result]:
        """Those that statements have asked for."""
        return [one for results in self._results.values() for one in results]

    def results(self, row: Row) -> list[Result]:
        """The records of a row; none where they are of another split than those asked for before."""
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
        """The split that most rows of the claims have records of."""
        statements = [one for claim in claims.CLAIMS for one in claim.statements.get(self.column, ())]
        rows = {row.label: row for one in statements for row in claims.rows(one)}
        found = [results[0] for row in rows.values() if (results := self._own.results(row, self.dataset))]
        digests = Counter({one.experiment.path: str(one.split["digest"]) for one in found}.values())  # each row once
        return digests.most_common(1)[0][0] if digests else ""

    def measured(self, row: Row, metric: str, lengths: tuple[int, int] | None = None) -> Measurement:
        """A metric of a row with records, on prefixes of some lengths, both ends included; default all."""
        key = (f"{row.label} {sorted(row.at(self.dataset).fields.items())}", metric, lengths)
        if key not in self._measured:
            results = self.results(row)
            length = results[0].length
            where = None if lengths is None else (lengths[0] <= length) & (length <= lengths[1])
            self._measured[key] = measuring.measured({"": results}, metric, self.seeds, where)[""]
        return self._measured[key]

    def tuned_equally(self, rows: tuple[Row, ...]) -> tuple[Row, ...] | None:
        """Each row with the settings of its search; None where not all have one with the same budget.

        A model that has nothing to search stands as it is.
        """
        wanted = [row for row in rows if can_be_searched(row)]
        found = dict(zip((row.label for row in wanted), stored_search.compared(self.searches, wanted), strict=False))
        if wanted and not found:
            return None
        return tuple(_as_tuned(row, found[row.label]) if row.label in found else row for row in rows)


def can_be_searched(row: Row) -> bool:
    """Whether the model of a row states a field to search."""
    kind = catalog.recommenders().get(row.model)
    return kind is not None and any(one.metadata.get("search") for one in dataclasses.fields(kind))  # type: ignore[arg-type]


def _as_tuned(row: Row, found: Found) -> Row:
    if not found.better:
        return row
    return Row(f"{row.label} (tuned)", row.model, found.row.fields, found.row.on)


@dataclass(frozen=True)
class Said:
    """What the records say of a statement."""

    statement: str  # in words, with what its numbers are
    effect: Estimate | None = None  # None where it has no records
    level: float = uncertainty.LEVEL  # of the interval that the verdict goes by
    published: float | None = None  # the effect in the paper
    p: float = math.nan  # Holm's, over the statements of the claim
    verdict: Verdict | None = None  # None where it has no records
    lacking: tuple[str, ...] = ()  # the rows without records
    searched: bool = False  # the model of one of its rows has something to search
    unequal: bool = False  # its methods were not tuned equally

    @property
    def power(self) -> float:
        """How often the paper's effect would be found with this test part and ever so many seeds, from 0 to 1."""
        if self.effect is None or self.published is None or not self.effect.session_variance > 0:
            return math.nan
        z = abs(self.published) / math.sqrt(self.effect.session_variance)
        return float(special.ndtr(z - _TWO_SIDED) + special.ndtr(-z - _TWO_SIDED))

    @property
    def blind(self) -> bool:
        """Whether nothing is shown, and more seeds might not help: the paper's effect is found less than 4 times in 5.

        Only of statements that one row is above another; how close rows are is another question.
        """
        settled = self.verdict in (None, Verdict.HOLDS, Verdict.FAILS)
        return not settled and self.level == uncertainty.LEVEL and self.power < 0.8


def judge(
    claim: claims.Claim, dataset: str, evidence: Mapping[str, Evidence], chosen: Chosen = lambda rows: rows
) -> list[Said]:
    """What is said of each statement of a claim on a data set.

    Args:
        evidence: by data set; a collapse looks at two.
        chosen: the rows that stand for those of a statement; those of published settings unless others are asked for.
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
    """A statement whose rows have records, as what can be judged; None where these cannot be compared."""
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
