"""Which differences between recommenders are more than noise: every pair of rows on the same test prefixes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reproduce import catalog
from reproduce.evaluation import comparisons
from reproduce.evaluation.comparisons import Pair
from reproduce.evaluation.uncertainty import ALPHA, Estimate, Measurement, OneRun
from reproduce.paper import controls
from reproduce.paper.counting import Counting
from reproduce.paper.rows import ROWS
from reproduce.reports import Drawn, Page, figures_matrix, measuring
from reproduce.reports import page as pages
from reproduce.reports.comparison import FULL_DECODER, tuned_rows
from reproduce.reports.figures_matrix import Cell, Matrix
from reproduce.reports.measuring import METRICS, Mark, Seeds
from reproduce.reports.shelf import Shelf
from reproduce.runs.record import Result
from reproduce.runs.request import Request

FEW = 10  # ours: sessions; if fewer carry half of a variance, other sessions might change the verdict
NAMED = 4  # the most pairs or rows named in a line; the folded table has all pairs
INTRODUCTION = (
    "Is one recommender better than another, or is the difference noise between test sessions and between seeds? "
    "Rows stand from the best to the worst. Each cell is the row less the column, in points, on the same test "
    "prefixes. **≈**: no more than noise. **?**: one of the two has a single run, and how far another seed would move "
    "it is not known, so the pair is not judged. Unmarked: more than noise. Intervals hold for all pairs of a table at "
    "once: where nothing differs, a table has no unmarked cell in 95 of 100 cases."
)

Pairs = Mapping[tuple[str, str], Pair | OneRun]


@dataclass(frozen=True)
class Compared:
    """One metric on one data set: the measured rows, highest first, and the comparison of every pair."""

    metric: str
    rows: Mapping[str, Measurement]
    pairs: Pairs

    @classmethod
    def of(cls, found: Mapping[str, list[Result]], metric: str, seeds: Seeds) -> Compared:
        rows = measuring.measured(found, metric, seeds)
        ordered = {label: rows[label] for label in sorted(rows, key=lambda label: -rows[label].value)}
        return cls(metric, ordered, comparisons.pairwise(ordered))

    @property
    def title(self) -> str:
        return METRICS[self.metric]


def draw(request: Request, failed: Mapping[str, str]) -> Drawn:
    own = Shelf.of(request)
    asked = [name for name in pages.viewed_datasets(request, own) if (own.folder / "runs" / name).is_dir()]
    parts = ["# Which differences are more than noise", INTRODUCTION]
    drawn: dict[str, bytes] = {}
    parts += [_section(request, own, dataset, drawn) for dataset in asked]
    if not asked:
        parts.append(f"No records yet: {pages.command('table2', request)}.")
    return Drawn("\n\n".join(parts) + "\n", drawn)


PAGE = Page(draw)


def recorded(request: Request, own: Shelf, dataset: str) -> dict[str, list[Result]]:
    """Return the records of all rows of a data set, by label: published and tuned settings, controls, own models.

    Only records of the split that most rows have are kept; a remark names each row that loses some or all of its own.
    """
    wanted = [*ROWS, FULL_DECODER, *(row.at(dataset) for row in controls.ROWS), *own.others(dataset)]
    asked = request.rows(wanted)
    asked += [
        row
        for row in tuned_rows(own, dataset, own.searches(dataset))
        if not request.models or row.model in request.models
    ]
    found = {row.label: own.results(row, dataset) for row in asked}
    kept = measuring.of_one_split(found)
    for label, results in found.items():
        if left_out := len(results) - len(kept.get(label, ())):
            part = "" if left_out == len(results) else f"{left_out} of {len(results)} "
            own.remarks.append(f"{label}: {part}records of another split; left out.")
    return kept


def _section(request: Request, own: Shelf, dataset: str, drawn: dict[str, bytes]) -> str:
    title = catalog.dataset(dataset).title
    found = recorded(request, own, dataset)
    text = [f"## {title}"]
    if len(found) > 1:
        seeds = Seeds.of(request.results, next(iter(found.values()))[0])
        both = [Compared.of(found, metric, seeds) for metric in METRICS]
        name = f"significance-{dataset}"
        drawn |= figures_matrix.matrices(name, [_matrix(one) for one in both])
        caption = f"{title}: row less column, in points."
        text.append(pages.figure(name, caption))
        for one in both:
            told = "\n".join(f"- {line}" for line in _lines(one, found, seeds))
            numbers = f"{one.title} in numbers: the figure as a table, and {_pairs(len(one.pairs))} with interval and p"
            text += [f"### {one.title}", told, pages.folded(numbers, _table(one), _list(one))]
    else:
        text.append("Fewer than two rows have records.")
    told_of = pages.about([one for results in found.values() for one in results])
    told_of.append(f"Made by {pages.command('significance', request, dataset=dataset)}.")
    text.append(pages.folded("Records", "\n".join(f"- {line}" for line in told_of)))
    text += ["\n".join(f"- {line}" for line in own.remarks)] if own.remarks else []
    own.remarks.clear()
    return "\n\n".join(text)


def _lines(compared: Compared, found: Mapping[str, list[Result]], seeds: Seeds) -> list[str]:
    """Return the lines above the numbers: verdicts, noise between seeds, reliance on few sessions, effect of ties."""
    told = [_verdicts(compared), seeds.told(compared.metric, [results[0] for results in found.values()])]
    few = {key: one for key, one in compared.pairs.items() if 0 < _alone(one).half < FEW}
    if few:
        fewest = min(few, key=lambda key: _alone(few[key]).half)
        told.append(
            f"{len(few)} of {len(compared.pairs)} differences hang on few sessions: half of their session noise "
            f"comes from fewer than {FEW} of them (fewest: {_alone(few[fewest]).half}, {' − '.join(fewest)})."
        )
    told += _moved_by_ties(compared, found, seeds)
    return told


def _verdicts(compared: Compared) -> str:
    """State which rows may be the best, by multiple comparisons with the best, and how many pairs differ."""
    kinds = [_kind(one) for one in compared.pairs.values()]
    different, alike, unjudged = (kinds.count(kind) for kind in ("different", "alike", "not judged"))
    counts = [f"{different} {'differs' if different == 1 else 'differ'} by more than noise"]
    counts += [f"{alike} {'does' if alike == 1 else 'do'} not"] if alike else []
    counts += [f"{unjudged} {'is' if unjudged == 1 else 'are'} not judged"] if unjudged else []
    marks = measuring.marks(compared.rows)
    highest = next(iter(compared.rows))
    equal = [label for label, mark in marks.items() if mark == "equal"]
    open_ones = [label for label, mark in marks.items() if mark == "not judged"]
    if compared.rows[highest].unknown:
        told = f"Highest: {highest}, a single run: whether it is the best is not judged"
    else:
        told = f"May be the best: {', '.join([highest, *equal]) if equal else f'{highest} alone'}"
        if open_ones:
            told += f" (not judged: {', '.join(open_ones) if len(open_ones) <= NAMED else f'{len(open_ones)} rows'})"
    return f"{told}. Of {_pairs(len(kinds))} {', '.join(counts)}.{_between(compared, marks, highest)}"


def _between(compared: Compared, marks: Mapping[str, Mark], highest: str) -> str:
    """Explain rows that are ruled out as the best though they differ from the highest by noise only; "" if none."""
    rows = [
        worse
        for (better, worse), one in compared.pairs.items()
        if better == highest and marks[worse] == "behind" and _kind(one) == "alike"
    ]
    if not rows:
        return ""
    told = f"{', '.join(rows)} {'are' if len(rows) > 1 else 'is'} ruled out as the best, though ≈ beside {highest}"
    return f" {told}: looking for the best takes fewer comparisons than judging all pairs."


def _moved_by_ties(compared: Compared, found: Mapping[str, list[Result]], seeds: Seeds) -> list[str]:
    """Name the pairs whose verdict changes with tied items in random order; [] if no printed number changes."""
    rows = measuring.measured(found, compared.metric, seeds, rule=Counting(ties="at random"))
    if all(abs(rows[label].value - one.value) < 0.005 for label, one in compared.rows.items()):
        return []  # no row changes as printed
    expected = comparisons.pairwise({label: rows[label] for label in compared.rows})
    told = []
    for (a, b), one in compared.pairs.items():
        other, sign = (expected[a, b], 1) if (a, b) in expected else (expected[b, a], -1)
        before, after = _side(one, 1), _side(other, sign)
        if before != after:
            told.append(f"{a} − {b} {_marked(one.value, before)}, then {_marked(sign * other.value, after)}")
    if not told:
        return ["Tied items count against the target; in a random order no pair would be judged otherwise."]
    named = "; ".join(told[:NAMED]) + (f"; and {len(told) - NAMED} more" if len(told) > NAMED else "")
    return [
        f"Tied items count against the target. In a random order (the mean over the tied places) {_pairs(len(told))} "
        f"would be judged otherwise: {named}."
    ]


def _pairs(n: int) -> str:
    return "1 pair" if n == 1 else f"{n} pairs"


def _side(one: Pair | OneRun, sign: int) -> int | None:
    """Return 1 if the difference is above 0 beyond noise, -1 if below, 0 if neither; None if it is not judged."""
    kind = _kind(one)
    return None if kind == "not judged" else 0 if kind == "alike" else sign * (1 if one.value > 0 else -1)


def _marked(value: float, side: int | None) -> str:
    return f"{value:+.2f}" + {None: " (?)", 0: " (≈)"}.get(side, "")


def _alone(one: Pair | OneRun) -> Estimate:
    return one.alone if isinstance(one, Pair) else one.these_runs


def _kind(one: Pair | OneRun) -> figures_matrix.Kind:
    if isinstance(one, OneRun):
        return "not judged"
    return "different" if one.p < ALPHA else "alike"


def _cell(one: Pair | OneRun) -> str:
    """Format a difference briefly, so that eighteen columns fit on a page; the list of pairs has two decimals."""
    number = f"{one.value:.1f}" if one.value < 9.95 else f"{one.value:.0f}"
    return {"different": "", "alike": "≈", "not judged": "?"}[_kind(one)] + number


def _matrix(compared: Compared) -> Matrix:
    labels = list(compared.rows)
    place = {label: i for i, label in enumerate(labels)}
    cells = {(place[a], place[b]): Cell(one.value, _cell(one), _kind(one)) for (a, b), one in compared.pairs.items()}
    return Matrix(compared.title, labels, cells)


def _table(compared: Compared) -> str:
    """Make a table of the matrix above the diagonal; the rest is its negative. Columns are headed by row numbers."""
    matrix = _matrix(compared)
    count = len(matrix.labels)
    lines = []
    for i, (label, one) in enumerate(compared.rows.items()):
        cells = [matrix.cells[i, j].text if i < j else "" for j in range(1, count)]
        lines.append([f"{i + 1} {label}", f"{one.value:.2f}", *cells])
    return pages.table(["row − column", compared.title, *(str(j + 1) for j in range(1, count))], lines)


def _list(compared: Compared) -> str:
    lines = []
    for (a, b), one in compared.pairs.items():
        line = [f"{a} − {b}", f"{one.value:+.2f}"]
        if isinstance(one, Pair):
            line += [f"{one.low:+.2f} to {one.high:+.2f}", _p(one.p)]
        else:
            line += ["one run: not judged", pages.DASH]
        lines.append([*line, str(_alone(one).half)])
    head = ["pair", "difference", "95 % interval, all at once", "p, of all", "sessions with half of the noise"]
    return pages.table(head, lines)


def _p(p: float) -> str:
    if p < 0.0001:
        return "< 0.0001"
    return f"{p:.3f}" if p >= 0.005 else f"{p:.4f}"
