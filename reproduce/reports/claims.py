"""The claims of the paper's text, each tested on the stored records: it holds, fails, or the records cannot tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reproduce import catalog
from reproduce.evaluation.uncertainty import LEVEL
from reproduce.evaluation.verdicts import MARGIN, SHARE, Verdict
from reproduce.paper import numbers
from reproduce.paper.claims import CLAIMS, Claim
from reproduce.reports import Drawn, Page, judging
from reproduce.reports import page as pages
from reproduce.reports.judging import NOT_RUN, Evidence, Said
from reproduce.reports.page import DASH
from reproduce.reports.shelf import Shelf
from reproduce.runs.request import Request

CONTRADICTED = 4  # the exit status of --strict

Cells = Mapping[str, Mapping[str, list[Said]]]  # claim -> data set -> what the records say of its statements

INTRODUCTION = (
    "Do the claims of the NARM paper's text hold on our records? Each claim comes to some statements about two rows of "
    "the paper's tables, and each is judged with published settings, counting the noise between test sessions and "
    "between seeds."
)
WORDS = (
    "**holds**: every statement is shown. **fails**: at least one is shown to be wrong, after Holm over the claim's "
    "statements. **incomplete**: nothing is shown to be wrong, and records are missing. Noise leads to **undecided**, "
    "never to holds or fails.",
    "**with public code**: the same claim with BPR-MF, FPMC and GRU-Rec in the settings of public code "
    "([table2.md](table2.md)), all rows counted alike.",
    "**provisional**: it rests on a row with fewer than three seeds.",
    f'"A is better than B" holds where the interval of the difference lies above 0, fails where it lies below, and is '
    f'"negligible" where a difference beyond {MARGIN:g} points either way is ruled out. Each interval has the level of '
    "its step in Holm's method, so it leaves out 0 exactly if the adjusted p is below 0.05.",
    '"Close", and "as large as the '
    f"paper's gain\" (within {100 * SHARE:.0f} % of it, the paper's numbers being single runs too), hold by an "
    "equivalence test only.",
    '"one run: not judged": no model like it has several seeds, so how far another seed moves it is not known. '
    '"cannot be tested": the paper\'s effect would be lost in the noise of this data.',
    "YOOCHOOSE 1/64 and 1/4 have the same test sessions, so their verdicts are not independent. DIGINETICA by time is "
    "not what the paper ran: shown, not judged.",
)
# The word for each verdict in a count, in this order; the first two are always given.
COUNTED = {
    Verdict.HOLDS: "hold",
    Verdict.FAILS: "fail",
    Verdict.NEGLIGIBLE: "negligible",
    Verdict.UNDECIDED: "undecided",
    Verdict.ONE_RUN: "not judged",
    Verdict.UNTESTABLE: "cannot be tested",
}


def draw(request: Request, failed: Mapping[str, str]) -> Drawn:
    own = Shelf.at(request.results, request.digests)
    evidence = {name: Evidence(own, name, own.searches(name)) for name in numbers.DATASETS}
    cells = {one.name: {name: judging.judge(one, name, evidence) for name in evidence} for one in CLAIMS}
    public = {
        one.name: {name: judging.judge(one, name, evidence, here.predicted) for name, here in evidence.items()}
        for one in CLAIMS
    }
    judged = {name: pages.papers_task(name, one.records) for name, one in evidence.items()}
    parts = [
        "# The paper's claims",
        INTRODUCTION,
        "\n".join(f"- {line}" for line in _summary(cells, judged)),
        _table(cells, public, judged),
        "\n".join(f"- {line}" for line in [*WORDS, *_power(cells, judged)]),
        _when_tuned(evidence, judged),
        "## Numbers",
        *(_numbers(claim, cells[claim.name]) for claim in CLAIMS),
        _noise(evidence),
        "\n".join(f"- {line}" for line in [*own.remarks, f"Made by {pages.command('claims', request)}."]),
    ]
    text = "\n\n".join(part for part in parts if part) + "\n"
    return Drawn(text, status=status(cells, judged) if request.options.get("strict") else 0)


PAGE = Page(draw)


def status(cells: Cells, judged: Mapping[str, bool]) -> int:
    """Return the exit status under --strict; only verdicts on the paper's own data count."""
    words = [judging.overall(said) for one in cells.values() for name, said in one.items() if judged[name]]
    return CONTRADICTED if Verdict.FAILS.value in words else 0


def counts(said: Sequence[Said]) -> str:
    """Count the verdicts in words, such as "6 hold, 0 fail, 1 missing of 7"."""
    verdicts = [one.verdict for one in said]
    told = [f"{verdicts.count(one)} {word}" for one, word in COUNTED.items() if one in verdicts or word in "hold fail"]
    unequal = sum(one.unequal for one in said)
    missing = verdicts.count(None) - unequal
    told += [f"{missing} missing"] if missing else []
    told += [f"{unequal} not tuned equally"] if unequal else []
    return f"{', '.join(told)} of {len(said)}"


def _summary(cells: Cells, judged: Mapping[str, bool]) -> list[str]:
    """Return a line for each data set that is judged and has records."""
    lines = []
    for name in (one for one, counted in judged.items() if counted):
        words: dict[str, list[str]] = {}
        for claim, said in cells.items():
            if said[name]:
                words.setdefault(judging.overall(said[name]), []).append(claim)
        if set(words) > {NOT_RUN}:
            total = sum(map(len, words.values()))
            order = [Verdict.HOLDS.value, Verdict.FAILS.value]
            order += [word for word in words if word not in (*order, NOT_RUN)] + [NOT_RUN]
            told = [f"**{word}** {', '.join(words[word])}" for word in order if word in words]
            lines.append(f"{catalog.dataset(name).title}, {total} claims: {'; '.join(told)}.")
    return lines or ["None of the paper's data sets has records yet."]


def _table(cells: Cells, public: Cells, judged: Mapping[str, bool]) -> str:
    head = ["claim"]
    for name, counted in judged.items():
        head += [_title(name, counted), *(["with public code"] if counted else [])]
    lines = []
    for claim in CLAIMS:
        line = [f"{claim.name}: {claim.text}"]
        for name, counted in judged.items():
            line.append(_cell(cells[claim.name][name], counted))
            if counted:
                line.append(_cell(public[claim.name][name], counted))
        lines.append(line)
    return pages.table(head, lines, names=len(head))


def _title(dataset: str, judged: bool) -> str:
    return catalog.dataset(dataset).title + ("" if judged else ", shown only")


def _cell(said: Sequence[Said], judged: bool) -> str:
    word = judging.overall(said)
    if word == DASH:
        return DASH
    if word == NOT_RUN:
        return f"{NOT_RUN} ({len(said)})"
    word = f"**{word}**" + ", provisional" * judging.provisional(said)
    return f"{word}: {counts(said)}" if judged else counts(said)


def _when_tuned(evidence: Mapping[str, Evidence], judged: Mapping[str, bool]) -> str:
    """Judge the claims again with every method of a statement tuned on the same budget.

    The table has the claims of which at least one statement can be judged so; the others are named below it.
    """
    cells = {
        one.name: {name: judging.judge(one, name, evidence, here.tuned_equally) for name, here in evidence.items()}
        for one in CLAIMS
    }
    lines, rest = [], []
    for claim in CLAIMS:
        said = cells[claim.name]
        if any(one.verdict is not None and one.searched for name in said for one in said[name]):
            lines.append(
                [f"{claim.name}: {claim.text}", *(_tuned_cell(said[n], counted) for n, counted in judged.items())]
            )
        else:
            rest.append(claim.name)
    head = ["claim", *(_title(name, counted) for name, counted in judged.items())]
    told = "Where every method of a statement was searched on held-out training sessions, with the same budget:"
    parts = ["## When every method is tuned equally", told, pages.table(head, lines, names=len(head)) if lines else ""]
    if rest:
        parts.append(f"Not tuned equally: {', '.join(rest)}, in no statement.")
    return "\n\n".join(part for part in parts if part)


def _tuned_cell(said: Sequence[Said], judged: bool) -> str:
    if said and all(one.verdict is None for one in said):
        return "not tuned equally" if any(one.unequal for one in said) else f"{NOT_RUN} ({len(said)})"
    return _cell(said, judged)


def _power(cells: Cells, judged: Mapping[str, bool]) -> list[str]:
    """Return a line for each undecided claim that says how many seeds would decide it."""
    return [
        f"{claim} on {catalog.dataset(name).title}: {told}"
        for claim, by_dataset in cells.items()
        for name in (one for one, counted in judged.items() if counted)
        if (told := judging.power_line(by_dataset[name]))
    ]


def _numbers(claim: Claim, cells: Mapping[str, list[Said]]) -> str:
    """Return the statements of a claim with their numbers, folded."""
    lines, lacking = [], []
    for name, said in cells.items():
        title = catalog.dataset(name).title
        lines += [[title, *_line(one)] for one in said if one.effect is not None]
        rows = list(dict.fromkeys(label for one in said for label in one.lacking))
        if rows and any(one.effect is not None for one in said):
            lacking.append(f"- {title}: no records of {', '.join(rows)}.")
    head = ["data set", "statement", "ours", "interval (Holm)", "p (Holm)", "paper", "verdict"]
    table = pages.table(head, lines, names=2) if lines else "No records yet."
    return pages.folded(f"{claim.name}: {claim.text}", *filter(None, [table, "\n".join(lacking)]))


def _line(one: Said) -> list[str]:
    assert one.effect is not None and one.verdict is not None
    low, high = one.effect.interval(one.level)
    p = DASH if one.p != one.p else "< 0.0001" if one.p < 0.0001 else f"{one.p:.4f}"
    paper = DASH if one.published is None else f"{one.published:+.2f}"
    interval = f"{low:+.2f} to {high:+.2f}" + ("" if one.level == LEVEL else f" ({100 * one.level:.4g} %)")
    verdict = one.verdict.value + ", provisional" * one.provisional
    return [one.statement, f"{one.effect.value:+.2f}", interval, p, paper, verdict]


def _noise(evidence: Mapping[str, Evidence]) -> str:
    lines = [
        f"- {catalog.dataset(name).title}. {one.seeds.told(metric, one.records)}"
        for name, one in evidence.items()
        if one.records
        for metric in ("recall", "mrr")
    ]
    return pages.folded("Noise between seeds", "\n".join(lines)) if lines else ""
