"""A folder of processed files from another project: all_train_seq.txt and test.txt, as they circulate.

If test.txt does not hold every prefix of its sessions, it is a chosen list of examples, and ranks are counted for
exactly these. Sessions are reassembled as far as the list allows: they are the units of intervals.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reproduce.errors import InputError
from reproduce.reading import processed
from reproduce.reading.processed import Examples
from reproduce.reading.sessions import ChosenPrefixes, Provenance, Sessions, Split, count, number_items


def read(name: str, folder: Path) -> Split:
    """Read the split in a folder.

    Raises:
        InputError: a file is absent, broken, or not a plain pickle of lists of numbers.
    """
    (train_items, train_lengths), examples, files = processed.read_examples(folder)
    chosen = None
    try:
        test_items, test_lengths = processed.whole_sessions(*examples, folder / processed.TEST)
    except InputError:  # a chosen list, or a complete one cut short: the file does not tell which
        test_items, test_lengths, chosen = sessions_of(examples)
    ids = np.concatenate([train_items, test_items])
    train_numbers, test_numbers, n_items = number_items(train_items, test_items)
    vocabulary = np.empty(n_items, np.int64)
    vocabulary[np.concatenate([train_numbers, test_numbers])] = ids
    train = Sessions.packed(train_numbers, train_lengths, n_items)
    test = Sessions.packed(test_numbers, test_lengths, n_items)
    note = "another project's files, its rules are not known here"
    if chosen is not None:
        test = ChosenPrefixes(test.items, test.starts, test.stops, n_items, chosen)
        note += (
            f"; the test is a chosen list of {int(chosen.sum()):,} examples, not every prefix of its "
            f"{len(test):,} sessions, the shortest of {int(test.prefixes()[0].lengths.min())} clicks"
        )
    provenance = Provenance(
        source="processed files",
        order="time",
        emulated=False,
        files=files,
        counts=count(train, test),
        note=note,
        chosen=chosen is not None,
    )
    return Split(name, train, test, provenance, vocabulary)


def sessions_of(examples: Examples) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reassemble the sessions of a list of examples.

    An example belongs to the session before it if one of the two begins with the other and the session has no example
    of this length yet.

    Returns:
        items: (clicks,), session after session.
        lengths: (sessions,).
        chosen: (proper prefixes,) bool, whether each prefix is an example, in the order of Sessions.prefixes.
    """
    items, lengths, labels = examples
    stops = np.cumsum(lengths)
    sessions: list[list[int]] = []
    taken: list[set[int]] = []  # for each session, the lengths of the prefixes that are examples
    for start, stop, label in zip((stops - lengths).tolist(), stops.tolist(), labels.tolist(), strict=True):
        example = [*items[start:stop].tolist(), label]
        shorter, longer = sorted((example, sessions[-1] if sessions else []), key=len)
        if shorter and shorter == longer[: len(shorter)] and stop - start not in taken[-1]:
            sessions[-1] = longer
            taken[-1].add(stop - start)
        else:
            sessions.append(example)
            taken.append({stop - start})
    chosen = [np.isin(np.arange(1, len(one)), list(kept)) for one, kept in zip(sessions, taken, strict=True)]
    flat = np.array([item for one in sessions for item in one], dtype=np.int64)
    return flat, np.array([len(one) for one in sessions], dtype=np.int64), np.concatenate(chosen)
