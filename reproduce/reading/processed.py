"""Read the processed splits that circulate with later papers: two pickles of lists of ints, which are not trusted.

In a user's own folder, test.txt may not hold every prefix of its sessions. Then it is a chosen list of examples, and
ranks are counted for exactly these. Sessions are reassembled as far as the list allows: they are the units of
intervals.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from reproduce.errors import InputError, in_a_line
from reproduce.files import is_regular
from reproduce.reading.preprocessing import Flat, flat, to_sessions
from reproduce.reading.sessions import ChosenPrefixes, Provenance, Split, count

TRAIN, TEST = "all_train_seq.txt", "test.txt"
OBTAIN = (
    "{}: put {}, or it as .gz or .zip, into {{data}}/; or put the processed "
    f"{TRAIN} and {TEST} that circulate with later papers into {{{{data}}}}/{{}}/"
)
# Fixed in advance, so that no number in an untrusted file decides how much is allocated. YOOCHOOSE 1/4 has 40 MiB.
MAX_BYTES = 128 << 20


def find(folder: Path) -> list[Path]:
    """Find both files of a processed split; return an empty list if either is absent."""
    files = [folder / TRAIN, folder / TEST]
    return files if all(map(is_regular, files)) else []


def read(folder: Path) -> tuple[Flat, Flat, dict[str, str]]:
    """Return the training sessions, the test sessions and the sha256 of each file by name.

    Items are the file's own ids. Test sessions are reassembled from their examples, which the file lists longest prefix
    first.

    Raises:
        InputError: a file cannot be read, is not a plain pickle, or is not of the shape described; it names the file.
    """
    train, examples, files = read_examples(folder)
    return train, flat(whole_sessions(examples, folder / TEST)), files


def read_examples(folder: Path) -> tuple[Flat, list[list[int]], dict[str, str]]:
    """Return the training sessions, the test examples (a prefix and the click after it, in one list), and the sha256.

    Raises:
        InputError: as `read`, except that the examples may be of any order.
    """
    (train, train_sha), (test, test_sha) = _load(folder / TRAIN), _load(folder / TEST)
    sessions = _checked(train, folder / TRAIN, "sessions")
    if (short := next((i for i, session in enumerate(sessions) if len(session) < 2), None)) is not None:
        raise InputError(f"{folder / TRAIN}: session number {short} has one click; every session needs two")
    if not isinstance(test, tuple | list) or len(test) != 2:
        raise InputError(f"{folder / TEST}: expected a pair (prefixes, labels), found {_described(test)}")
    prefixes = _checked(test[0], folder / TEST, "prefixes")
    (labels,) = _checked([test[1]], folder / TEST, "labels")
    if len(prefixes) != len(labels):
        raise InputError(f"{folder / TEST}: {len(prefixes)} prefixes but {len(labels)} labels")
    examples = [[*prefix, label] for prefix, label in zip(prefixes, labels, strict=True)]
    return flat(sessions), examples, {TRAIN: train_sha, TEST: test_sha}


class _PlainUnpickler(pickle._Unpickler):
    """The unpickler that is written in Python, with no opcodes but those of lists, tuples, whole numbers and bools.

    Others are a KeyError. A frame only says how much to read ahead; where one ends, even inside a number, is ignored.
    """

    dispatch: ClassVar[dict[int, Any]] = {
        code: pickle._Unpickler.dispatch[code] for code in b"\x80.]()aelt012pgqrhj\x94IJKLM\x85\x86\x87\x88\x89\x8a"
    } | {pickle.FRAME[0]: lambda self: self.read(8)}


def _load(file: Path) -> tuple[object, str]:
    """Return what a pickle of lists, tuples and ints holds, and the file's sha256."""
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from error
    if len(raw) > MAX_BYTES:
        raise InputError(f"{file}: over {MAX_BYTES >> 20} MiB, more than any split of the paper; get the right file")
    try:
        content = io.BytesIO(raw)
        lists = _PlainUnpickler(content).load()
        if content.read(1):
            raise pickle.UnpicklingError("more follows")
        return lists, hashlib.sha256(raw).hexdigest()
    except Exception as error:  # on bytes that are not a whole pickle the unpickler may raise anything
        own = str(error) if isinstance(error, pickle.UnpicklingError) else "it ends early or is damaged"
        reason = "it holds something else" if isinstance(error, KeyError) else own
        raise InputError(
            f"{file}: not a plain pickle of lists and ints, or cut short: {in_a_line(reason)}; get a whole copy"
        ) from error


def _checked(lists: object, file: Path, what: str) -> list[list[int]]:
    """Return lists of item numbers as they are. Raises InputError if they are anything else."""
    if type(lists) is not list or not lists:
        raise InputError(f"{file}: expected a list of {what}, found {_described(lists)}")
    if sum(len(items) for items in lists if type(items) is list) > file.stat().st_size:
        raise InputError(f"{file}: more clicks than bytes: it holds the same {what} over and over; get a whole copy")
    for i, items in enumerate(lists):
        if type(items) is not list or not items or not all(type(item) is int and 0 <= item < 2**31 for item in items):
            raise InputError(f"{file}: {what} number {i} is not a list of item numbers: {_described(items)}")
    return lists


def _described(value: object) -> str:
    """Name a value's type and length; never its repr, which an untrusted file can make arbitrarily long."""
    size = f" of {len(value)}" if isinstance(value, list | tuple | str | bytes) else ""
    return f"{type(value).__name__}{size}"


def whole_sessions(examples: list[list[int]], file: Path) -> list[list[int]]:
    """Reassemble sessions from examples that are all their prefixes, each session's longest first.

    Raises:
        InputError: the examples are something else.
    """
    if len(examples[-1]) != 2:
        raise InputError(f"{file}: the last session breaks off before its prefix of one click; get a whole copy")
    sessions: list[list[int]] = []
    before: list[int] = []
    for i, example in enumerate(examples):
        if len(before) <= 2:
            sessions.append(example)
        elif example != before[:-1]:
            raise InputError(f"{file}: example number {i} does not continue the session of the one before it")
        before = example
    return sessions


def reassembled(examples: list[list[int]]) -> tuple[list[list[int]], np.ndarray]:
    """Reassemble the sessions of a list of examples.

    An example belongs to the session before it if one of the two begins with the other and the session has no example
    of this length yet.

    Returns:
        The sessions, and whether each of their prefixes is an example, in the order of Sessions.prefixes.
    """
    sessions: list[list[int]] = []
    lengths: list[set[int]] = []  # of each session's examples
    for example in examples:
        shorter, longer = sorted((example, sessions[-1] if sessions else []), key=len)
        if shorter and shorter == longer[: len(shorter)] and len(example) not in lengths[-1]:
            sessions[-1] = longer
            lengths[-1].add(len(example))
        else:
            sessions.append(example)
            lengths.append({len(example)})
    chosen = [n in kept for session, kept in zip(sessions, lengths, strict=True) for n in range(2, len(session) + 1)]
    return sessions, np.array(chosen)


def own_split(name: str, folder: Path) -> Split:
    """Read the split in a user's own folder. Raises InputError, as `read_examples` does."""
    (train_items, train_lengths), examples, files = read_examples(folder)
    try:
        sessions, chosen = whole_sessions(examples, folder / TEST), None
    except InputError:  # a chosen list, or a complete one cut short: the file does not tell which
        sessions, chosen = reassembled(examples)
    test_items, test_lengths = flat(sessions)
    train, test = to_sessions((train_items, train_lengths), (test_items, test_lengths))
    vocabulary = np.empty(train.n_items, np.int64)
    vocabulary[np.concatenate([train.items, test.items])] = np.concatenate([train_items, test_items])
    note = "another project's files: order as given, rules not known"
    if chosen is not None:
        test = ChosenPrefixes(test.items, test.starts, test.stops, test.n_items, chosen)
        note += (
            f"; the test is a chosen list of {int(chosen.sum()):,} examples, not every prefix of its "
            f"{len(test):,} sessions, the shortest of {int(test.prefixes()[0].lengths.min())} clicks"
        )
    provenance = Provenance(
        source="processed files", order="file", emulated=False, files=files, counts=count(train, test), note=note,
        chosen=chosen is not None,
    )  # fmt: skip
    return Split(name, train, test, provenance, vocabulary)
