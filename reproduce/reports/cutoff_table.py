"""A comparison in any measures, of rows that have records of one split.

The rank of every target is stored, so another metric or cut-off needs no new run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev

from reproduce.evaluation.metrics import Measure
from reproduce.reports import measuring
from reproduce.reports import page as pages
from reproduce.reports.measuring import Seeds, View
from reproduce.runs.record import Result

USUAL = View()


@dataclass(frozen=True)
class Cell:
    """A metric of a row, in per cent."""

    value: float
    half_width: float  # from the value to either end of its 95 % interval
    sd: float | None  # over seeds; None for a single seed


def columns(
    rows: Mapping[str, Sequence[Result]], measures: Sequence[Measure], seeds: Seeds, view: View = USUAL
) -> dict[str, dict[str, Cell]]:
    """Return every measure by title, such as "NDCG@10", and by row.

    Args:
        rows: the records of each row, at least one, all of one split.
        measures: one that is given twice is shown once.
        seeds: the rows that show the noise between seeds.
        view: which test prefixes count, and how ties count.
    """
    return {one.title: _column(rows, one, seeds, view) for one in dict.fromkeys(measures)}


def highest(column: Mapping[str, Cell]) -> float:
    return max(cell.value for cell in column.values())


def head_and_lines(
    rows: Mapping[str, Sequence[Result]], measures: Sequence[Measure], seeds: Seeds
) -> tuple[list[str], list[list[str]]]:
    """Return the head and the lines of a page's table; the highest number of a column is bold."""
    shown = columns(measuring.of_one_split(rows), measures, seeds)
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


def text(rows: Mapping[str, Sequence[Result]], measures: Sequence[Measure], seeds: Seeds) -> str:
    """Return the table under its heading; "" where no other measure was asked for, or no row has a record."""
    head, lines = head_and_lines(rows, measures, seeds) if measures else ([], [])
    if not lines:
        return ""
    told = "Ours, counted as above. **Bold**: the highest of a column, whether or not it can be told from the next."
    return "\n\n".join(["### In other measures", pages.table(head, lines), told])


def _column(rows: Mapping[str, Sequence[Result]], measure: Measure, seeds: Seeds, view: View) -> dict[str, Cell]:
    found = {}
    for label, one in measuring.measured(rows, measure, seeds, view.where, view.rule).items():
        points = [float(point) for point in one.points]
        half = measuring.half_width(measuring.alone(one))
        found[label] = Cell(one.value, half, stdev(points) if len(points) > 1 else None)
    return found
