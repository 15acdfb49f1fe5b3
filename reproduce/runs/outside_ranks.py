"""Ranks from outside: another library's ranks or recommendations for the test prefixes of a split, read from a file.

A file has one of two forms, told by its columns. Every test prefix, named by its session and its length in clicks, must
be there exactly once.

    session, length, rank                    the rank of the prefix's target among all items, 1 is best
    session, length, best_rank, worst_rank   the same where items tie with the target: the bounds of its rank
    session, length, items                   recommended items, the best first: a list, in text divided by spaces
    session, length, item, rank              the same with a row for each item

A list shows the target's rank only if the target is on it. A target that is not ranks below the longest list, somewhere
down to the end of the catalogue, so that metrics are known up to that depth and no further.
"""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reproduce import catalog
from reproduce.errors import InputError, UsageError, in_a_line
from reproduce.evaluation.metrics import Measure
from reproduce.paper import controls
from reproduce.paper.rows import ROWS
from reproduce.reading import plain_table
from reproduce.reading.plain_table import PlainTable, is_text
from reproduce.reading.sessions import Split
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import OUTSIDE, OutsideResult, Result, split_of_record
from reproduce.runs.split_files import item_ids, session_ids

if TYPE_CHECKING:
    import pandas as pd

FORMS = "session and length with rank, with best_rank and worst_rank, with items, or with item and rank"


def read(source: Path | pd.DataFrame, split: Split, label: str, seed: int = 0, family: str = "") -> OutsideResult:
    """Read the ranks or recommendations of all test prefixes of a split.

    Args:
        source: a file of any form that logs have, with a header; or a frame with the same columns.
        label: the row's name in tables.
        seed: numbers the files of one row.
        family: "", "softmax", "sampled" or "none"; see OutsideResult.

    Raises:
        InputError: the file is absent or broken, a test prefix is missing, doubled or unknown, or a rank or an item
            cannot be; it names the file, the row, counted from 1 without the header, and the remedy.
    """
    file = source if isinstance(source, Path) else Path(label)
    table = plain_table.read(file, source, "ranks of every test prefix")
    greater, equal, depth = _counts(_Table(file, table.columns, split))
    return OutsideResult(
        experiment=Experiment(split.name, f"{OUTSIDE}{label}", {}, seed),
        family=family,
        identity="",
        fields={},
        split=split_of_record(split),
        epochs=[],
        environment={},
        session=split.test.prefix_owner(),
        length=split.test.prefixes()[0].lengths,
        greater=greater,
        equal=equal,
        file=file.name if isinstance(source, Path) else "",
        depth=depth,
    )


def rows(texts: Sequence[str], split: Split, family: str = "") -> dict[str, list[OutsideResult]]:
    """Read the rows that `--ranks` names, by label, each with a result for every seed.

    Args:
        texts: FILE or LABEL=FILE each; a FILE may be a pattern such as sasrec-seed*.csv. Files of one label are the
            seeds of one row. Without a label a row is named after its file, less an ending -seed and a number.
        family: see OutsideResult.

    Raises:
        UsageError: a pattern matches no file, or a file is named twice.
        InputError: a file is refused; see `read`.
    """
    files: dict[str, list[Path]] = {}
    for text in texts:
        label, pattern = ("", text) if Path(text).exists() else text.rpartition("=")[::2]
        for file in _matching(pattern):
            files.setdefault(_distinct(label or re.sub(r"-seed[0-9]+$", "", file.stem)), []).append(file)
    named = [file.resolve() for some in files.values() for file in some]
    for file in named:
        if named.count(file) > 1:
            raise UsageError(f"--ranks {file}: named twice; several seeds of a row are several files")
    return {
        label: [read(file, split, label, seed, family) for seed, file in enumerate(some)]
        for label, some in files.items()
    }


def _matching(pattern: str) -> list[Path]:
    if not any(sign in pattern for sign in "*?["):
        return [Path(pattern)]
    whole = Path(pattern)
    found = sorted(whole.parent.glob(whole.name))
    if not found:
        raise UsageError(f"--ranks {pattern}: no file has such a name")
    return found


def _distinct(label: str) -> str:
    """Return the label, marked if a row of this suite has it too."""
    taken = {row.label for row in (*ROWS, *controls.ROWS)} | {kind.label for kind in catalog.recommenders().values()}
    return f"{label} (from outside)" if label in taken else label


def of_options(options: Namespace, datasets: Sequence[str], measures: Sequence[Measure]) -> dict[str, Any]:
    """Return the rows that --ranks of a command names, by data set and label; {} without the option.

    Raises:
        UsageError: not exactly one data set is named.
        InputError: a file is refused, or its lists do not reach down to a cut-off that is shown.
    """
    if not options.ranks:
        return {}
    if len(datasets) != 1:
        raise UsageError("--ranks needs one --dataset: what the files have ranks of")
    found = rows(options.ranks, catalog.load_split(datasets[0], options.data), options.family)
    check_depth([result for some in found.values() for result in some], measures)
    return {datasets[0]: found}


def check_depth(results: Sequence[Result], measures: Sequence[Measure]) -> None:
    """Raise InputError if a cut-off is beyond the lists that a result was made from."""
    deepest = max(measures, key=lambda measure: measure.k)
    for result in results:
        if isinstance(result, OutsideResult) and result.depth is not None and deepest.k > result.depth:
            raise InputError(
                f"{result.file or result.experiment.model}: its lists have at most {result.depth} items, so "
                f"{deepest.title} is not known; recommend more items, or give ranks"
            )


@dataclass(frozen=True)
class _Table(PlainTable):
    """The columns of a file, and the split that they are about."""

    split: Split

    def ranks(self, name: str) -> np.ndarray:
        """Return a column of ranks, (rows,), each from 1 to the number of items."""
        ranks, n_items = self.whole(name), self.split.test.n_items
        wrong = (ranks < 1) | (ranks > n_items)
        if wrong.any():
            told = f"{name} is {ranks[_first(wrong)]}, expected 1 (the best) to {n_items:,} (the items of the split)"
            raise self.error(_first(wrong), told)
        return ranks

    def prefixes(self) -> np.ndarray:
        """Return the number of the test prefix that each row names, (rows,)."""
        names, texts, length = session_ids(self.split), self.texts("session"), self.whole("length")
        session = _places(texts, names)
        if (session < 0).any():
            row = _first(session < 0)
            told = f"session {in_a_line(repr(texts[row].as_py()), 40)}: not one of the {len(names):,} test sessions"
            raise self.error(row, f"{told}; rank the prefixes of this split, see `export --split`")
        owner, lengths = self.split.test.prefix_owner(), self.split.test.prefixes()[0].lengths
        wide = int(lengths.max(initial=0)) + 1
        prefix = np.full(len(names) * wide, -1)
        prefix[owner * wide + lengths] = np.arange(len(owner))
        found = np.where((length > 0) & (length < wide), prefix[session * wide + length.clip(0, wide - 1)], -1)
        if (found < 0).any():
            row = _first(found < 0)
            told = f"session {in_a_line(repr(names[session[row]]), 40)} has no test prefix of {length[row]} clicks"
            raise self.error(row, f"{told}; the length of a prefix is the number of clicks before its target")
        return found

    def check_all_there(self, prefixes: np.ndarray) -> None:
        """Raise InputError unless all test prefixes are among these."""
        absent = np.bincount(prefixes, minlength=len(self.split.test.prefix_owner())) == 0
        if absent.any():
            told = f"{absent.sum():,} of {len(absent):,} test prefixes are missing, the first of them"
            raise self.error(None, f"{told} {self.name(_first(absent))}; rank every one")

    def check_once(self, prefixes: np.ndarray) -> None:
        """Raise InputError unless every test prefix is among these exactly once."""
        again = _again(prefixes)
        if again.any():
            raise self.error(_first(again), f"{self.name(prefixes[_first(again)])} a second time; keep one row for it")
        self.check_all_there(prefixes)

    def name(self, prefix: int) -> str:
        session = session_ids(self.split)[self.split.test.prefix_owner()[prefix]]
        return f"session {in_a_line(repr(session), 40)}, length {self.split.test.prefixes()[0].lengths[prefix]}"


def _counts(table: _Table) -> tuple[np.ndarray, np.ndarray, int | None]:
    """Return greater and equal, (n,) each in the order of the test prefixes, and the depth down to which they hold."""
    there = table.columns.keys()
    if missing := {"session", "length"} - there:
        raise table.error(None, f"no column {' and '.join(sorted(missing))}; expected {FORMS}")
    if "items" in there or {"item", "rank"} <= there:
        return _from_items(table)
    bounds = ("rank", "rank") if "rank" in there else ("best_rank", "worst_rank")
    if not set(bounds) <= there:
        raise table.error(None, f"has the columns {in_a_line(', '.join(there))}; expected {FORMS}")
    prefixes = table.prefixes()
    table.check_once(prefixes)
    best, worst = (table.ranks(name) for name in bounds)
    if (best > worst).any():
        row = _first(best > worst)
        raise table.error(row, f"best_rank {best[row]} is behind worst_rank {worst[row]}; exchange them")
    order = np.argsort(prefixes)
    return best[order] - 1, (worst - best)[order], None


def _from_items(table: _Table) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the counts that recommended items give: of each item its prefix, its rank and its row in the file."""
    prefixes = table.prefixes()
    if "items" in table.columns:
        table.check_once(prefixes)
        texts, row, ranks = _flat(table)
        prefixes = prefixes[row]
    else:
        table.check_all_there(prefixes)
        texts, row, ranks = table.texts("item"), np.arange(len(prefixes)), table.ranks("rank")
        length = np.bincount(prefixes)
        wrong = _again(prefixes * (table.split.test.n_items + 1) + ranks) | (ranks > length[prefixes])
        if wrong.any():
            raise table.error(_first(wrong), "rank: number the items of each list 1, 2, 3, ..., the best first")
    items = _places(texts, item_ids(table.split))
    if (items < 0).any():
        place = _first(items < 0)
        told = f"item {in_a_line(repr(texts[place].as_py()), 40)}: not one of the {table.split.test.n_items:,} items"
        raise table.error(int(row[place]), f"{told} of the split; recommend these, by their ids in it")
    again = _again(prefixes * table.split.test.n_items + items)
    if again.any():
        place = _first(again)
        told = f"item {in_a_line(repr(texts[place].as_py()), 40)} a second time in the list of"
        raise table.error(int(row[place]), f"{told} {table.name(prefixes[place])}; keep its first place")
    depth = int(ranks.max())
    targets = table.split.test.prefixes()[1]
    greater = np.full(len(targets), min(depth, table.split.test.n_items - 1), dtype=np.int64)
    equal = table.split.test.n_items - 1 - greater
    hit = items == targets[prefixes]
    greater[prefixes[hit]], equal[prefixes[hit]] = ranks[hit] - 1, 0
    return greater, equal, depth


def _flat(table: _Table) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return the items of the lists as text, and the row and the rank of each, (items,)."""
    column = table.complete("items")
    if is_text(column.type):
        column = pa.array([_divided(text) for text in column.to_pylist()], pa.list_(pa.string()))
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        raise table.error(None, f"items is of type {column.type}, expected lists, or text divided by spaces")
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False).astype(np.int64)
    if not lengths.any():
        raise table.error(None, "all lists are empty")
    row = np.repeat(np.arange(len(lengths)), lengths)
    flat = pc.list_flatten(column)
    if flat.null_count:
        raise table.error(int(row[_first(flat.is_null().to_numpy(zero_copy_only=False))]), "an item is missing")
    texts = _Table(table.file, {"items": flat}, table.split).texts("items")
    return texts, row, 1 + np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _divided(text: str) -> list[str]:
    """Divide the text of a list: a JSON list if it is one, else at its spaces."""
    try:
        items = json.loads(text)
    except ValueError:
        items = None
    return [str(item) for item in items] if isinstance(items, list) else text.split()


def _places(texts: Any, known: Sequence[str]) -> np.ndarray:
    """Return the place of each text among the known ones, (n,) int64, -1 where it is not one."""
    places = pc.index_in(texts, value_set=pa.array(known, pa.large_string()))
    return pc.fill_null(places, -1).to_numpy(zero_copy_only=False).astype(np.int64)


def _again(values: np.ndarray) -> np.ndarray:
    """Mark the values that occurred before, (n,) bool."""
    order = np.argsort(values, kind="stable")
    again = np.zeros(len(values), dtype=bool)
    again[order[1:]] = values[order][1:] == values[order][:-1]
    return again


def _first(marks: np.ndarray) -> int:
    return int(np.argmax(marks))
