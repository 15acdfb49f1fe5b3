"""The statistics of the data (the paper's Table 1), counted as in the paper and as a reader would count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reproduce import catalog
from reproduce.errors import InputError
from reproduce.reading.sessions import Sessions, Split, as_printed
from reproduce.reports.document import Bullets, Cell, Document, Folded, Table
from reproduce.reports.study import Page, Study, joined, title_of

COLUMNS = {
    "clicks": "all clicks",
    "train_sequences": "training sequences",
    "test_sequences": "test sequences",
    "items": "items",
    "average_length": "average length",
}
SESSIONS = ("training sessions", "test sessions", "clicks per session", "repeats")
ITEMS = ("items in training", "items in all", "unseen test targets")
MEANING = (
    "*Sequences* are prefixes: a session of n clicks gives n − 1, each with its next click.",
    "*All clicks* are those of whole sessions, training and test sets together.",
    "*Average length* is the mean over all prefixes of their clicks **plus one**, the click to predict.",
)
# What was found out about the paper's data sets; a key is the beginning of a data set's name.
FOUND = {
    "yoochoose": "*Items* of YOOCHOOSE are those that occur in some prefix: an item that is only ever the last click "
    "of its session is not counted.",
    "yoochoose1_4": "YOOCHOOSE 1/4's 8,326,407 clicks are very likely a slip (the public preprocessing gives "
    "7,911,603), and its 5,917,746 is 5,917,745 rounded up.",
    "diginetica": "*Items* of DIGINETICA are those of the training set.",
}


def draw(study: Study) -> Document:
    request = study.request
    if not request.datasets:
        raise InputError(f"{request.data}: no log to count there; name one with --dataset")
    splits = [catalog.load_split(name, request.data) for name in request.datasets]
    counts = [
        {"data set": title_of(split.name), **{title: _count(split, key) for key, title in COLUMNS.items()}}
        for split in splits
    ]
    plain = [_as_a_reader(split) for split in splits]
    sessions, items = (
        [{key: line[key] for key in ("data set", *keys)} for line in plain] for keys in (SESSIONS, ITEMS)
    )
    names = [split.name for split in splits if split.provenance.published]
    meaning = [*MEANING, *(text for key, text in FOUND.items() if any(name.startswith(key) for name in names))]
    return Document(
        "Table 1: is it the paper's data?",
        _answer(splits),
        parts=[
            Table(counts, "Counted as the paper counts"),
            "As a reader would count; *repeats* are next clicks on the same item as the last, *unseen* test labels do "
            "not occur in the training set:",
            Table(sessions, "Sessions"),
            Table(items, "Items"),
            Folded("What the columns count, and the files", [Bullets([*meaning, *map(_source, splits)])]),
        ],
    )


PAGE = Page(draw, reads_logs=True)


def _differs(split: Split, key: str) -> bool:
    theirs = split.provenance.published
    return bool(theirs) and as_printed(key, split.provenance.counts[key]) != as_printed(key, theirs[key])


def _count(split: Split, key: str) -> str:
    """Return a count, with the paper's where it differs."""
    ours = as_printed(key, split.provenance.counts[key])
    return f"**{ours}** (paper {as_printed(key, split.provenance.published[key])})" if _differs(split, key) else ours


def _answer(splits: Sequence[Split]) -> list[str]:
    papers = [split for split in splits if split.provenance.published]
    equal = [title_of(split.name) for split in papers if not any(_differs(split, key) for key in COLUMNS)]
    lines = []
    if equal:
        lines.append(f"**Yes:** all five counts of {joined(equal)} are the paper's.")
    for split in papers:
        if wrong := [COLUMNS[key] for key in COLUMNS if _differs(split, key)]:
            lines.append(f"**{title_of(split.name)}:** not the paper's {joined(wrong)} (bold below).")
    others = [title_of(split.name) for split in splits if split not in papers]
    return [*lines, f"Not in the paper: {joined(others)}."] if others else lines


def _as_a_reader(split: Split) -> dict[str, Cell]:
    train, test = split.train, split.test
    n_sessions = len(train) + len(test)
    known = np.zeros(train.n_items, dtype=bool)
    known[train.clicks()[0]] = True
    _, labels = test.prefixes()
    unseen = int((~known[labels]).sum())
    return {
        "data set": title_of(split.name),
        "training sessions": len(train),
        "test sessions": len(test),
        "clicks per session": f"{(train.lengths.sum() + test.lengths.sum()) / n_sessions:.2f}",
        "repeats": f"{repeats(train, test):.1f} %",
        "items in training": int(known.sum()),
        "items in all": train.n_items,
        "unseen test targets": f"{unseen:,} ({100 * unseen / len(labels):.2f} %)",
    }


def repeats(*parts: Sessions) -> float:
    """Return the share of prefixes whose next click is on the same item as their last click, in per cent."""
    pairs = [(prefixes.last, labels) for prefixes, labels in (part.prefixes() for part in parts)]
    same = sum(int((last == labels).sum()) for last, labels in pairs)
    return 100 * same / sum(len(labels) for _, labels in pairs)


def _source(split: Split) -> str:
    origin = split.provenance
    files = ", ".join(f"{name} ({sha[:12]})" for name, sha in origin.files.items())
    note = f"; {origin.note}" if origin.note else ""
    return f"{split.name}: {origin.source}" + (f", {files}" if files else "") + note + "."
