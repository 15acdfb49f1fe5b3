"""Ranks from outside: another library's ranks or recommendations for the test prefixes of a split, read from a file.

A file has one of these forms, known by its columns. Every test prefix, named by its session and its length in clicks,
must be there exactly once.

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
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from reproduce import catalog
from reproduce.errors import InputError, UsageError, in_a_line
from reproduce.evaluation.metrics import Measure
from reproduce.files import exists
from reproduce.reading import plain_table
from reproduce.reading.plain_table import PlainTable, is_text
from reproduce.reading.sessions import Split
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import OUTSIDE, OutsideResult, Result, split_of_record
from reproduce.runs.split_files import item_ids, session_ids

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
    greater, equal, depth = _Ranking(table, split).counts()
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
    files: dict[Path, str] = {}  # with the label of each
    for text in texts:
        label, pattern = ("", text) if exists(Path(text)) else text.rpartition("=")[::2]
        whole = Path(pattern)
        matching = sorted(whole.parent.glob(whole.name)) if re.search("[*?[]", pattern) else [whole]
        if not matching:
            raise UsageError(f"--ranks {pattern}: no file has such a name")
        for file in matching:
            if file.resolve() in map(Path.resolve, files):
                raise UsageError(f"--ranks {file}: named twice; several seeds of a row are several files")
            files[file] = label or re.sub(r"-seed[0-9]+$", "", file.stem)
    read_rows: dict[str, list[OutsideResult]] = {}
    for file, label in files.items():
        seeds = read_rows.setdefault(label, [])
        seeds.append(read(file, split, label, len(seeds), family))
    return read_rows


def of_options(options: Namespace, datasets: Sequence[str], measures: Sequence[Measure]) -> dict[str, Any]:
    """Return the rows that --ranks of a command names, by data set and label; {} without the option.

    Raises:
        UsageError: not exactly one data set is named.
        InputError: a file is refused, or its lists do not reach down to a cut-off that is shown.
    """
    if not options.ranks:
        if options.family:
            raise UsageError("--family is for rows from outside; name them with --ranks")
        return {}
    if len(datasets) != 1:
        raise UsageError("--ranks needs one --dataset: what the files have ranks of")
    by_label = rows(options.ranks, catalog.load_split(datasets[0], options.data), options.family)
    check_depth([result for seeds in by_label.values() for result in seeds], measures)
    return {datasets[0]: by_label}


def check_depth(results: Sequence[Result], measures: Sequence[Measure]) -> None:
    """Raise InputError if a cut-off is beyond the lists that a result was made from."""
    deepest = max(measures, key=lambda measure: measure.k)
    for result in results:
        if isinstance(result, OutsideResult) and result.depth is not None and deepest.k > result.depth:
            raise InputError(
                f"{result.file or result.experiment.model}: its lists have at most {result.depth} items, so "
                f"{deepest.title} is not known; recommend more items, or give ranks"
            )


class _Ranking:
    """The rows of a file, and the test prefixes of a split that they rank."""

    def __init__(self, table: PlainTable, split: Split) -> None:
        self.table, self.there, self.n_items = table, table.columns.keys(), split.test.n_items
        self.sessions, self.items = pd.Index(session_ids(split)), pd.Index(item_ids(split))
        for what, ids in (("test sessions", self.sessions), ("items", self.items)):
            if not ids.is_unique:  # ids of several columns, joined by a sign that is in them too
                alike = in_a_line(ids[ids.duplicated()][0])
                raise InputError(f"{split.name}: two {what} are both called {alike}, so ranks cannot name them")
        prefixes, self.targets = split.test.prefixes()
        self.keys = pd.MultiIndex.from_arrays([self.sessions[split.test.prefix_owner()], prefixes.lengths])

    def refuse(self, wrong: np.ndarray, message: Callable[[int], str], rows: np.ndarray | None = None) -> None:
        """Raise InputError with the message of the first place that is wrong, if any.

        Args:
            rows: the row of the file that each place is in, if places are not rows.
        """
        if wrong.any():
            place = int(np.argmax(wrong))
            raise self.table.error(place if rows is None else int(rows[place]), message(place))

    def counts(self) -> tuple[np.ndarray, np.ndarray, int | None]:
        """Return greater and equal, (n,) each in the order of the test prefixes, and the depth they hold down to."""
        if missing := {"session", "length"} - self.there:
            raise self.table.error(None, f"no column {' and '.join(sorted(missing))}; expected {FORMS}")
        if "items" in self.there or {"item", "rank"} <= self.there:
            return self._counts_of_items()
        bounds = ("rank", "rank") if "rank" in self.there else ("best_rank", "worst_rank")
        if not set(bounds) <= self.there:
            raise self.table.error(None, f"has the columns {in_a_line(', '.join(self.there))}; expected {FORMS}")
        prefixes = self.prefixes(once=True)
        best, worst = (self.ranks(name) for name in bounds)
        self.refuse(best > worst, lambda row: f"best_rank {best[row]} is behind worst_rank {worst[row]}; exchange them")
        order = np.argsort(prefixes)
        return best[order] - 1, (worst - best)[order], None

    def prefixes(self, *, once: bool) -> np.ndarray:
        """Return the number of the test prefix that each row names, (rows,). Every one is there, and only once."""
        session, length = self.table.texts("session").to_pylist(), self.table.whole("length")
        prefixes = self.keys.get_indexer(pd.MultiIndex.from_arrays([session, length]))

        def unknown(row: int) -> str:
            if session[row] in self.sessions:
                return (
                    f"session {_shown(session[row])} has no test prefix of {length[row]} clicks; the length of a "
                    "prefix is the number of clicks before its target"
                )
            return (
                f"session {_shown(session[row])}: not one of the {len(self.sessions):,} test sessions; rank the "
                "prefixes of this split, see `export --split`"
            )

        self.refuse(prefixes < 0, unknown)
        if once:
            again = pd.Series(prefixes).duplicated().to_numpy()
            self.refuse(again, lambda row: f"{self.name(prefixes[row])} a second time; keep one row for it")
        absent = np.setdiff1d(np.arange(len(self.keys)), prefixes)
        if len(absent):
            missing = f"{len(absent):,} of {len(self.keys):,} test prefixes are missing"
            raise self.table.error(None, f"{missing}, the first of them {self.name(absent[0])}; rank every one")
        return prefixes

    def name(self, prefix: int) -> str:
        session, length = self.keys[prefix]
        return f"session {_shown(str(session))}, length {length}"

    def ranks(self, name: str) -> np.ndarray:
        """Return a column of ranks, (rows,), each from 1 to the number of items."""
        ranks = self.table.whole(name)
        expected = f"expected 1 (the best) to {self.n_items:,} (the items of the split)"
        self.refuse((ranks < 1) | (ranks > self.n_items), lambda row: f"{name} is {ranks[row]}, {expected}")
        return ranks

    def _counts_of_items(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Return the counts that recommended items give."""
        if "items" in self.there:
            prefixes = self.prefixes(once=True)
            texts, row = self._listed()
            listed = pd.DataFrame({"prefix": prefixes[row]})
            ranks = 1 + listed.groupby("prefix").cumcount().to_numpy()
        else:
            listed, ranks = pd.DataFrame({"prefix": self.prefixes(once=False)}), self.ranks("rank")
            texts, row = self.table.texts("item"), np.arange(len(listed))
            last = listed.groupby("prefix")["prefix"].transform("size")
            wrong = listed.assign(rank=ranks).duplicated() | (ranks > last)
            self.refuse(
                wrong.to_numpy(), lambda row: "rank: number the items of each list 1, 2, 3, ..., the best first"
            )
        items = self.items.get_indexer(texts.to_pandas())

        def shown(place: int) -> str:
            return f"item {_shown(texts[place].as_py())}"

        unknown = f"not one of the {self.n_items:,} items of the split; recommend these, by their ids in it"
        self.refuse(items < 0, lambda place: f"{shown(place)}: {unknown}", row)
        self.refuse(
            listed.assign(item=items).duplicated().to_numpy(),
            lambda place: (
                f"{shown(place)} a second time in the list of {self.name(listed['prefix'][place])}; "
                "keep its first place"
            ),
            row,
        )
        depth = int(ranks.max())
        greater = np.full(len(self.targets), min(depth, self.n_items - 1), dtype=np.int64)
        equal = self.n_items - 1 - greater
        hit = items == self.targets[listed["prefix"]]
        on_list = listed["prefix"][hit]
        greater[on_list], equal[on_list] = ranks[hit] - 1, 0
        return greater, equal, depth

    def _listed(self) -> tuple[Any, np.ndarray]:
        """Return the items of the lists as text, and the row of each, (items,)."""
        column = self.table.complete("items")
        if is_text(column.type):
            column = pa.array([_divided(text) for text in column.to_pylist()], pa.list_(pa.string()))
        if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
            raise self.table.error(None, f"items is of type {column.type}, expected lists, or text divided by spaces")
        row, flat = pc.list_parent_indices(column).to_numpy(), pc.list_flatten(column)
        if not len(row):
            raise self.table.error(None, "all lists are empty")
        self.refuse(flat.is_null().to_numpy(zero_copy_only=False), lambda place: "an item is missing", row)
        return replace(self.table, columns={"items": flat}).texts("items"), row


def _divided(text: str) -> list[str]:
    """Divide the text of a list: a JSON list if it is one, else at its spaces."""
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        items = None
    return [str(item) for item in items] if isinstance(items, list) else text.split()


def _shown(value: str) -> str:
    """Return an id as a message shows it."""
    return in_a_line(repr(value), 40)
