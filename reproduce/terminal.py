"""Robust standard streams, which may be closed, full or unable to show a character, and signals during loading.

If the reader goes away (`... | head -1`), the work does not stop: further output is dropped, runs and pages continue.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

INTERRUPTED, TERMINATED, UNWRITABLE = 130, 143, 3
PARTING = {
    signal.SIGINT: "interrupted; finished epochs and runs are kept, the same command resumes them",
    signal.SIGTERM: "terminated; no file is half-written, the same command resumes the run",
}


class Stream:
    """Standard output or error on which no write fails; what went wrong is kept in `fault` and `unprintable`."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream  # None if the process was started without it
        self.fault: OSError | None = None  # why writing ended; None if only the reader went away
        self.unprintable = False  # some characters were shown as ?

    def write(self, text: str) -> int:
        if self._stream is not None:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                self.unprintable = True
                self.write(text.encode(self._stream.encoding, "replace").decode(self._stream.encoding))
            except OSError as error:
                self._end(error)
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            try:
                self._stream.flush()
            except OSError as error:
                self._end(error)

    def isatty(self) -> bool:
        return self._stream is not None and bool(self._stream.isatty())

    def _end(self, error: OSError) -> None:
        """Redirect the stream to the null device, including buffered text and writes to its file descriptor."""
        if not isinstance(error, BrokenPipeError):
            self.fault = error
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def sturdy() -> Iterator[Stream]:
    """Replace standard output and error by Streams until the end; yields that of standard output."""
    _open_missing()
    before = sys.stdout, sys.stderr
    streams = Stream(sys.stdout), Stream(sys.stderr)
    sys.stdout, sys.stderr = streams
    try:
        yield streams[0]
    finally:
        for one in streams:
            one.flush()
        sys.stdout, sys.stderr = before


def _open_missing() -> None:
    """Open missing standard streams, so that no file opened later gets a descriptor that libraries write to."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor


def told(output: Stream, status: int, page: str) -> int:
    """Report failures of the output, with the file of the page that was printed, and return the exit status."""
    output.flush()
    whole = f"; the page is whole in {page}" if page else ""
    if output.unprintable:
        print(f"reproduce: letters that this terminal ({output.encoding}) lacks are shown as ?{whole}", file=sys.stderr)
    if output.fault is None:
        return status
    why = output.fault.strerror or output.fault
    print(f"reproduce: standard output: cannot be written ({why}){whole}", file=sys.stderr)
    return status or UNWRITABLE


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Make Ctrl-C and SIGTERM end the process at once while modules are loaded; no work is under way yet.

    As exceptions they would be raised in the middle of a library's code, which may swallow them.
    """
    before = {number: signal.getsignal(number) for number in PARTING}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, _leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is _leave:
                signal.signal(number, handler)


def _leave(number: int, frame: object) -> None:
    with suppress(OSError):
        os.write(2, f"\nreproduce: {PARTING[signal.Signals(number)]}\n".encode())
    os._exit(128 + number)
