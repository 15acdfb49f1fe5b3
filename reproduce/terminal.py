"""Standard streams on which no write fails: a reader that goes away (`... | head -1`) ends no run and no page."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any


class Stream:
    """A standard stream whose output is dropped once it cannot be written."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.fault: OSError | None = None  # why it cannot be written; None if only the reader went away
        with suppress(AttributeError):  # a test's stand-in
            stream.reconfigure(errors="replace")  # letters that the terminal lacks are shown as ?

    def write(self, text: str) -> int:
        self._attempt(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._attempt(self._stream.flush)

    def _attempt(self, act: Callable[..., object], *words: str) -> None:
        """Write or flush; if that fails, send the rest to the null device, what is still buffered included."""
        try:
            act(*words)
        except ValueError:  # a user's own code closed it
            self._stream = open(os.devnull, "w")  # noqa: PTH123, SIM115
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.fault = error
            with suppress(OSError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)
                self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def sturdy() -> Iterator[Stream]:
    """Replace standard output and error by such streams until the end; yields that of standard output."""
    for number in range(3):  # a file opened later must not get a descriptor that libraries write to
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor
    before = sys.stdout, sys.stderr
    streams = [Stream(stream or open(os.devnull, "w")) for stream in before]  # noqa: PTH123, SIM115
    sys.stdout, sys.stderr = streams
    try:
        yield streams[0]
    finally:
        for stream in streams:
            stream.flush()
        sys.stdout, sys.stderr = before
