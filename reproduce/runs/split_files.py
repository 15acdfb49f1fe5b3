"""A split as files for other libraries: training clicks, test clicks, test prefixes, and a note on what to return."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from reproduce import catalog
from reproduce.files import replacing
from reproduce.reading.sessions import Sessions, Split

Files = Mapping[str, str | pa.Table]  # by name; a table is written in the form that the name's ending says

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

    python -m reproduce table2 --dataset {words} --ranks mine.parquet

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


def files(split: Split, kind: str) -> Files:
    """Return the files of a split, of the kind "parquet" or "csv"."""
    sessions, items = pa.array(session_ids(split)), pa.array(range(split.test.n_items))
    if split.test_sessions is None:
        sessions = pa.array(range(len(split.test)))
    if split.vocabulary is not None:
        items = pa.array(split.vocabulary.tolist())

    def clicks(part: Sessions, names: pa.Array) -> pa.Table:
        numbers, owner = part.clicks()
        columns = {
            "session": names.take(pa.array(owner)),
            "item": items.take(pa.array(numbers)),
            "position": pa.array(np.arange(len(numbers)) - (np.cumsum(part.lengths) - part.lengths)[owner]),
        }
        return pa.table(columns | ({} if part.dates is None else {"session_time": pa.array(part.dates[owner])}))

    prefixes, targets = split.test.prefixes()
    ranked = {
        "session": sessions.take(pa.array(split.test.prefix_owner())),
        "length": pa.array(prefixes.lengths),
        "target": items.take(pa.array(targets)),
    }
    dated = "; `session_time` is when the session ended,\n  in seconds since 1970"
    note = NOTE.format(
        name=split.name,
        words=shlex.join(catalog.current().data_words(split.name)),
        kind=kind,
        time="" if split.train.dates is None else dated,
        prefixes=len(targets),
        items=split.test.n_items,
        ids="their numbers in this suite" if split.vocabulary is None else "the log's own ids",
    )
    return {
        f"train.{kind}": clicks(split.train, pa.array(range(len(split.train)))),
        f"test.{kind}": clicks(split.test, sessions),
        f"prefixes.{kind}": pa.table(ranked),
        "README.md": note,
    }


def write(folder: Path, files: Files, option: str) -> list[str]:
    """Write files to a folder and return their paths. Raises InputError if it is full or not writable.

    Args:
        option: the option with which a user chooses another folder, for the error message.
    """
    for name, content in files.items():
        with replacing(folder / name, option=option) as temporary:
            if isinstance(content, str):
                temporary.write_text(content, encoding="utf-8")
            elif name.endswith(".parquet"):
                pyarrow.parquet.write_table(content, temporary)
            else:  # all text is quoted, since an id may hold anything, ends of lines too
                pyarrow.csv.write_csv(content, temporary)
    return [str(folder / name) for name in files]
