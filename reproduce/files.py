"""A cell is run by one process at a time: a file lock of the operating system, freed when its holder dies.

On some file systems of clusters such a lock holds on its own machine only, so lock files and temporary names carry the
host, and what another host left is never taken for a vanished process's.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from reproduce.errors import InputError, SuiteError


def host() -> str:
    """The name of this machine, as lock files and temporary names carry it."""
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:30] or "unnamed"


class Terminated(BaseException):
    """SIGTERM came; no write was open."""


class replacing:
    """`with replacing(path) as temporary`: write the temporary file; it takes path's place whole, or not at all.

    `option`: what a user moves the folder with, for the message.

    Raises:
        InputError: the disk is full, the folder not writable; what stood at path stands there still.
    """

    open: ClassVar[int] = 0  # writes under way in this process
    terminated: ClassVar[bool] = False  # SIGTERM came during one

    def __init__(self, path: Path, option: str = "--results") -> None:
        self.path = path
        self.option = option
        self.temporary = path.with_name(f".{path.name}.{host()}-{os.getpid()}.tmp")

    def __enter__(self) -> Path:
        replacing.open += 1
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _sweep_vanished(self.path)
        except OSError as error:
            self.__exit__(OSError, error, None)
        return self.temporary

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        try:
            if kind is None:
                with self.temporary.open("rb") as stream:
                    os.fsync(stream.fileno())
                self.temporary.replace(self.path)
            elif isinstance(value, OSError):
                raise value
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror or error}); "
                f"make room or choose another {self.option} DIR"
            ) from error
        finally:
            replacing.open -= 1
            with contextlib.suppress(OSError):  # a temporary file that cannot be removed harms nobody
                self.temporary.unlink(missing_ok=True)
            if replacing.terminated and not replacing.open:
                raise Terminated


def is_regular(file: Path) -> bool:
    """Whether there is a file, not a folder, pipe or dangling link, at a path that may be none at all."""
    try:
        return file.is_file()
    except OSError:  # a name that is too long, a folder that may not be entered
        return False


def exists(place: Path) -> bool:
    """Whether there is anything at a path that may be none at all."""
    try:
        return place.exists()
    except OSError:
        return False


def heed_sigterm() -> None:
    """From here on SIGTERM raises Terminated, but not before a write that is under way is whole."""

    def handler(number: int, frame: object) -> None:
        replacing.terminated = True
        if not replacing.open:
            raise Terminated

    signal.signal(signal.SIGTERM, handler)


def sweep(path: Path) -> None:
    """Remove what killed processes left half-written beside a file that nobody else is writing now."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        left.unlink(missing_ok=True)


def _sweep_vanished(path: Path) -> None:
    """Remove what processes of this machine that are gone left half-written beside a file."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        where, _, number = left.name.rsplit(".", 2)[1].rpartition("-")
        if where not in ("", host()) or not (number.isdecimal() and len(number) < 10) or int(number) == os.getpid():
            continue
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            left.unlink(missing_ok=True)
        except OSError:  # alive, and somebody else's
            continue


class Busy(SuiteError):
    """Another process is running this cell."""


@contextmanager
def only_one(path: Path, *, wait: bool = True, quiet: bool = True) -> Iterator[None]:
    """Hold the lock file at path; it holds its owner's host and process number, and is removed at the end.

    Raises:
        Busy: somebody else holds it, and `wait` is off.
        InputError: it cannot be made or locked there, or a process of another host left it or holds it still.
    """
    try:
        stream = _locked(path, wait)
    except BlockingIOError as error:
        raise Busy(f"{path}: another process is running this cell") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be locked ({error.strerror}); choose another --results DIR") from error
    with os.fdopen(stream, "r+b", buffering=0) as file:
        where, _, vanished = file.read(80).decode(errors="replace").strip().rpartition(" ")
        if where and where != host():
            if not wait:
                raise Busy(f"{path}: a process on {where} is running this cell")
            raise InputError(
                f"{path}: process {vanished} on {where} has this lock, and from {host()} it cannot be seen whether it "
                "runs still; if it does not, remove the file"
            )
        try:
            if vanished and not quiet:
                print(f"{path.stem}: taken over from process {vanished}, which vanished", file=sys.stderr, flush=True)
            try:
                file.seek(0)
                file.truncate()
                file.write(f"{host()} {os.getpid()}\n".encode())
            except OSError as error:
                raise InputError(
                    f"{path}: cannot be written ({error.strerror}); make room or choose another --results DIR"
                ) from error
            yield
        finally:
            path.unlink(missing_ok=True)  # before the lock is freed: whoever waits for it sees that it is gone


def _locked(path: Path, wait: bool) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if path.exists() and os.path.samestat(os.fstat(stream), path.stat()):
                return stream
        except FileNotFoundError:  # removed between the two looks: its holder is done
            os.close(stream)
            continue
        except BaseException:
            os.close(stream)
            raise
        os.close(stream)  # not the file of that name any more: try the name again
