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
from dataclasses import dataclass, replace
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
    greater, equal, depth = _Table(file, table.columns, split).counts()
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
    ours = {row.label for row in (*ROWS, *controls.ROWS)} | {kind.label for kind in catalog.recommenders().values()}
    files: dict[str, list[Path]] = {}
    named: set[Path] = set()
    for text in texts:
        label, pattern = ("", text) if Path(text).exists() else text.rpartition("=")[::2]
        whole = Path(pattern)
        matching = sorted(whole.parent.glob(whole.name)) if re.search("[*?[]", pattern) else [whole]
        if not matching:
            raise UsageError(f"--ranks {pattern}: no file has such a name")
        for file in matching:
            if file.resolve() in named:
                raise UsageError(f"--ranks {file}: named twice; several seeds of a row are several files")
            named.add(file.resolve())
            row = label or re.sub(r"-seed[0-9]+$", "", file.stem)
            files.setdefault(f"{row} (from outside)" if row in ours else row, []).append(file)
    return {
        label: [read(file, split, label, seed, family) for seed, file in enumerate(seeds)]
        for label, seeds in files.items()
    }


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


@dataclass(frozen=True)
class _Table(PlainTable):
    """The columns of a file, and the split that they are about."""

    split: Split

    def refuse(self, wrong: np.ndarray, message: Callable[[int], str], rows: np.ndarray | None = None) -> None:
        """Raise InputError with the message of the first place that is wrong, if any.

        Args:
            rows: the row of the file that each place is in, if places are not rows.
        """
        if wrong.any():
            place = int(np.argmax(wrong))
            raise self.error(place if rows is None else int(rows[place]), message(place))

    def ranks(self, name: str) -> np.ndarray:
        """Return a column of ranks, (rows,), each from 1 to the number of items."""
        ranks, n_items = self.whole(name), self.split.test.n_items
        expected = f"expected 1 (the best) to {n_items:,} (the items of the split)"
        self.refuse((ranks < 1) | (ranks > n_items), lambda row: f"{name} is {ranks[row]}, {expected}")
        return ranks

    def prefixes(self) -> np.ndarray:
        """Return the number of the test prefix that each row names, (rows,)."""
        names, texts, length = session_ids(self.split), self.texts("session"), self.whole("length")
        session = _places(texts, names)
        self.refuse(
            session < 0,
            lambda row: (
                f"session {_shown(texts[row])}: not one of the {len(names):,} test sessions; rank the prefixes "
                "of this split, see `export --split`"
            ),
        )
        owner, lengths = self.split.test.prefix_owner(), self.split.test.prefixes()[0].lengths
        wide = int(lengths.max(initial=0)) + 1
        numbers = np.full(len(names) * wide, -1)
        numbers[owner * wide + lengths] = np.arange(len(owner))
        known = (length > 0) & (length < wide)
        prefixes = np.where(known, numbers[session * wide + length.clip(0, wide - 1)], -1)
        self.refuse(
            prefixes < 0,
            lambda row: (
                f"session {_shown(texts[row])} has no test prefix of {length[row]} clicks; the length of a "
                "prefix is the number of clicks before its target"
            ),
        )
        return prefixes

    def check_all_there(self, prefixes: np.ndarray) -> None:
        """Raise InputError unless all test prefixes are among these."""
        absent = np.bincount(prefixes, minlength=len(self.split.test.prefix_owner())) == 0
        if absent.any():
            first = self.name(int(np.argmax(absent)))
            missing = f"{absent.sum():,} of {len(absent):,} test prefixes are missing"
            raise self.error(None, f"{missing}, the first of them {first}; rank every one")

    def check_once(self, prefixes: np.ndarray) -> None:
        """Raise InputError unless every test prefix is among these exactly once."""
        again = _again(prefixes)
        self.refuse(again, lambda row: f"{self.name(prefixes[row])} a second time; keep one row for it")
        self.check_all_there(prefixes)

    def name(self, prefix: int) -> str:
        session = session_ids(self.split)[self.split.test.prefix_owner()[prefix]]
        return f"session {_shown(session)}, length {self.split.test.prefixes()[0].lengths[prefix]}"

    def counts(self) -> tuple[np.ndarray, np.ndarray, int | None]:
        """Return greater and equal, (n,) each in the order of the test prefixes, and the depth they hold down to."""
        there = self.columns.keys()
        if missing := {"session", "length"} - there:
            raise self.error(None, f"no column {' and '.join(sorted(missing))}; expected {FORMS}")
        if "items" in there or {"item", "rank"} <= there:
            return self._counts_of_items()
        bounds = ("rank", "rank") if "rank" in there else ("best_rank", "worst_rank")
        if not set(bounds) <= there:
            raise self.error(None, f"has the columns {in_a_line(', '.join(there))}; expected {FORMS}")
        prefixes = self.prefixes()
        self.check_once(prefixes)
        best, worst = (self.ranks(name) for name in bounds)
        self.refuse(best > worst, lambda row: f"best_rank {best[row]} is behind worst_rank {worst[row]}; exchange them")
        order = np.argsort(prefixes)
        return best[order] - 1, (worst - best)[order], None

    def _counts_of_items(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Return the counts that recommended items give."""
        prefixes, n_items = self.prefixes(), self.split.test.n_items
        if "items" in self.columns:
            self.check_once(prefixes)
            texts, row, ranks = self._listed()
            prefixes = prefixes[row]
        else:
            self.check_all_there(prefixes)
            texts, row, ranks = self.texts("item"), np.arange(len(prefixes)), self.ranks("rank")
            wrong = _again(prefixes * (n_items + 1) + ranks) | (ranks > np.bincount(prefixes)[prefixes])
            self.refuse(wrong, lambda row: "rank: number the items of each list 1, 2, 3, ..., the best first")
        items = _places(texts, item_ids(self.split))
        self.refuse(
            items < 0,
            lambda place: (
                f"item {_shown(texts[place])}: not one of the {n_items:,} items of the split; recommend "
                "these, by their ids in it"
            ),
            row,
        )
        self.refuse(
            _again(prefixes * n_items + items),
            lambda place: (
                f"item {_shown(texts[place])} a second time in the list of {self.name(prefixes[place])}; "
                "keep its first place"
            ),
            row,
        )
        depth, targets = int(ranks.max()), self.split.test.prefixes()[1]
        greater = np.full(len(targets), min(depth, n_items - 1), dtype=np.int64)
        equal = n_items - 1 - greater
        hit = items == targets[prefixes]
        greater[prefixes[hit]], equal[prefixes[hit]] = ranks[hit] - 1, 0
        return greater, equal, depth

    def _listed(self) -> tuple[Any, np.ndarray, np.ndarray]:
        """Return the items of the lists as text, and the row and the rank of each, (items,)."""
        column = self.complete("items")
        if is_text(column.type):
            column = pa.array([_divided(text) for text in column.to_pylist()], pa.list_(pa.string()))
        if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
            raise self.error(None, f"items is of type {column.type}, expected lists, or text divided by spaces")
        lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False).astype(np.int64)
        if not lengths.any():
            raise self.error(None, "all lists are empty")
        row, flat = np.repeat(np.arange(len(lengths)), lengths), pc.list_flatten(column)
        self.refuse(flat.is_null().to_numpy(zero_copy_only=False), lambda place: "an item is missing", row)
        texts = replace(self, columns={"items": flat}).texts("items")
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
    again = np.ones(len(values), dtype=bool)
    again[np.unique(values, return_index=True)[1]] = False
    return again


def _shown(value: Any) -> str:
    """Return an id as a message shows it."""
    return in_a_line(repr(getattr(value, "as_py", lambda: value)()), 40)
