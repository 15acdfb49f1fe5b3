"""The rank of every test prefix as a long table: one line per test prefix, row of a page's table, and seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from reproduce.errors import InputError, UsageError
from reproduce.reading.sessions import Split
from reproduce.runs.record import Result


def files(
    dataset: str, rows: Mapping[str, Sequence[Result]], split: Split, kind: str
) -> dict[str, Callable[[Path], object]]:
    """Return the name of a data set's file, and the function that writes it to a path.

    Raises:
        InputError: the records were made from another split.
        UsageError: `kind` is "parquet" and pyarrow is not installed.
    """
    frame = pd.concat([_frame(label, one, split) for label, results in rows.items() for one in results])
    if kind == "csv":
        return {f"ranks-{dataset}.csv": lambda place: frame.to_csv(place, index=False, lineterminator="\n")}
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError("--ranks parquet needs pyarrow: pip install 'session-rec-reproduce[parquet]'") from error
    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    return {f"ranks-{dataset}.parquet": lambda place: pyarrow.parquet.write_table(table, place)}


def _frame(label: str, result: Result, split: Split) -> pd.DataFrame:
    """Make the table of one record; `target` is the log's own id if the split has it, else the item's number."""
    if split.digest != result.split["digest"]:
        raise InputError(
            f"{result.experiment.path}: made from other data or other rules than {split.name} has now; name the data "
            "and the options that it was made with"
        )
    _, targets = split.test.prefixes()
    counts = result.frame()
    return pd.DataFrame(
        {
            "model": label,
            "seed": result.experiment.seed,
            "session": counts["session"],
            "length": counts["length"],
            "target": targets if split.vocabulary is None else split.vocabulary[targets],
            "best_rank": counts["greater"] + 1,
            "worst_rank": counts["rank"],
        }
    )
