"""Read a table of clicks in Parquet with pyarrow (the extra `parquet`), under the same checks as a table of text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from reproduce.errors import InputError
from reproduce.reading.own_table import MISSING, Choose, Table
from reproduce.reading.own_times import END, BadTime, TimeColumn


def read(file: Path, choose: Choose, unit: str | None) -> Table:
    """Read a table of clicks from a .parquet file; the arguments are those of own_table.read.

    Raises:
        InputError: pyarrow is absent, the file is broken, or a row is malformed; it names the row, counted from 1.
        UsageError: the columns that the user names do not fit the table.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InputError(f"{file}: Parquet needs pyarrow: pip install pyarrow, or save it as .csv") from error
    try:
        header = pq.read_schema(file).names
        places = choose(header, str(file))
        content = pq.read_table(file, columns=[header[place] for place in places.values()])
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{file}: not whole Parquet ({str(error).partition(chr(10))[0]}); get another copy") from error
    if not content.num_rows:
        raise InputError(f"{file}: it has no rows, expected a click log")
    names = {role: header[place] for role, place in places.items()}
    owner_role = next(iter(places))
    columns = {role: content.column(name).combine_chunks() for role, name in names.items()}
    for role, column in columns.items():
        if column.null_count:
            row = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
            raise InputError(f"{file}: row {row + 1}: the {role} is missing; fill it in or remove such rows")
    owner, _ = _numbered(columns[owner_role], owner_role, names[owner_role], file)
    item, items = _numbered(columns["item"], "item", names["item"], file)
    times, told = _times(columns["time"], file, unit)
    return Table(owner, item, times, items, names, told)


def _numbered(column: Any, role: str, name: str, file: Path) -> tuple[np.ndarray, list[str]]:
    """Number ids by first appearance; return the numbers, (rows,), and the ids as text."""
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise InputError(f"{file}: the {role} {name} is of type {kind}, expected text or integers")
    encoded = column.cast(kind).dictionary_encode()
    texts = [str(one) for one in encoded.dictionary.to_pylist()]
    numbers = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    for code, text in enumerate(texts):
        if text in MISSING or "\0" in text or not text.strip():
            row = int(np.argmax(numbers == code))
            raise InputError(f"{file}: row {row + 1}: the {role} is {text!r}, expected an id; mend or remove the row")
    return numbers, texts


def _times(column: Any, file: Path, unit: str | None) -> tuple[np.ndarray, str]:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zone = getattr(kind, "tz", None)
        values = column.cast(pa.timestamp("us", tz=zone), safe=False).cast(pa.int64()).to_numpy(zero_copy_only=False)
        outside = (values < 0) | (values >= END)
        if outside.any():
            row = int(np.argmax(outside))
            raise InputError(f"{file}: row {row + 1}: the time lies outside 1970 to 2099")
        return values, "timestamps with zone" if zone else "timestamps without zone, taken as UTC"
    times = TimeColumn(unit)
    try:
        times.take([str(one) for one in column.to_pylist()])
        return times.finish()
    except BadTime as bad:
        raise InputError(f"{file}: row {bad.row + 1}: {bad.why}") from bad
