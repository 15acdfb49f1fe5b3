"""Read the processed splits that circulate with later papers: two pickles of lists of ints, which are not trusted.

In a user's own folder, test.txt may not hold every prefix of its sessions. Then it is a chosen list of examples, and
ranks are counted for exactly these. Sessions are reassembled as far as the list allows: they are the units of
intervals.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import re
from pathlib import Path

import numpy as np

from reproduce.errors import InputError, in_a_line
from reproduce.files import is_regular
from reproduce.reading.sessions import ChosenPrefixes, Provenance, Sessions, Split, count, number_items

TRAIN, TEST = "all_train_seq.txt", "test.txt"
OBTAIN = (
    "{}: put {}, or it as .gz or .zip, into {{data}}/; or put the processed "
    f"{TRAIN} and {TEST} that circulate with later papers into {{{{data}}}}/{{}}/"
)
Examples = tuple[np.ndarray, np.ndarray, np.ndarray]  # items of all prefixes, their lengths, the clicks after them
# Fixed in advance, so that no number in an untrusted file decides how much is allocated. YOOCHOOSE 1/4 has 40 MiB.
MAX_BYTES = 128 << 20


class _PlainUnpickler(pickle.Unpickler):
    """A second fence behind `_holds_lists_of_ints`: globals, which may run code, are refused."""

    def find_class(self, module: str, name: str) -> object:
        raise pickle.UnpicklingError("it asks for a global")


def find(folder: Path) -> list[Path]:
    """Find both files of a processed split; return an empty list if either is absent."""
    files = [folder / TRAIN, folder / TEST]
    return files if all(map(is_regular, files)) else []


def read(folder: Path) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray], dict[str, str]]:
    """Return (train items, train lengths), (test items, test lengths) and the sha256 of each file by name.

    Items are the file's own ids. Test sessions are reassembled from their examples, which the file lists longest prefix
    first.

    Raises:
        InputError: a file cannot be read, is not a plain pickle, or is not of the shape described; it names the file.
    """
    train, examples, files = read_examples(folder)
    return train, whole_sessions(*examples, folder / TEST), files


def read_examples(folder: Path) -> tuple[tuple[np.ndarray, np.ndarray], Examples, dict[str, str]]:
    """Return (train items, train lengths), the test examples as listed, and the sha256 of each file by name.

    Raises:
        InputError: a file cannot be read, is not a plain pickle, or does not hold lists of item numbers; it names the
            file.
    """
    (train, train_sha), (test, test_sha) = (_load(folder / name) for name in (TRAIN, TEST))
    return (
        _train_sessions(train, folder / TRAIN),
        _test_examples(test, folder / TEST),
        {TRAIN: train_sha, TEST: test_sha},
    )


def _load(file: Path) -> tuple[object, str]:
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from error
    if len(raw) > MAX_BYTES:
        raise InputError(f"{file}: over {MAX_BYTES >> 20} MiB, more than any split of the paper; get the right file")
    return _unpickle(raw, file), hashlib.sha256(raw).hexdigest()


def _unpickle(raw: bytes, file: Path) -> object:
    try:
        raw = _unframed(raw)
        if not _holds_lists_of_ints(raw):
            raise pickle.UnpicklingError("it holds something else, or more follows")
        return _PlainUnpickler(io.BytesIO(raw)).load()
    except Exception as error:  # on bytes that are not a whole pickle the unpickler may raise anything
        reason = str(error) if isinstance(error, pickle.UnpicklingError) else type(error).__name__
        raise InputError(
            f"{file}: not a plain pickle of lists and ints, or cut short: {in_a_line(reason)}; get a whole copy"
        ) from error


def _unframed(raw: bytes) -> bytes:
    """Remove the frames of a pickle, which only say how much to read ahead; if one is cut short, remove none.

    In a file that was tampered with, a frame may end inside a number, and the C unpickler then reads a different
    number. Without frames this cannot happen.
    """
    parts, place = [raw[:2]], 2
    while raw[place : place + 1] == pickle.FRAME:
        begin = place + 9
        place = begin + int.from_bytes(raw[place + 1 : begin], "little")
        parts.append(raw[begin:place])
    return b"".join([*parts, raw[place:]]) if place <= len(raw) else raw


# A pickle of lists, tuples and ints as protocol 0 writes it: text, in which every "p" numbers an object.
_TEXT = re.compile(rb"(?:[]()aelt012N]|p[0-9]{1,19}\n|g[0-9]{1,19}\n|I-?[0-9]{1,20}\n|L-?[0-9]{1,20}L?\n)*+\.")


def _holds_lists_of_ints(raw: bytes) -> bool:
    """Whether a pickle holds lists, tuples and ints only, by patterns that check the usual file at C speed.

    Memo indices are bounded by about the file's size, since the unpickler allocates a memo as long as the largest.
    """
    if _TEXT.fullmatch(raw):
        return max(map(int, re.findall(rb"p([0-9]+)", raw)), default=0) <= len(raw)
    return _binary(len(raw)).fullmatch(raw) is not None


def _binary(size: int) -> re.Pattern[bytes]:
    """Return the pattern for protocols 1 to 5 in a file of `size` bytes."""
    third = b"." if size >> 24 else b"[\\x00-\\x%02x]" % (size >> 16)
    fourth = b"[\\x00-\\x%02x]" % (size >> 24)
    long = b"|".join(b"\\x8a\\x%02x.{%d}" % (n, n) for n in range(9))
    return re.compile(
        rb"(?:[\]()ael\x85-\x87\x88\x89N012t\x94]|K.|M..|J....|q.|r.." + third + fourth + rb"|h.|j....|" + long +
        rb"|I-?[0-9]{1,20}\n|L-?[0-9]{1,20}L?\n|\x80.)*+\.",
        re.DOTALL,
    )  # fmt: skip


def _flatten(sessions: object, file: Path, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Flatten a list of lists of non-negative ints into one array, and return it with the lengths."""
    if type(sessions) is not list or not sessions:
        raise InputError(f"{file}: expected a list of {what}, found {_describe(sessions)}")
    if sum(len(one) for one in sessions if type(one) is list) > file.stat().st_size:
        raise InputError(f"{file}: more clicks than bytes: it holds the same {what} over and over; get a whole copy")
    for i, one in enumerate(sessions):
        if type(one) is not list or not one or not all(type(item) is int and 0 <= item < 2**31 for item in one):
            raise InputError(f"{file}: {what} number {i} is not a list of item numbers: {_describe(one)}")
    lengths = np.array([len(one) for one in sessions], dtype=np.int64)
    items = np.fromiter((item for one in sessions for item in one), dtype=np.int64, count=int(lengths.sum()))
    return items, lengths


def _train_sessions(content: object, file: Path) -> tuple[np.ndarray, np.ndarray]:
    items, lengths = _flatten(content, file, "sessions")
    if lengths.min() < 2:
        raise InputError(f"{file}: session number {int(lengths.argmin())} has one click; every session needs two")
    return items, lengths


def _test_examples(content: object, file: Path) -> Examples:
    if not isinstance(content, (tuple, list)) or len(content) != 2:
        raise InputError(f"{file}: expected a pair (prefixes, labels), found {_describe(content)}")
    prefixes, labels = content
    items, lengths = _flatten(prefixes, file, "prefixes")
    next_clicks, _ = _flatten([labels], file, "labels")
    if len(next_clicks) != len(lengths):
        raise InputError(f"{file}: {len(lengths)} prefixes but {len(next_clicks)} labels")
    return items, lengths, next_clicks


def whole_sessions(
    items: np.ndarray, lengths: np.ndarray, next_clicks: np.ndarray, file: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Reassemble sessions from examples that are all their prefixes; return the sessions' items and lengths.

    Raises:
        InputError: the examples are not all prefixes of sessions, or are not listed longest first.
    """
    stops = np.cumsum(lengths)
    starts = stops - lengths

    # A session's examples count down to a prefix of one click: each is the one before without its last click, which
    # becomes the label.
    ends = np.flatnonzero(lengths == 1)
    begins = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    follows = np.ones(len(lengths), dtype=bool)
    follows[begins] = False
    i = np.flatnonzero(follows)
    chained = (lengths[i] == lengths[i - 1] - 1) & (items[stops[i - 1] - 1] == next_clicks[i])
    bad = i[~chained]
    if not len(ends) or ends[-1] != len(lengths) - 1:
        raise InputError(f"{file}: the last session breaks off before its prefix of one click; get a whole copy")
    same = _same_heads(items, starts, lengths, i)
    bad = np.union1d(bad, i[~same])
    if len(bad):
        raise InputError(f"{file}: example number {int(bad[0])} does not continue the session of the one before it")

    longest = lengths[begins]
    session = np.repeat(np.arange(len(begins)), longest + 1)
    out_starts = np.cumsum(longest + 1) - (longest + 1)
    within = np.arange(len(session)) - out_starts[session]
    is_last = within == longest[session]
    source = np.where(is_last, 0, starts[begins][session] + within)
    return np.where(is_last, next_clicks[begins][session], items[source]), longest + 1


def _same_heads(items: np.ndarray, starts: np.ndarray, lengths: np.ndarray, i: np.ndarray) -> np.ndarray:
    """Return whether each example i begins with the same clicks as example i - 1, (len(i),) bool."""
    shared = np.minimum(lengths[i], lengths[i - 1])
    owner = np.repeat(np.arange(len(i)), shared)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(shared) - shared, shared)
    differs = items[starts[i][owner] + within] != items[starts[i - 1][owner] + within]
    return np.bincount(owner[differs], minlength=len(i)) == 0


def own_split(name: str, folder: Path) -> Split:
    """Read the split in a user's own folder.

    Raises:
        InputError: a file is absent, broken, or not a plain pickle of lists of numbers.
    """
    (train_items, train_lengths), examples, files = read_examples(folder)
    chosen = None
    try:
        test_items, test_lengths = whole_sessions(*examples, folder / TEST)
    except InputError:  # a chosen list, or a complete one cut short: the file does not tell which
        test_items, test_lengths, chosen = reassembled(examples)
    ids = np.concatenate([train_items, test_items])
    train_numbers, test_numbers, n_items = number_items(train_items, test_items)
    vocabulary = np.empty(n_items, np.int64)
    vocabulary[np.concatenate([train_numbers, test_numbers])] = ids
    train = Sessions.packed(train_numbers, train_lengths, n_items)
    test = Sessions.packed(test_numbers, test_lengths, n_items)
    note = "another project's files: order as given, rules not known"
    if chosen is not None:
        test = ChosenPrefixes(test.items, test.starts, test.stops, n_items, chosen)
        note += (
            f"; the test is a chosen list of {int(chosen.sum()):,} examples, not every prefix of its "
            f"{len(test):,} sessions, the shortest of {int(test.prefixes()[0].lengths.min())} clicks"
        )
    provenance = Provenance(
        source="processed files",
        order="file",
        emulated=False,
        files=files,
        counts=count(train, test),
        note=note,
        chosen=chosen is not None,
    )
    return Split(name, train, test, provenance, vocabulary)


def reassembled(examples: Examples) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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


def _describe(value: object) -> str:
    """Name a value's type and length; never its repr, which an untrusted file can make arbitrarily long."""
    size = f" of {len(value)}" if isinstance(value, list | tuple | str | bytes) else ""
    return f"{type(value).__name__}{size}"
