"""A split as files for other libraries: training clicks, test clicks, test prefixes, and a note on what to return."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reproduce.reading.sessions import Sessions, Split

if TYPE_CHECKING:
    import pyarrow as pa

NOTE = """# {name}: a split for other libraries

- `train.{kind}`: every training click: `session`, `item` and `position` in the session, from 0{time}.
  Train on these and on nothing else.
- `test.{kind}`: every test click, likewise. Training and test sessions are numbered apart: session 0 of one is not
  session 0 of the other.
- `prefixes.{kind}`: what is ranked. A prefix is the first `length` clicks of a test session, and `target` is the click
  after it. There are {prefixes:,} of them, and {items:,} items ({ids}).

Rank all {items:,} items after each prefix and write, as .parquet, .csv or .tsv, one of

- `session, length, rank`: the rank of the target, 1 is best. Where other items have the target's score, give the bounds
  of its rank instead, `best_rank` and `worst_rank`: an item tied with the target counts as ahead of it.
- `session, length, items`: the recommended items, the best first: a list, in text divided by spaces. Or a row for each
  item, `session, length, item, rank`. Such files give metrics down to the length of the longest list.

Every prefix must be there exactly once, and a prefix may use its own clicks only. Items already clicked may be
recommended again and stay in the catalogue, unless you mean to leave them out. Then

    python -m reproduce table2 --dataset {name} --ranks mine.parquet

shows the file as a row beside the models of this suite, with intervals and paired tests. `--ranks "My model=mine.csv"`
names the row. Several seeds are several files: `--ranks mine-seed0.csv mine-seed1.csv`.
"""


def session_ids(split: Split) -> list[str]:
    """Return the names of the test sessions: the log's own, else their numbers from 0."""
    own = split.test_sessions
    return list(map(str, range(len(split.test)) if own is None else own))


def item_ids(split: Split) -> list[str]:
    """Return the names of the items: the log's own, else their numbers from 0."""
    return list(map(str, range(split.test.n_items) if split.vocabulary is None else split.vocabulary.tolist()))


def files(split: Split, kind: str) -> dict[str, Callable[[Path], object]]:
    """Return the files of a split, by name, each with the function that writes it to a path.

    Args:
        kind: "parquet" or "csv".
    """
    tables = {"train": _clicks(split, split.train), "test": _clicks(split, split.test), "prefixes": _prefixes(split)}
    note = NOTE.format(
        name=split.name,
        kind=kind,
        time=""
        if split.train.dates is None
        else "; `session_time` is when the session ended,\n  in seconds since 1970",
        prefixes=tables["prefixes"].num_rows,
        items=split.test.n_items,
        ids="their numbers in this suite" if split.vocabulary is None else "the log's own ids",
    )
    written: dict[str, Callable[[Path], object]] = {
        f"{name}.{kind}": _writer(table, kind) for name, table in tables.items()
    }
    return {**written, "README.md": lambda place: place.write_text(note, encoding="utf-8")}


def _writer(table: pa.Table, kind: str) -> Callable[[Path], object]:
    import pyarrow.csv
    import pyarrow.parquet

    write = pyarrow.parquet.write_table if kind == "parquet" else pyarrow.csv.write_csv
    return lambda place: write(table, place)


def _clicks(split: Split, sessions: Sessions) -> pa.Table:
    import pyarrow as pa

    items, owner = sessions.clicks()
    columns = {
        "session": _names(split, sessions).take(pa.array(owner)),
        "item": _ids(split).take(pa.array(items)),
        "position": pa.array(np.arange(len(items)) - (np.cumsum(sessions.lengths) - sessions.lengths)[owner]),
    }
    if sessions.dates is not None:
        columns["session_time"] = pa.array(sessions.dates[owner])
    return pa.table(columns)


def _prefixes(split: Split) -> pa.Table:
    import pyarrow as pa

    prefixes, targets = split.test.prefixes()
    return pa.table(
        {
            "session": _names(split, split.test).take(pa.array(split.test.prefix_owner())),
            "length": pa.array(prefixes.lengths),
            "target": _ids(split).take(pa.array(targets)),
        }
    )


def _names(split: Split, sessions: Sessions) -> pa.Array:
    import pyarrow as pa

    own = split.test_sessions if sessions is split.test else None
    return pa.array(np.arange(len(sessions)) if own is None else list(map(str, own)))


def _ids(split: Split) -> pa.Array:
    import pyarrow as pa

    if split.vocabulary is None:
        return pa.array(np.arange(split.test.n_items))
    return pa.array(split.vocabulary.tolist())
