"""Mangled processed files: refused in one line, or read as Python's own unpickler and literal rules read them."""

from __future__ import annotations

import io
import pickle
import random
import resource
import struct
import sys
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


class Plain(pickle._Unpickler):  # type: ignore[name-defined]  # the one written in Python
    def find_class(self, module: str, name: str) -> object:
        raise pickle.UnpicklingError(name)

    def load_int(self) -> None:
        """Read a number with a leading 0 as octal, as the unpickler in C does; the one in Python refuses it."""
        line = self.readline()  # type: ignore[attr-defined]
        digits = line.strip().lstrip(b"-")
        octal = len(digits) > 1 and digits.startswith(b"0") and line not in (pickle.TRUE[1:], pickle.FALSE[1:])
        self.append(int(line, 8) if octal else line == pickle.TRUE[1:] or int(line, 10))  # type: ignore[attr-defined]

    def load_frame(self) -> None:
        """Take a frame's size as a hint of how much to read ahead, as the unpickler in C does.

        The one in Python stops at the frame's end.
        """
        (size,) = struct.unpack("<Q", self.read(8))  # type: ignore[attr-defined]
        if size > sys.maxsize:
            raise ValueError("a frame of more than there can be")

    dispatch = {  # noqa: RUF012
        **pickle._Unpickler.dispatch,  # type: ignore[attr-defined]
        pickle.INT[0]: load_int,
        pickle.FRAME[0]: load_frame,
    }


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
    assert flat(read[0]) == Plain(io.BytesIO(files[processed.TRAIN])).load()
    prefixes, labels = Plain(io.BytesIO(files[processed.TEST])).load()
    whole = literal_sessions(prefixes, labels)
    assert flat(read[1]) == whole and examples(whole) == (prefixes, labels), "other sessions than the file lists"
    return "read as Python reads it" if hurt else "whole, and read"


if __name__ == "__main__":
    run("pickles", 5_000, attempt)
