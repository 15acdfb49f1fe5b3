"""Atomic replacement of files, SIGTERM between writes only, and a lock that lets one process run a cell at a time.

Lock files and temporary names contain the host, since several machines may share a results folder: a file that another
host left is never taken for that of a dead process.
"""

from __future__ import annotations

import contextlib
import glob
import math
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from reproduce.errors import InputError, SuiteError, in_a_line


def host() -> str:
    """The name of this machine, as used in lock files and temporary names."""
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:30] or "unnamed"


def data_folder() -> Path:
    """The folder with the logs where none is named: $REPRODUCE_DATA, or data/."""
    return Path(os.environ.get("REPRODUCE_DATA", "data"))


class Terminated(BaseException):
    """SIGTERM was received; raised only when no write is under way."""


class _Writes:
    """The state of this process: a write under way ends before SIGTERM does."""

    under_way = 0
    terminated = False


@contextmanager
def replacing(path: Path, option: str = "--results") -> Iterator[Path]:
    """Replace a file atomically: `with replacing(path) as temporary` yields a temporary file to write.

    At the end the temporary file takes the place of `path` as a whole, or not at all.

    Args:
        option: the option with which a user chooses another folder, for the error message.

    Raises:
        InputError: the disk is full or the folder is not writable; the file at `path` is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{host()}-{os.getpid()}.tmp")
    _Writes.under_way += 1
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep_vanished(path)
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); make room or choose another {option} DIR"
        ) from error
    finally:
        _Writes.under_way -= 1
        with contextlib.suppress(OSError):  # a temporary file that cannot be removed harms nobody
            temporary.unlink(missing_ok=True)
        if _Writes.terminated and not _Writes.under_way:
            raise Terminated


def heed_sigterm() -> None:
    """Make SIGTERM raise Terminated from now on, but only after any write under way is complete."""

    def handler(number: int, frame: object) -> None:
        _Writes.terminated = True
        if not _Writes.under_way:
            raise Terminated

    signal.signal(signal.SIGTERM, handler)


def is_regular(file: Path) -> bool:
    """Whether a path is a file, not a folder, pipe or dangling link; False if it is invalid or inaccessible."""
    return os.path.isfile(file)  # noqa: PTH113, which raises then


def exists(place: Path) -> bool:
    """Whether a path exists; False if it is invalid or inaccessible."""
    return os.path.exists(place)  # noqa: PTH110, which raises then


def _sweep_vanished(path: Path) -> None:
    """Remove the half-written temporary files beside a file that dead processes of this machine left."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        where, _, number = left.name.rsplit(".", 2)[1].rpartition("-")
        if where != host() or not re.fullmatch("[0-9]{1,9}", number) or int(number) == os.getpid():
            continue
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            left.unlink(missing_ok=True)
        except PermissionError:  # the process is alive and belongs to another user
            continue


class Busy(SuiteError):
    """Another process is running this cell."""


@contextmanager
def only_one(path: Path, *, wait: float = math.inf) -> Iterator[None]:
    """Hold the lock file at `path`, which names its holder's process and host and is removed at the end.

    The lock is one of the operating system, which ends with its holder. On some cluster file systems such a lock holds
    on its own machine only, so a file that another host left counts as locked.

    Args:
        wait: seconds to wait while another process holds the lock.

    Raises:
        Busy: another process held the lock for all this time.
        InputError: the file cannot be created, or a process on another host left it or still holds it.
    """
    lock = FileLock(path, poll_interval=0.05)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=-1 if wait == math.inf else wait)
        where = _holder(path)[1]
        if where not in ("", socket.gethostname()):
            lock.release()
            raise (InputError if wait else Busy)(_locked(path))
        path.write_text(f"{os.getpid()}\n{socket.gethostname()}\n")
    except Timeout:
        raise Busy(_locked(path)) from None
    except OSError as error:
        if lock.is_locked:
            path.unlink(missing_ok=True)
            lock.release()
        raise InputError(
            f"{path.parent}: cannot write there ({error.strerror or error}); make room or choose another --results DIR"
        ) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # before the release: a process that waits sees that the file is gone
        lock.release()


def _locked(path: Path) -> str:
    process, host = _holder(path)
    return f"{path}: locked by process {process} on {host}; if it is no longer running, delete this file"


def _holder(path: Path) -> tuple[str, str]:
    """The process and the host in a lock file; "" where there is none yet."""
    try:
        process, host, *_ = [*path.read_text(errors="replace")[:400].split("\n"), "", ""]
    except OSError:
        return "", ""
    return in_a_line(process), in_a_line(host)
