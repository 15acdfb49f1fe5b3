"""The other end of a process: streams that may be closed, full or unable to show a letter, and signals that end it.

A reader that goes away (`... | head -1`) is no end of work: what is left to say is dropped, runs and pages go on.
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
    """Standard output or error of which no write fails; what became of it is kept."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream  # None where the process was started without
        self.fault: OSError | None = None  # the end of it; a reader that goes away is none
        self.unprintable = False  # letters were shown as ?

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
        """From here on it leads nowhere, also for what is buffered and for what libraries write by its number."""
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
    """Standard output and error as Streams, put back at the end; gives that of the output."""
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
    """No file that is opened later may get the number of a standard stream: libraries write to these."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


def told(output: Stream, status: int, page: str) -> int:
    """Say what became of the output, and where the page lies that it was of; the exit status then."""
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
    """While modules are loaded Ctrl-C and SIGTERM end the process there and then: nothing is under way yet.

    As an exception they would come out of whatever line a library happens to be at, and not always come out.
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
