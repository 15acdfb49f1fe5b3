"""The claims of the paper's text, each tested on the stored records: supported, contradicted, or neither."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reproduce.evaluation import uncertainty, verdicts
from reproduce.evaluation.uncertainty import MOST_SEEDS, POWER, Estimate, Measurement
from reproduce.evaluation.verdicts import SHARE, Verdict
from reproduce.paper import claims, numbers
from reproduce.paper.claims import CLAIMS, Claim, Close, Collapse, Comparison, Gain, LongerGain
from reproduce.paper.originals import PREDICTED
from reproduce.paper.rows import Row, searched
from reproduce.reports import measuring, renderers
from reproduce.reports.document import NOT_RUN, Cell, Document, Number, Table, p_value
from reproduce.reports.lengths import of_lengths
from reproduce.reports.measuring import METRICS, Seeds
from reproduce.reports.records import Records, papers_task
from reproduce.reports.study import Page, Study, joined, title_of
from reproduce.runs.record import Result

CONTRADICTED = 4  # the exit status of --strict
DECIDED = (Verdict.SUPPORTED, Verdict.CONTRADICTED)
NO_CLAIM = "·"
MEANING = (
    "**Supported**: every comparison of the claim is shown. **Contradicted**: at least one is shown to be the other "
    "way round. **Undecided**: the noise is too large for either, or some comparisons are not run. **Not testable**: "
    "on these test sessions an effect of the paper's size would be found in less than four cases of five. **Not "
    "judged**: a single run, and how far another seed would move it is not known. **Provisional**: it rests on a row "
    "with fewer than three seeds. *Public code*: with BPR-MF, FPMC and GRU-Rec in the settings of public code, and "
    "one evaluation protocol for all rows. ·: the paper does not claim it there."
)
DECIDING = (
    "**The weakest comparison that is run**, of each claim. Points; intervals over test sessions and seeds, at the "
    "level of the comparison's step in Holm's method (within ±1: 90 %, and p against it). *Seeds*: of each row, that "
    "would find the paper's effect four times in five."
)
METHOD = (
    "YOOCHOOSE 1/64 and 1/4 have the same test sessions, so their verdicts are not independent. DIGINETICA in time "
    "order is another task; its comparisons are in claims.csv and bear on no claim. How verdicts are reached: "
    "docs/method.md."
)
Chosen = Callable[[tuple[Row, ...]], tuple[Row, ...]]  # the rows to take for a comparison's


def draw(study: Study) -> Document:
    records = study.records
    evidence = {name: Evidence(records, name) for name in numbers.DATASETS}
    judged = {name: {claim.name: judge(claim, name, evidence) for claim in CLAIMS} for name in evidence}
    papers = [name for name, here in evidence.items() if papers_task(name, here.every)]
    samples = [name for name in evidence if name not in (*papers, *numbers.OTHER_ORDER)]
    run = [name for name in papers if {*map(overall, judged[name].values())} - {NO_CLAIM, NOT_RUN}]
    shown = run or papers[:1] or list(evidence)[:1]
    table: list[dict[str, Cell]] = []
    for claim in CLAIMS:
        line: dict[str, Cell] = {"claim": claim.name, "the paper says": claim.text}
        for name in shown:
            line[title_of(name)] = _verdict(judged[name][claim.name])
            line[f"{title_of(name)}, public code"] = _verdict(judge(claim, name, evidence, as_public_code))
        table.append(line)
    deciding = [line for claim in CLAIMS for name in shown for line in _deciding(claim, name, judged[name][claim.name])]
    absent = [title_of(name) for name in papers if name not in run]
    csv = [
        line
        for claim in CLAIMS
        for name in evidence
        for line in _csv(claim, name, judged[name][claim.name], name in papers)
    ]
    contradicted = any(Verdict.CONTRADICTED in map(overall, judged[name].values()) for name in papers)
    return Document(
        "Do the paper's claims hold?",
        list(_answer(judged, run)),
        f"{len(CLAIMS)} claims of the NARM paper's text, each as comparisons of two rows of its tables.",
        [
            Table(table, "Verdicts", labels=len(table[0])),
            MEANING + (f" No records of {joined(absent)}." if absent else ""),
            *(f"{title_of(name)}: a sample of the paper's data, which bears on no claim." for name in samples),
            searched(shown),
            DECIDING if deciding else "",
            Table(deciding, "The weakest comparison", labels=3),
            METHOD,
        ],
        foot="Every comparison: [claims.csv](claims.csv).",
        data={"claims.csv": renderers.csv(csv)},
        status=CONTRADICTED if study.request.options.get("strict") and contradicted else 0,
    )


PAGE = Page(draw)


# Judging


class Evidence:
    """The records of one data set that bear on claims, measured when they are first needed."""

    def __init__(self, records: Records, dataset: str) -> None:
        self._records, self.dataset = records, dataset
        self.column = numbers.PAPER_COLUMN[dataset]
        self.every = records.of(dataset)
        self.seeds = Seeds.of(records, self.every[0]) if self.every else Seeds({})
        self._measured: dict[str, Measurement] = {}

    def results(self, row: Row) -> list[Result]:
        """Return the records of a row."""
        return self._records.results(row, self.dataset)

    def measured(self, row: Row, metric: str, lengths: tuple[int, int] | None = None) -> Measurement:
        """Measure a metric, in per cent, of a row that has records.

        Args:
            metric: "recall" or "mrr".
            lengths: the least and the greatest number of clicks in the prefixes to use; default all.
        """
        key = f"{row.model} {sorted(row.at(self.dataset).fields.items())} {metric} {lengths}"
        if key not in self._measured:
            where = of_lengths(*lengths) if lengths else measuring.every_prefix
            self._measured[key] = measuring.measured({"": self.results(row)}, metric, self.seeds, where)[""]
        return self._measured[key]


def as_public_code(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Return each row of the paper with the settings of public code; others stay as they are."""
    public = {label: prediction.row for label, prediction in PREDICTED.items()}
    return tuple(
        Row(f"{row.label} (public code)", new.model, new.fields, new.on)
        if (new := public.get(row.label)) and new.fields != row.fields
        else row
        for row in rows
    )


@dataclass(frozen=True)
class Outcome:
    """What the records say of a comparison."""

    words: str  # the comparison, with the meaning and unit of its numbers
    effect: Estimate | None = None  # None where records are missing or cannot be compared
    level: float = uncertainty.LEVEL  # of the interval that decides the verdict, by Holm's method
    published: float | None = None  # the effect in the paper
    p: float = math.nan  # after Holm's correction over the comparisons of the claim
    verdict: Verdict | None = None  # None where records are missing or cannot be compared
    power: float = math.nan  # of supporting the comparison if the truth is as published, with the seeds that there are
    seeds: int | None = None  # of each row with which that power is 0.8; None: not by 100, or not asked

    @property
    def provisional(self) -> bool:
        """Whether there is a verdict, and it rests on a row with fewer than three seeds."""
        judged = self.verdict not in (None, Verdict.NOT_JUDGED, Verdict.NOT_TESTABLE)
        return judged and self.effect is not None and self.effect.provisional


def judge(
    claim: Claim, dataset: str, evidence: Mapping[str, Evidence], chosen: Chosen = lambda rows: rows
) -> list[Outcome]:
    """Judge each comparison of a claim on a data set.

    Args:
        evidence: by data set; a `Collapse` needs two of them.
        chosen: returns the rows to take for those of a comparison; by default these, with published settings.
    """
    here = evidence[dataset]
    outcomes: list[Outcome] = []
    weighed: dict[int, verdicts.Comparison] = {}
    comparisons = claim.comparisons.get(here.column, ())
    for comparison in comparisons:
        rows = chosen(claims.rows(comparison))
        there = evidence[comparison.before] if isinstance(comparison, Collapse) else here
        recorded = all(here.results(row) and there.results(row) for row in rows)
        if recorded and (weighable := _weigh(comparison, rows, here, there)) is not None:
            weighed[len(outcomes)] = weighable
        outcomes.append(Outcome(_words(comparison, rows), published=claims.published(comparison, here.column)))
    for (i, weighable), judgement in zip(weighed.items(), verdicts.judge(list(weighed.values())), strict=True):
        effect, level, verdict = measuring.estimate(weighable.effect), judgement.level, judgement.verdict
        outcomes[i] = replace(outcomes[i], effect=effect, level=level, p=judgement.p, verdict=verdict)
        true = 0.0 if isinstance(comparisons[i], Gain) else outcomes[i].published
        if verdict is Verdict.UNDECIDED and true is not None:
            power = functools.partial(weighable.power, true=true, level=level)
            outcomes[i] = replace(outcomes[i], power=power(effect), seeds=effect.seeds_for(power))
    return outcomes


def _weigh(
    comparison: Comparison, rows: tuple[Row, ...], here: Evidence, there: Evidence
) -> verdicts.Comparison | None:
    """Turn a comparison whose rows have records into one that can be judged; None where these cannot be compared."""
    if isinstance(comparison, Collapse):
        if not np.array_equal(here.results(rows[0])[0].session, there.results(rows[0])[0].session):
            return None
        terms = [(comparison.share, there.measured(rows[0], "recall")), (-1.0, here.measured(rows[0], "recall"))]
        return verdicts.Above(uncertainty.contrast(terms))
    first, second = rows
    if isinstance(comparison, LongerGain):
        inside, outside = (
            (here.measured(first, "recall", span), here.measured(second, "recall", span))
            for span in (comparison.lengths, comparison.than)
        )
        needed = claims.published(comparison, here.column)
        return verdicts.Above(uncertainty.gain_difference(inside, outside), needed)
    a, b = here.measured(first, comparison.metric), here.measured(second, comparison.metric)
    if isinstance(comparison, Gain):
        return verdicts.gain_as_published(uncertainty.relative_gain(a, b), comparison.per_cent)
    effect = uncertainty.difference(a, b)
    return verdicts.Close(effect, comparison.points) if isinstance(comparison, Close) else verdicts.Above(effect)


def _words(comparison: Comparison, rows: tuple[Row, ...]) -> str:
    if isinstance(comparison, Collapse):
        return f"{rows[0].label}: {comparison.share:g} × Recall@20 on {title_of(comparison.before)} − Recall@20 here"
    first, second = (row.label for row in rows)
    if isinstance(comparison, LongerGain):
        inside, outside = (f"{low}-{high}" for low, high in (comparison.lengths, comparison.than))
        return f"gain of {first} over {second} in hits, %: on {inside} clicks − on {outside} clicks"
    metric = METRICS[comparison.metric]
    if isinstance(comparison, Gain):
        share = SHARE * comparison.per_cent
        return f"gain of {first} over {second} in {metric}, %: ours − the paper's, within ±{share:g}"
    within = f", within ±{comparison.points:g}" if isinstance(comparison, Close) else ""
    return f"{first} − {second}, {metric}{within}"


def overall(outcomes: Sequence[Outcome]) -> str:
    """Return one verdict for all comparisons of a claim, in the words of the page.

    A contradiction outweighs missing records, and these outweigh all else.
    """
    found = {outcome.verdict for outcome in outcomes}
    if not outcomes:
        return NO_CLAIM
    if Verdict.CONTRADICTED in found:
        return Verdict.CONTRADICTED
    if found == {None, Verdict.NOT_JUDGED}:
        return Verdict.NOT_JUDGED
    return (found.pop() or NOT_RUN) if len(found) == 1 else Verdict.UNDECIDED


def provisional(outcomes: Sequence[Outcome]) -> bool:
    """Return whether the verdict on all comparisons rests on a row with fewer than three seeds.

    A claim is contradicted by any comparison that is, and supported by all of them. Otherwise nothing is provisional.
    """
    failing = [outcome for outcome in outcomes if outcome.verdict is Verdict.CONTRADICTED]
    if failing:
        return all(outcome.provisional for outcome in failing)
    return overall(outcomes) == Verdict.SUPPORTED and any(outcome.provisional for outcome in outcomes)


# Showing


def _verdict(outcomes: Sequence[Outcome]) -> str:
    word = overall(outcomes)
    text = f"**{word}**" if word in DECIDED else word
    return f"{text}, provisional" if provisional(outcomes) else text


def _answer(judged: Mapping[str, Mapping[str, list[Outcome]]], shown: Sequence[str]) -> Iterator[str]:
    """Yield a bullet for each verdict, at most four, with the claims that have it."""
    found: dict[str, dict[str, list[str]]] = {}
    for claim in CLAIMS:
        for name in shown:
            if (word := overall(judged[name][claim.name])) != NO_CLAIM:
                found.setdefault(word, {}).setdefault(title_of(name), []).append(claim.name)
    count = {word: sum(map(len, titles.values())) for word, titles in found.items()}
    decided = [word for word in DECIDED if word in found]
    run = sum(count.values()) - count.get(NOT_RUN, 0)
    others = sorted(found.keys() - {*DECIDED, NOT_RUN}, key=lambda word: (-count[word], list(found).index(word)))
    for word in [*decided, *others][:4]:
        where = "; ".join(f"{joined(claims)} on {title}" for title, claims in found[word].items())
        of = f" of {run} tests" if word in decided else ""
        yield f"**{word.capitalize()}** ({count[word]}{of}): {where}."
    if not shown:
        yield "None of the paper's data sets has records yet."


def _deciding(claim: Claim, dataset: str, outcomes: Sequence[Outcome]) -> Iterator[dict[str, Cell]]:
    """Yield a row on the comparison of a claim that is nearest to failing."""
    judged = [(outcome, outcome.effect) for outcome in outcomes if outcome.effect is not None]
    failing = [pair for pair in judged if pair[0].verdict is Verdict.CONTRADICTED]
    if not judged:
        return
    if failing:
        outcome, effect = min(failing, key=lambda pair: (pair[0].p, pair[1].value))
    else:
        outcome, effect = max(judged, key=lambda pair: (pair[0].verdict is not Verdict.SUPPORTED, -_distance(*pair)))
    yield {
        "claim": claim.name,
        "data set": title_of(dataset),
        "comparison": outcome.words,
        "paper": None if outcome.published is None else Number(outcome.published, signed=True),
        "ours": Number(effect.value, interval=effect.interval(outcome.level), signed=True),
        "p": "" if math.isnan(outcome.p) else p_value(outcome.p),
        "seeds": _needed(outcome),
    }


def _needed(outcome: Outcome) -> str | None:
    """Say how many seeds of each row would decide an undecided comparison if the paper's effect were true."""
    if math.isnan(outcome.power):
        return None
    if outcome.power >= POWER:
        return f"enough ({outcome.power:.2f})"
    return f">{MOST_SEEDS}" if outcome.seeds is None else str(outcome.seeds)


def _distance(outcome: Outcome, effect: Estimate) -> float:
    """Return how far a comparison is from failing, in standard errors."""
    error = effect.s if effect.s > 0 else math.inf
    return -abs(effect.value) / error if "within ±" in outcome.words else effect.value / error


def _csv(claim: Claim, dataset: str, outcomes: Sequence[Outcome], bears: bool) -> Iterator[dict[str, object]]:
    """Yield the rows of claims.csv on a claim."""
    for outcome in outcomes:
        low, high = (None, None) if outcome.effect is None else outcome.effect.interval(outcome.level)
        yield {
            "claim": claim.name,
            "data set": dataset,
            "bears on the claim": "yes" if bears else "no",
            "comparison": outcome.words,
            "paper": outcome.published,
            "ours": None if outcome.effect is None else outcome.effect.value,
            "ours: low": low,
            "ours: high": high,
            "level": None if outcome.effect is None else outcome.level,
            "p (Holm)": outcome.p,
            "verdict": outcome.verdict or NOT_RUN,
            "power": outcome.power,
        }
