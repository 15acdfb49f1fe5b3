"""A page as a document: what it says, free of any output format.

The renderers make Markdown, text for a terminal, LaTeX, CSV, JSON and HTML of it.

Texts use four marks of Markdown and no others: **bold**, *italic*, `code` and [link](address).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from reproduce.paper.numbers import Score

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = "—"  # a number that cannot be computed, such as an interval from a single session
NOT_RUN = "not run"


def signed(value: float, places: int = 2) -> str:
    """Format a difference with its sign: +0.37, −1.20."""
    return decimal(value, places, sign=True)


def decimal(value: float, places: int = 2, *, sign: bool = False) -> str:
    """Format a number with a fixed number of decimals and a true minus sign; a rounded zero has no sign."""
    if not math.isfinite(value):
        return UNKNOWN
    text = f"{value:{'+' if sign else ''}.{places}f}"
    if not text.strip("+-0."):
        return text.lstrip("+-")
    return text.replace("-", "−")


def p_value(p: float) -> str:
    """Format a p-value with two digits."""
    if math.isnan(p):
        return UNKNOWN
    return "<0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.001 else f"{p:.3f}" if p < 0.01 else f"{p:.2f}"


@dataclass(frozen=True)
class Number:
    """A number in a table, with its uncertainty and its marks.

    `half` is half of a 95 % interval around a value; `interval` is given with a difference instead.
    """

    value: float
    half: float | None = None
    interval: tuple[float, float] | None = None
    places: int = 2
    signed: bool = False
    mark: Literal["", "bold", "close"] = ""
    notes: str = ""  # ¹, †
    sd: float | None = None  # over seeds; exported, not shown

    @property
    def text(self) -> str:
        """The number without its mark."""
        text = decimal(self.value, self.places, sign=self.signed)
        if self.half is not None and math.isfinite(self.half):
            text += f" ±{self.half:.1f}"
        if self.interval is not None:
            low, high = (decimal(end, self.places, sign=self.signed) for end in self.interval)
            text += f" ({low} to {high})"
        return text


class Gap(Score):
    """Recall@20 and MRR@20 less others, shown with their signs."""


Cell = str | int | Number | Score | None  # None: the column does not apply to the row


def score_text(score: Score) -> str:
    return " / ".join(decimal(value, sign=isinstance(score, Gap)) for value in (score.recall, score.mrr))


@dataclass(frozen=True)
class Table:
    """A table whose cells know what they are: a mapping from columns to cells for each row.

    A column that applies to no row is left out. The first `labels` columns name the row.
    """

    lines: Sequence[Mapping[str, Cell]]
    title: str = ""  # what the table shows, for exported files
    labels: int = 1

    @property
    def columns(self) -> list[str]:
        names = dict.fromkeys(name for line in self.lines for name in line)
        return [name for name in names if any(line.get(name) is not None for line in self.lines)]

    @property
    def rows(self) -> list[list[Cell]]:
        return [[line.get(column) for column in self.columns] for line in self.lines]

    @property
    def grid(self) -> list[list[Cell]]:
        """The columns' names and the rows."""
        return [[*self.columns], *self.rows]

    def frame(self) -> pd.DataFrame:
        """Return plain values: a number and its ends, marks and notes have a column each where any row has them."""
        import pandas as pd

        rows = [
            {f"{column}{part}": value for column, cell in line.items() for part, value in _values(cell)}
            for line in self.lines
        ]
        parts = ("", ": Recall@20", ": MRR@20", ": low", ": high", ": sd", ": mark", ": notes")
        there = {key for row in rows for key in row}
        return pd.DataFrame(
            rows, columns=[key for name in self.columns for part in parts if (key := name + part) in there]
        )


def _values(cell: Cell) -> Iterator[tuple[str, object]]:
    """Yield the plain values of a cell by what its column's name is followed by."""
    match cell:
        case Number():
            low, high = cell.interval or (None, None)
            if cell.half is not None:
                low, high = cell.value - cell.half, cell.value + cell.half
            yield "", cell.value
            parts = {": low": low, ": high": high, ": sd": cell.sd, ": mark": cell.mark, ": notes": cell.notes}
            yield from ((part, value) for part, value in parts.items() if value not in (None, ""))
        case Score():
            yield from ((": Recall@20", cell.recall), (": MRR@20", cell.mrr))
        case _:
            yield "", cell


@dataclass(frozen=True)
class Figure:
    """A figure and the content of its files, by file name; `alt` says in words what the caption says, but shorter."""

    name: str
    alt: str
    caption: str
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Bullets:
    lines: Sequence[str]


@dataclass(frozen=True)
class Folded:
    """Parts that a reader unfolds; a terminal shows them only if they say what a figure does."""

    title: str
    parts: Sequence[Block]
    on_terminal: bool = False


@dataclass(frozen=True)
class Section:
    """Parts under a heading, about one data set if `dataset` names it."""

    title: str
    parts: Sequence[Block]
    dataset: str = ""


Block = str | Table | Figure | Bullets | Folded | Section


@dataclass(frozen=True)
class Document:
    """A page: its title, its answer in at most four bullets, and its parts."""

    title: str
    answer: Sequence[str] = ()
    introduction: str = ""  # a sentence before the answer
    parts: Sequence[Block] = ()
    foot: str = ""  # the command that makes the page, and where more is
    data: Mapping[str, str] = field(default_factory=dict)  # CSV files beside the page: file name -> content
    shown: Sequence[str] = ()  # the data sets to show on a terminal; empty: all
    status: int = 0  # the exit status if nothing failed

    @property
    def figures(self) -> dict[str, bytes]:
        """The content of every figure file, by its name in figures/."""
        figures = [block.files for _, block in _blocks(self.parts) if isinstance(block, Figure)]
        return {name: content for files in figures for name, content in files.items()}

    @property
    def tables(self) -> list[tuple[str, Table]]:
        """The tables in their order, each with a caption: the headings above it and its title."""
        return [
            (". ".join(filter(None, [*headings, block.title])) + ".", block)
            for headings, block in _blocks(self.parts, self.title)
            if isinstance(block, Table)
        ]


def _blocks(parts: Sequence[Block], *headings: str) -> Iterator[tuple[tuple[str, ...], Block]]:
    """Yield every part, also those inside others, with the headings above it."""
    for part in parts:
        yield headings, part
        if isinstance(part, Section | Folded):
            yield from _blocks(part.parts, *headings, part.title)
