"""Atomic replacement of files, SIGTERM between writes only, and a lock that lets one process run a cell at a time.

The lock is a file lock of the operating system, which is released when its holder dies. On some cluster file systems
such a lock holds on its own machine only. Lock files and temporary names therefore contain the host, and a file that
another host left is never taken for that of a dead process.
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
    """The name of this machine, as used in lock files and temporary names."""
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:30] or "unnamed"


class Terminated(BaseException):
    """SIGTERM was received; raised only when no write is under way."""


class replacing:
    """Replace a file atomically: `with replacing(path) as temporary` yields a temporary file to write.

    At the end the temporary file takes the place of `path` as a whole, or not at all.

    Args:
        option: the option with which a user chooses another folder, for the error message.

    Raises:
        InputError: the disk is full or the folder is not writable; the file at `path` is unchanged.
    """

    open: ClassVar[int] = 0  # writes under way in this process
    terminated: ClassVar[bool] = False  # SIGTERM was received during a write

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
    """Whether a path is a file, not a folder, pipe or dangling link; False if it is invalid or inaccessible."""
    try:
        return file.is_file()
    except OSError:  # the name is too long, or the folder may not be entered
        return False


def exists(place: Path) -> bool:
    """Whether a path exists; False if it is invalid or inaccessible."""
    try:
        return place.exists()
    except OSError:
        return False


def heed_sigterm() -> None:
    """Make SIGTERM raise Terminated from now on, but only after any write under way is complete."""

    def handler(number: int, frame: object) -> None:
        replacing.terminated = True
        if not replacing.open:
            raise Terminated

    signal.signal(signal.SIGTERM, handler)


def sweep(path: Path) -> None:
    """Remove the half-written temporary files of killed processes beside a file that nobody else is writing now."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        left.unlink(missing_ok=True)


def _sweep_vanished(path: Path) -> None:
    """Remove the half-written temporary files beside a file that dead processes of this machine left."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        where, _, number = left.name.rsplit(".", 2)[1].rpartition("-")
        if where not in ("", host()) or not (number.isdecimal() and len(number) < 10) or int(number) == os.getpid():
            continue
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            left.unlink(missing_ok=True)
        except OSError:  # the process is alive and belongs to another user
            continue


class Busy(SuiteError):
    """Another process is running this cell."""


@contextmanager
def only_one(path: Path, *, wait: bool = True, quiet: bool = True) -> Iterator[None]:
    """Hold the lock file at `path`, which contains its owner's host and process id and is removed at the end.

    Args:
        wait: wait while another process holds the lock.
        quiet: do not print that the lock was taken over from a dead process.

    Raises:
        Busy: `wait` is off, and another process holds the lock or a process on another host may hold it.
        InputError: the file cannot be created or locked, or a process on another host left it or still holds it.
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
            path.unlink(missing_ok=True)  # before the lock is released, so that a waiting process sees that it is gone


def _locked(path: Path, wait: bool) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if path.exists() and os.path.samestat(os.fstat(stream), path.stat()):
                return stream
        except FileNotFoundError:  # removed between exists() and stat(): its holder has finished
            os.close(stream)
            continue
        except BaseException:
            os.close(stream)
            raise
        os.close(stream)  # the path now names another file or none: try again
