"""A folder of processed files from another project: all_train_seq.txt and test.txt, as they circulate.

Where test.txt is not every prefix of its sessions, it is a chosen list of examples: ranks count for exactly these.
Sessions are put together again as far as the list tells them, so that what is drawn for an interval is a session.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reproduce.errors import InputError
from reproduce.reading import processed
from reproduce.reading.processed import Examples
from reproduce.reading.sessions import ChosenPrefixes, Provenance, Sessions, Split, count, number_items


def read(name: str, folder: Path) -> Split:
    """The split of a folder. Raises InputError: a file is absent, broken, or no plain pickle of lists of numbers."""
    (train_items, train_lengths), examples, files = processed.read_examples(folder)
    chosen = None
    try:
        test_items, test_lengths = processed.whole_sessions(*examples, folder / processed.TEST)
    except InputError:  # a chosen list, or a whole one that was cut off: nothing in the file tells them apart
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
    """A list of examples -> the sessions that have them: items, lengths, and which of all proper prefixes are examples.

    An example belongs to the session of the one before it if it is a shorter or a longer part of the same clicks.
    """
    items, lengths, labels = examples
    stops = np.cumsum(lengths)
    sessions: list[list[int]] = []
    taken: list[set[int]] = []  # lengths of each session's prefixes that are examples
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
