"""A cell is run by one process at a time: a file lock of the operating system, freed when its holder dies."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reproduce.errors import InputError, SuiteError


class Busy(SuiteError):
    """Another process is running this cell."""


@contextmanager
def only_one(path: Path, *, wait: bool = True, quiet: bool = True) -> Iterator[None]:
    """Hold the lock file at path; it holds its owner's process number, and is removed at the end.

    Raises:
        Busy: somebody else holds it, and `wait` is off.
        InputError: it cannot be made or locked there.
    """
    try:
        stream = _locked(path, wait)
    except BlockingIOError as error:
        raise Busy(f"{path}: another process is running this cell") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be locked ({error.strerror}); choose another --results DIR") from error
    with os.fdopen(stream, "r+b") as file:
        vanished = file.read().decode(errors="replace").strip()
        if vanished and not quiet:
            print(f"{path.stem}: taken over from process {vanished}, which vanished", file=sys.stderr, flush=True)
        file.seek(0)
        file.truncate()
        file.write(b"%d\n" % os.getpid())
        file.flush()
        try:
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
