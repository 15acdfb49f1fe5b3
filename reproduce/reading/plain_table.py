"""A table of any columns from a file or a frame, strictly: what cannot be is refused with its file and row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from reproduce.errors import InputError, in_a_line
from reproduce.reading import table
from reproduce.reading.columns import Form


@dataclass(frozen=True)
class PlainTable:
    """The columns of a file by their names in small letters."""

    file: Path
    columns: Mapping[str, Any]  # pyarrow's arrays, (rows,) each

    def error(self, row: int | None, why: str) -> InputError:
        """Return an error about the file or one of its rows, counted from 0; messages count them from 1."""
        return InputError(f"{self.file}: {'' if row is None else f'row {row + 1}: '}{why}")

    def whole(self, name: str) -> np.ndarray:
        """Return a column as int64, (rows,)."""
        values = self.complete(name).to_pylist()
        numbers = pd.to_numeric(pd.Series([str(value) for value in values]), errors="coerce").to_numpy(float)
        bad = ~((numbers == np.round(numbers)) & (np.abs(numbers) < 2**53))
        if bad.any():
            row = int(np.argmax(bad))
            raise self.error(row, f"{name} is {in_a_line(repr(values[row]), 40)}, expected a whole number")
        return numbers.astype(np.int64)

    def texts(self, name: str) -> Any:
        """Return a column of ids as text; a whole floating-point number as its digits."""
        column = self.complete(name)
        if pa.types.is_floating(column.type):
            column = pa.array(self.whole(name))
        if not (pa.types.is_integer(column.type) or is_text(column.type)):
            raise self.error(None, f"{name} is of type {column.type}, expected text or whole numbers")
        return column.cast(pa.large_string())

    def complete(self, name: str) -> Any:
        """Return a column as it is. Raises InputError for the first row in which it is missing."""
        column = self.columns[name]
        if column.null_count:
            row = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
            raise self.error(row, f"{name} is missing; fill it in")
        return column


def read(file: Path, source: Path | pd.DataFrame, what: str) -> PlainTable:
    """Read a table with a header from a file of any form that logs have, or from a frame.

    Args:
        file: the name for messages.
        source: the file, or the frame.
        what: what the rows are, for messages.

    Raises:
        InputError: the file is absent, broken or empty, or two columns have one name.
    """
    opened = table.opened_file(source, Form()) if isinstance(source, Path) else table.TypedFile(source)
    names = [name.strip().lower() for name in opened.header]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{file}: two columns are called {in_a_line(name)}; keep one of them")
    batches = [columns for columns, lines in opened.batches(list(range(len(names)))) if len(lines)]
    if not batches:
        raise InputError(f"{file}: it has no rows, expected {what}")
    whole = [pa.chunked_array(list(map(table.plain, parts))).combine_chunks() for parts in zip(*batches, strict=True)]
    if opened.counts == "line":  # text, where nothing between two separators is a missing value
        whole = [pc.if_else(pc.equal(column, ""), None, column) if is_text(column.type) else column for column in whole]
    return PlainTable(file, dict(zip(names, whole, strict=True)))


def is_text(kind: Any) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
