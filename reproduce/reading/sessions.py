"""Sessions as spans over one array of clicks, and the split into training and test sets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False)
class Sessions:
    """Sessions as spans over one array of clicks: session i is items[starts[i]:stops[i]].

    Items are numbered from 0 to n_items - 1; there is no padding item. All arrays are int64. Spans may overlap: a
    prefix of a session is a start and a stop in the session's own clicks.

    Dates belong to whole sessions; prefixes have none. They are not part of a split's digest, since processed files
    lack them.
    """

    items: np.ndarray  # (clicks,)
    starts: np.ndarray  # (sessions,)
    stops: np.ndarray  # (sessions,)
    n_items: int
    dates: np.ndarray | None = field(default=None, kw_only=True)  # (sessions,) seconds since 1970; None: unknown

    @classmethod
    def of(cls, lists: Iterable[Sequence[int]], n_items: int | None = None) -> Sessions:
        """Make sessions from lists of item numbers; n_items defaults to the greatest number + 1."""
        arrays = [np.asarray(items, np.int64) for items in lists]
        items = np.concatenate([np.empty(0, np.int64), *arrays])
        lengths = np.array([len(items) for items in arrays], np.int64)
        return cls.packed(items, lengths, int(items.max(initial=-1)) + 1 if n_items is None else n_items)

    @classmethod
    def packed(cls, items: np.ndarray, lengths: np.ndarray, n_items: int) -> Sessions:
        """Make sessions from their clicks, stored one after the other, and their lengths."""
        stops = np.cumsum(lengths, dtype=np.int64)
        return cls(np.ascontiguousarray(items, dtype=np.int64), stops - lengths, stops, n_items)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, i: int) -> np.ndarray:
        return self.items[self.starts[i] : self.stops[i]]

    @cached_property
    def lengths(self) -> np.ndarray:  # (sessions,)
        return self.stops - self.starts

    @property
    def last(self) -> np.ndarray:
        """The last click of every session, (sessions,)."""
        return self.items[self.stops - 1]

    def take(self, index: np.ndarray | slice) -> Sessions:
        """Select the sessions at these indices; they share this object's clicks."""
        dates = None if self.dates is None else self.dates[index]
        return Sessions(self.items, self.starts[index], self.stops[index], self.n_items, dates=dates)

    def clicks(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all clicks, session after session, and the session that each belongs to: (clicks,), (clicks,)."""
        owner = np.repeat(np.arange(len(self)), self.lengths)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(self.lengths) - self.lengths, self.lengths)
        return self.items[self.starts[owner] + within], owner

    def prefixes(self) -> tuple[Sessions, np.ndarray]:
        """Return every proper prefix and the click that follows it: [a, b, c] gives [a] -> b and [a, b] -> c.

        Prefixes are in the order of the sessions, shortest first; `prefix_owner` gives the session of each.
        """
        owner = Sessions.prefix_owner(self)
        examples = np.maximum(self.lengths - 1, 0)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(examples) - examples, examples)
        starts = self.starts[owner]
        stops = starts + within + 1
        return Sessions(self.items, starts, stops, self.n_items), self.items[stops]

    def prefix_owner(self) -> np.ndarray:
        """Return the session that each prefix in `prefixes()` belongs to, (prefixes,)."""
        return np.repeat(np.arange(len(self)), np.maximum(self.lengths - 1, 0))

    def lists(self) -> list[list[int]]:
        return [self[i].tolist() for i in range(len(self))]


@dataclass(frozen=True, eq=False)
class ChosenPrefixes(Sessions):
    """Sessions of which only some prefixes are examples, as in a test set that is a list of examples."""

    chosen: np.ndarray  # (proper prefixes,) bool, in the order of Sessions.prefixes

    def prefixes(self) -> tuple[Sessions, np.ndarray]:
        prefixes, labels = super().prefixes()
        return prefixes.take(np.flatnonzero(self.chosen)), labels[self.chosen]

    def prefix_owner(self) -> np.ndarray:
        return super().prefix_owner()[self.chosen]


@dataclass(frozen=True)
class Provenance:
    """Where a split comes from, as stated in every record and on every page; all values are plain."""

    source: str  # "processed files", "raw log", "own log", "simulated"
    order: str = "time"  # clicks of a session in time order; "file": in the order of the source's rows
    emulated: bool = False  # the raw file is missing, and its order of clicks is imitated
    files: Mapping[str, str] = field(default_factory=dict)  # file name -> sha256
    counts: Mapping[str, float] = field(default_factory=dict)  # of this split, counted as the paper counts
    published: Mapping[str, float] = field(default_factory=dict)  # the paper's Table 1; empty if it has no such row
    note: str = ""
    reconstructed: bool = False  # the emulated order is derived from what is known of the source's, not random
    rules: str = ""  # how a user's own log was split and filtered; part of the split's digest
    chosen: bool = False  # the test is a chosen list of examples, not every prefix of its sessions
    ties: float = 0.0  # share of neighbouring clicks of a user's own log whose times do not tell their order


def exactness(provenance: Mapping[str, Any]) -> str:
    """Say in a word how the order of clicks relates to the source's; old records lack fields that were added later."""
    if ties := provenance.get("ties"):
        return f"{max(ties, 0.001):.1%} of neighbours have equal times and keep the file's order"
    if not provenance["emulated"]:
        return "exact"
    return "reconstructed" if provenance.get("reconstructed") else "emulated"


@dataclass(frozen=True, eq=False)
class Split:
    """Whole training and test sessions over one numbering of items; code that needs prefixes takes them itself.

    Items are numbered by first appearance in the training set, then in the test set, so that the raw and the processed
    files of one split give identical arrays.
    """

    name: str
    train: Sessions
    test: Sessions
    provenance: Provenance
    vocabulary: np.ndarray | None = None  # (n_items,) the log's own ids of the items, text; None: not kept
    test_sessions: np.ndarray | None = None  # (test sessions,) the log's own ids of them, text; None: not kept

    @cached_property
    def digest(self) -> str:
        """The sha256 of the clicks, the lengths and the number of items, so that equal splits have equal digests.

        It also covers the chosen prefixes if the test is a chosen list of examples and, of a user's own data, the
        rules and the item ids: two logs that differ in nothing but the meaning of their items are two data sets.
        """
        total = hashlib.sha256()
        for part in (self.train, self.test):
            items, _ = part.clicks()
            for array in (items, part.lengths, np.array([part.n_items])):
                total.update(np.int64(array.size).tobytes())
                total.update(array.astype("<i8").tobytes())
        if isinstance(self.test, ChosenPrefixes):
            total.update(b"chosen" + self.test.chosen.astype(bool).tobytes())
        total.update(self.provenance.rules.encode())
        if self.vocabulary is not None:
            total.update(vocabulary_digest(self.vocabulary).encode())
        return total.hexdigest()


def vocabulary_digest(vocabulary: np.ndarray) -> str:
    """The sha256 of the ids of all items, in the order of their numbers."""
    return hashlib.sha256(json.dumps(vocabulary.tolist()).encode()).hexdigest()


def number_items(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Number item ids from 0 by first appearance, in the training set first; also return how many items there are."""
    numbers, items = pd.factorize(np.concatenate([train, test]))
    return numbers[: len(train)], numbers[len(train) :], len(items)


def count(train: Sessions, test: Sessions, *, items_without_labels: bool = False) -> dict[str, float]:
    """Count the columns of the paper's Table 1 as the paper counted them.

    "Sequences" are prefixes; "average length" is the mean over all examples of prefix length + 1; "all clicks" are
    those of whole sessions; with `items_without_labels`, items are those in a prefix, as the paper has it on YOOCHOOSE.
    """
    examples = [train.prefixes()[0], test.prefixes()[0]]
    n = [len(part) for part in examples]
    seen = np.zeros(train.n_items, dtype=bool)
    for part in (train, test):
        seen[Sessions(part.items, part.starts, part.stops - items_without_labels, part.n_items).clicks()[0]] = True
    length = sum(int((part.lengths + 1).sum()) for part in examples)
    return {
        "clicks": int(train.lengths.sum() + test.lengths.sum()),
        "train_sequences": n[0],
        "test_sequences": n[1],
        "items": int(seen.sum()),
        # Three decimals: DIGINETICA's 5.125, to two decimals with a half going to the even digit, is the paper's 5.12.
        "average_length": round(length / max(sum(n), 1), 3),
        "train_sessions": len(train),
        "test_sessions": len(test),
    }


def as_printed(column: str, value: float) -> str:
    """Format a count as the paper's Table 1 prints it: lengths to two decimals, everything else as whole numbers."""
    return f"{value:.2f}" if column == "average_length" else f"{value:,}"
