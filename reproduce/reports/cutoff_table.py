"""A comparison at any cut-off: Recall, MRR and NDCG of rows that have records of one split.

The rank of every target is stored, so another cut-off needs no new run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev

from reproduce.evaluation.cutoffs import TITLES, WORTH
from reproduce.reports import measuring
from reproduce.reports import page as pages
from reproduce.reports.measuring import Seeds
from reproduce.runs.record import Result


@dataclass(frozen=True)
class Cell:
    """A metric of a row, in per cent."""

    value: float
    half_width: float  # from the value to either end of its 95 % interval
    sd: float | None  # over seeds; None for a single seed


def columns(rows: Mapping[str, Sequence[Result]], cutoffs: Sequence[int], seeds: Seeds) -> dict[str, dict[str, Cell]]:
    """Return every metric at every cut-off, by title, such as "NDCG@10", and by row.

    Args:
        rows: the records of each row, at least one, all of one split.
        cutoffs: 1 or more each; one that is given twice is shown once.
        seeds: the rows that show the noise between seeds.
    """
    wanted = [(metric, k) for k in dict.fromkeys(cutoffs) for metric in WORTH]
    return {f"{TITLES[metric]}@{k}": _column(rows, metric, k, seeds) for metric, k in wanted}


def highest(column: Mapping[str, Cell]) -> float:
    return max(cell.value for cell in column.values())


def head_and_lines(
    rows: Mapping[str, Sequence[Result]], cutoffs: Sequence[int], seeds: Seeds
) -> tuple[list[str], list[list[str]]]:
    """Return the head and the lines of a page's table; the highest number of a column is bold."""
    shown = columns(measuring.of_one_split(rows), cutoffs, seeds)
    labels = list(next(iter(shown.values()), {}))
    lines = []
    for label in labels:
        texts = []
        for column in shown.values():
            cell = column[label]
            text = f"{cell.value:.2f} ±{cell.half_width:.1f}"
            texts.append(f"**{text}**" if cell.value == highest(column) else text)
        lines.append([label, *texts])
    return ["model", *shown], lines


def text(rows: Mapping[str, Sequence[Result]], cutoffs: Sequence[int], seeds: Seeds) -> str:
    """Return the table under its heading; "" where no other cut-off was asked for, or no row has a record."""
    head, lines = head_and_lines(rows, cutoffs, seeds) if cutoffs else ([], [])
    if not lines:
        return ""
    told = "Ours, counted as above. **Bold**: the highest of a column, whether or not it can be told from the next."
    return "\n\n".join(["### At other cut-offs", pages.table(head, lines), told])


def _column(rows: Mapping[str, Sequence[Result]], metric: str, k: int, seeds: Seeds) -> dict[str, Cell]:
    found = {}
    for label, one in measuring.measured_by(rows, lambda run: 100.0 * WORTH[metric](run.ranks(), k), seeds).items():
        points = [float(point) for point in one.points]
        half = measuring.half_width(measuring.alone(one))
        found[label] = Cell(one.value, half, stdev(points) if len(points) > 1 else None)
    return found
