"""The claims of the paper's text, each tested on the stored records: supported, contradicted, or neither."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from reproduce.evaluation.uncertainty import MOST_SEEDS, POWER
from reproduce.evaluation.verdicts import MARGIN, SHARE, Verdict
from reproduce.paper import numbers
from reproduce.paper.claims import CLAIMS, Claim
from reproduce.reports import Page, judging
from reproduce.reports import page as pages
from reproduce.reports.document import Block, Bullets, Cell, Document, Folded, Number, Table, p_value
from reproduce.reports.judging import Evidence, Said
from reproduce.reports.records import Records, papers_task
from reproduce.runs.request import Request

CONTRADICTED = 4  # the exit status of --strict
SUPPORTED, AGAINST, UNDECIDED = "supported", "contradicted", "undecided"
NOT_TESTABLE, NOT_JUDGED, NOT_RUN, NO_CLAIM = "not testable", "not judged", "not run", "·"

WORDS = {
    Verdict.HOLDS: SUPPORTED,
    Verdict.FAILS: AGAINST,
    Verdict.NEGLIGIBLE: "negligible",
    Verdict.UNDECIDED: UNDECIDED,
    Verdict.ONE_RUN: NOT_JUDGED,
    Verdict.UNTESTABLE: NOT_TESTABLE,
    None: NOT_RUN,
}
MEANING = (
    "**Supported**: every comparison of the claim is shown. **Contradicted**: at least one is shown to be the other "
    "way round. **Undecided**: the noise is too large for either, or some comparisons are not run. **Not testable**: "
    "on these test sessions an effect of the paper's size would be found in less than four cases of five. **Not "
    "judged**: a single run, and how far another seed would move it is not known. **Provisional**: it rests on a row "
    "with fewer than three seeds. *Public code*: with BPR-MF, FPMC and GRU-Rec in the settings of public code, all "
    "rows counted alike. ·: the paper does not claim it there."
)
METHOD = (
    f"A comparison is shown where *p*, after Holm over the claim's comparisons, is below 0.05. Where a difference "
    f"beyond {MARGIN:g} points either way is ruled out, it is negligible.",
    f'"Close", and "as large as the paper\'s gain" (within {100 * SHARE:.0f} % of it), are shown by an equivalence '
    "test only: the 90 % interval lies within the margin.",
    "YOOCHOOSE 1/64 and 1/4 have the same test sessions, so their verdicts are not independent. DIGINETICA in time "
    "order is another task; its comparisons are in claims.csv and bear on no claim.",
    "More: [docs/method.md](../docs/method.md).",
)
CSV = (
    "claim",
    "data set",
    "bears on the claim",
    "comparison",
    "paper",
    "ours",
    "level",
    "p (Holm)",
    "verdict",
    "power",
)


def draw(request: Request, failed: Mapping[str, str]) -> Document:
    records = Records.of_request(request)
    evidence = {name: Evidence(records, name, records.searches(name)) for name in numbers.DATASETS}
    said = {claim.name: {name: judging.judge(claim, name, evidence) for name in evidence} for claim in CLAIMS}
    public = {
        claim.name: {name: judging.judge(claim, name, evidence, here.predicted) for name, here in evidence.items()}
        for claim in CLAIMS
    }
    papers = [name for name, here in evidence.items() if papers_task(name, here.records)]
    samples = [name for name in evidence if name not in (*papers, *numbers.OTHER_ORDER)]
    run = [name for name in papers if any(overall(one[name]) != NOT_RUN for one in said.values() if one[name])]
    shown = run or papers[:1] or list(evidence)[:1]
    head = ["claim", "the paper says"]
    head += [text for name in shown for text in (pages.title_of(name), f"{pages.title_of(name)}, public code")]
    verdicts: list[list[Cell]] = []
    for claim in CLAIMS:
        both = [_verdict(one[claim.name][name]) for name in shown for one in (said, public)]
        verdicts.append([claim.name, claim.text, *both])
    deciding = [row for c in CLAIMS for name in shown if (row := _deciding(c, name, said[c.name][name]))]
    remarks = records.remarks(*shown)
    csv = [row for c in CLAIMS for name in evidence for row in _csv(c, name, said[c.name][name], name in papers)]
    absent = [pages.title_of(name) for name in papers if name not in run]
    parts: list[Block] = [
        Table(head, verdicts, "Verdicts", labels=len(head)),
        MEANING + (f" No records of {pages.listed(absent)}." if absent else ""),
        *(f"{pages.title_of(name)}: a sample of the paper's data, which bears on no claim." for name in samples),
    ]
    if deciding:
        columns = ["claim", "data set", "comparison", "paper", "ours", "p", "seeds"]
        parts += [
            "**The comparison that decides**: for each claim, the one nearest to failing. Points; intervals over test "
            "sessions and seeds, at the level of the comparison's step in Holm's method. *Seeds*: of each row, that "
            "would find the paper's effect four times in five.",
            Table(columns, deciding, "The comparison that decides", labels=3),
        ]
    parts += [*_when_tuned(evidence, shown), Folded("Method", [Bullets(METHOD)])]
    parts += [Bullets(remarks)] if remarks else []
    contradicted = any(overall(one[name]) == AGAINST for one in said.values() for name in papers)
    return Document(
        "Do the paper's claims hold?",
        _answer(said, run),
        f"{len(CLAIMS)} claims of the NARM paper's text, each as comparisons of two rows of its tables.",
        parts,
        pages.foot("claims", request, "Every comparison: [claims.csv](claims.csv)."),
        pages.data(records, {"claims.csv": Table(CSV, csv)}),
        status=CONTRADICTED if request.options.get("strict") and contradicted else 0,
    )


PAGE = Page(draw)


def overall(said: Sequence[Said]) -> str:
    """Return one verdict for all comparisons of a claim, in the words of the page."""
    if not said:
        return NO_CLAIM
    verdict = judging.overall(said)
    return next((word for known, word in WORDS.items() if known is not None and known.value == verdict), "") or (
        NOT_RUN if verdict == judging.NOT_RUN else UNDECIDED
    )


def _verdict(said: Sequence[Said]) -> str:
    word = overall(said)
    text = f"**{word}**" if word in (SUPPORTED, AGAINST) else word
    return f"{text}, provisional" if judging.provisional(said) else text


def _answer(said: Mapping[str, Mapping[str, list[Said]]], shown: Sequence[str]) -> list[str]:
    """Return a bullet for each verdict, with the claims that have it."""
    found: dict[str, dict[str, list[str]]] = {}
    for claim, by_dataset in said.items():
        for name in shown:
            if (word := overall(by_dataset[name])) != NO_CLAIM:
                found.setdefault(word, {}).setdefault(pages.title_of(name), []).append(claim)
    total = sum(len(claims) for one in found.values() for claims in one.values())

    def where(word: str) -> str:
        return "; ".join(f"{pages.listed(claims)} on {title}" for title, claims in found[word].items())

    def count(word: str) -> int:
        return sum(map(len, found.get(word, {}).values()))

    if not shown:
        return ["None of the paper's data sets has records yet."]
    words = [word for word in (SUPPORTED, AGAINST) if word in found]
    lines = [f"**{word.capitalize()}** ({count(word)} of {total} tests): {where(word)}." for word in words]
    others = sorted((word for word in found if word not in (*words, NOT_RUN)), key=count, reverse=True)
    return [*lines, *(f"**{word.capitalize()}** ({count(word)}): {where(word)}." for word in others)][:4]


def _deciding(claim: Claim, dataset: str, said: Sequence[Said]) -> list[Cell]:
    """Return a row on the comparison of a claim that is nearest to failing; [] without one."""
    judged = [one for one in said if one.effect is not None]
    if not judged:
        return []
    failing = [one for one in judged if one.verdict is Verdict.FAILS]
    if failing:
        one = min(failing, key=lambda one: (one.p, one.effect.value if one.effect else 0.0))
    else:
        one = max(judged, key=lambda one: (one.verdict is not Verdict.HOLDS, -_distance(one)))
    assert one.effect is not None
    cell = Number(one.effect.value, interval=one.effect.interval(one.level), signed=True)
    paper = None if one.published is None else Number(one.published, signed=True)
    p = "" if math.isnan(one.p) else p_value(one.p)
    return [claim.name, pages.title_of(dataset), one.statement, paper, cell, p, _needed(one)]


def _needed(one: Said) -> str | None:
    """Say how many seeds of each row would decide an undecided comparison if the paper's effect were true."""
    if not one.undecided or math.isnan(one.power):
        return None
    if one.power >= POWER:
        return f"enough ({one.power:.2f})"
    return f">{MOST_SEEDS}" if one.seeds is None else str(one.seeds)


def _distance(one: Said) -> float:
    """Return how far a comparison is from failing, in standard errors."""
    assert one.effect is not None
    error = one.effect.s if one.effect.s > 0 else math.inf
    return -abs(one.effect.value) / error if "within ±" in one.statement else one.effect.value / error


def _csv(claim: Claim, dataset: str, said: Sequence[Said], bears: bool) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for one in said:
        effect = None
        if one.effect is not None:
            effect = Number(one.effect.value, interval=one.effect.interval(one.level))
        paper = None if one.published is None else Number(one.published)
        p = None if math.isnan(one.p) else Number(one.p)
        power = None if math.isnan(one.power) else Number(one.power)
        level = None if effect is None else Number(one.level)
        word = "not tuned equally" if one.unequal else WORDS[one.verdict]
        rows.append(
            [claim.name, dataset, "yes" if bears else "no", one.statement, paper, effect, level, p, word, power]
        )
    return rows


def _when_tuned(evidence: Mapping[str, Evidence], shown: Sequence[str]) -> list[Block]:
    """Judge the claims again with every method of a comparison tuned on the same budget."""
    rows: list[list[Cell]] = []
    for claim in CLAIMS:
        said = {name: judging.judge(claim, name, evidence, evidence[name].tuned_equally) for name in shown}
        if any(one.verdict is not None and one.searched for name in shown for one in said[name]):
            cells = [
                "not tuned equally" if all(one.unequal for one in said[n]) and said[n] else _verdict(said[n])
                for n in shown
            ]
            rows.append([claim.name, *cells])
    if not rows:
        return [
            "No claim can be tested with equally tuned methods yet: no two methods were tuned with the same budget."
        ]
    head = ["claim", *map(pages.title_of, shown)]
    return ["**With every method tuned on the same budget**:", Table(head, rows, "Tuned equally", labels=len(head))]
