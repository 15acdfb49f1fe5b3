"""The statistics of the data (the paper's Table 1), counted as in the paper and as a reader would count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reproduce import catalog
from reproduce.reading.sessions import Sessions, Split, as_printed
from reproduce.reports import Drawn, Page, figures
from reproduce.reports import page as pages
from reproduce.runs.request import Request

COLUMNS = {
    "clicks": "all clicks",
    "train_sequences": "train sequences",
    "test_sequences": "test sequences",
    "items": "items",
    "average_length": "average length",
}
LONGEST = 19  # clicks in the longest prefixes of the paper's Table 5

MEANING = """- *train* and *test sequences* are prefixes: a session of n clicks gives n - 1, each with its next click.
- *all clicks* are those of whole sessions, of train and test together.
- *average length* is the mean over all prefixes of their clicks **plus one**, the click to predict."""
# What was found out about the paper's data sets; a key is the beginning of a data set's name.
FOUND = {
    "yoochoose": "- *items* of YOOCHOOSE are those that occur in some prefix: an item that is only ever the last click "
    "of its session is not counted.",
    "yoochoose1_4": "- YOOCHOOSE 1/4's 8,326,407 clicks are very likely a slip (the public preprocessing gives "
    "7,911,603), and its 5,917,746 is 5,917,745 rounded up.",
    "diginetica": "- *items* of DIGINETICA are those of train.",
}


def draw(request: Request, failed: Mapping[str, str]) -> Drawn:
    splits = [catalog.load_split(name, request.data) for name in request.datasets]
    drawn = figures.prefix_lengths({catalog.dataset(one.name).title: length_shares(one.test) for one in splits})
    counted = [line for split in splits for line in _against_the_paper(split)]
    honest = [[one.name, *_honest(one)] for one in splits]
    head = [
        "data set", "train sessions", "test sessions", "clicks per session", "items in train", "items in train or test",
        "test labels not in train", "next click repeats the last",
    ]  # fmt: skip
    text = (
        "\n\n".join(
            [
                "# Table 1: statistics of the data",
                "How much data is there, and is it the paper's?",
                pages.table(["data set", "", *COLUMNS.values()], counted),
                pages.folded("What these columns count, as the paper's numbers show", _meaning(splits)),
                "The same splits as a reader would count them:",
                pages.table(head, honest),
                pages.figure(
                    "prefix-lengths", "How many clicks a test prefix has; the last bar takes all longer ones."
                ),
                "\n".join(_source(one) for one in splits),
                f"Made by {pages.command('table1', request)}.",
            ]
        )
        + "\n"
    )
    return Drawn(text, drawn)


PAGE = Page(draw, reads_logs=True)


def _meaning(splits: Sequence[Split]) -> str:
    names = [one.name for one in splits if one.provenance.published]
    return "\n".join([MEANING, *(told for key, told in FOUND.items() if any(name.startswith(key) for name in names))])


def _against_the_paper(split: Split) -> list[list[str]]:
    ours, theirs = split.provenance.counts, split.provenance.published
    lines = [[split.name, "ours", *(as_printed(key, ours[key]) for key in COLUMNS)]]
    if theirs:
        lines.append(["", "the paper", *(as_printed(key, theirs[key]) for key in COLUMNS)])
        equal = [as_printed(key, ours[key]) == as_printed(key, theirs[key]) for key in COLUMNS]
        lines.append(["", "equal", *("yes" if one else "**no**" for one in equal)])
    return lines


def _honest(split: Split) -> list[str]:
    train, test = split.train, split.test
    sessions = len(train) + len(test)
    known = np.zeros(train.n_items, dtype=bool)
    known[train.clicks()[0]] = True
    _, labels = test.prefixes()
    unseen = int((~known[labels]).sum())
    return [
        f"{len(train):,}",
        f"{len(test):,}",
        f"{(train.lengths.sum() + test.lengths.sum()) / sessions:.2f}",
        f"{int(known.sum()):,}",
        f"{train.n_items:,}",
        f"{unseen:,} ({100 * unseen / len(labels):.2f} %)",
        f"{repeats(train, test):.1f} %",
    ]


def repeats(*parts: Sessions) -> float:
    """Return the share of prefixes whose next click is on the same item as their last click, in per cent."""
    pairs = [(prefixes.last, labels) for prefixes, labels in (part.prefixes() for part in parts)]
    same = sum(int((last == labels).sum()) for last, labels in pairs)
    return 100 * same / sum(len(labels) for _, labels in pairs)


def length_shares(test: Sessions) -> np.ndarray:
    """Return the shares of test prefixes with 1, 2, ..., 19 and more than 19 clicks, in per cent: (20,)."""
    lengths = test.prefixes()[0].lengths
    return 100 * np.bincount(np.minimum(lengths, LONGEST + 1), minlength=LONGEST + 2)[1:] / len(lengths)


def _source(split: Split) -> str:
    origin = split.provenance
    files = ", ".join(f"{name} ({sha[:12]})" for name, sha in origin.files.items())
    note = f"; {origin.note}" if origin.note else ""
    return f"- {split.name}: {origin.source}" + (f", {files}" if files else "") + note + "."
