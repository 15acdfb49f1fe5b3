"""Mangled processed files: refused in one line, or read as Python's unpickler in C and literal rules read them."""

from __future__ import annotations

import pickle
import pickletools
import random
import resource
from pathlib import Path

from running import mangled, run

from reproduce.errors import InputError
from reproduce.reading import processed

TOKENS = [
    b"]",
    b"(",
    b"l",
    b"a.",
    b"K\x01",
    b"J\xff\xff\xff\x7f",
    b"I-5\n",
    b"I" + b"9" * 30 + b"\n",
    b"F1e999\n",
    b"N.",
    b"}",
    b"q\x00",
    b"h\x00",
    b"r\xff\xff\xff\x7f",
    b"cos\nsystem\n",
    b"R",
    b"b",
    b"\x8a\x08" + b"\xff" * 8,
    b"]" * 3_000,
    b"\x85",
    b"\x95" + b"\xff" * 8,
    b"X\xff\xff\xff\x7f",
    b"\x80\x05",
    b"0",
    b"2",
    b"1",
    b"t",
    b"e",
    b"P1\n",
    b"\x82\x01",
]
MOST = 1 << 30  # bytes by which an attempt may raise the peak memory of the process


def in_c(raw: bytes) -> object:
    """Read a pickle with the unpickler written in C, or if that would allocate a huge memo, with the one in Python."""
    bare, read = bytearray(raw), pickle.loads
    for code, value, place in pickletools.genops(raw):
        if code.name == "FRAME" and place is not None:  # the one in C refuses frames that are longer than the file
            bare[place + 1 : place + 9] = bytes(8)
        if code.name.endswith("PUT") and value > len(raw):
            read = pickle._loads  # type: ignore[attr-defined]
    return read(bytes(bare))


def sessions(rng: random.Random) -> list[list[int]]:
    most = rng.choice([3, 300, 70_000, 2**31 - 1])
    return [[rng.randint(0, most) for _ in range(rng.randint(2, 6))] for _ in range(rng.randint(1, 8))]


def examples(whole: list[list[int]]) -> tuple[list[list[int]], list[int]]:
    """Return the prefixes and labels of the sessions, longest first, as the circulating files list them."""
    cut = [(one[:i], one[i]) for one in whole for i in range(len(one) - 1, 0, -1)]
    return [one for one, _ in cut], [label for _, label in cut]


def literal_sessions(prefixes: list[list[int]], labels: list[int]) -> list[list[int]]:
    whole: list[list[int]] = []
    for i, (prefix, label) in enumerate(zip(prefixes, labels, strict=True)):
        if i == 0 or len(prefixes[i - 1]) == 1:
            whole.append([*prefix, label])
    return whole


def flat(parts: tuple) -> list[list[int]]:
    items, ends = parts[0].tolist(), parts[1].cumsum().tolist()
    return [items[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def attempt(rng: random.Random, folder: Path) -> str:
    train, test = sessions(rng), sessions(rng)
    files = {
        processed.TRAIN: pickle.dumps(train, rng.randint(0, 5)),
        processed.TEST: pickle.dumps(examples(test), rng.randint(0, 5)),
    }
    hurt = [name for name in files if rng.random() < 0.6]
    for name in hurt:
        files[name] = mangled(rng, files[name], TOKENS)
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        read = processed.read(folder)
    except InputError as error:
        line = str(error)
        assert any(line.startswith(f"{folder / name}: ") for name in hurt), line
        assert line.isprintable() and len(line) < 600, line
        return "refused in a line"
    finally:
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST >> 10, "too much memory"
    assert flat(read[0]) == in_c(files[processed.TRAIN])
    prefixes, labels = in_c(files[processed.TEST])
    whole = literal_sessions(prefixes, labels)
    assert flat(read[1]) == whole and examples(whole) == (prefixes, labels), "other sessions than the file lists"
    return "read as Python reads it" if hurt else "whole, and read"


if __name__ == "__main__":
    run("pickles", 5_000, attempt)
