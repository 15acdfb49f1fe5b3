"""Journal: what a fit may tell the outside. Progress to the terminal, the history of epochs, the checkpoint."""

from __future__ import annotations

import contextlib
import glob
import io
import math
import os
import signal
import sys
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from tqdm import tqdm

from reproduce.errors import InputError

Batch = TypeVar("Batch")


@dataclass
class Journal:
    """The quiet journal: remembers the history of epochs while it lives, and keeps nothing."""

    history: list[dict[str, float]] = field(default_factory=list)

    def steps(self, batches: Iterable[Batch], *, epoch: int, epochs: int, examples: int) -> Iterator[Batch]:
        """Hand the batches of an epoch through, telling how far it is."""
        yield from batches

    def epoch(self, numbers: Mapping[str, float]) -> None:
        """Note an epoch that is finished."""
        self.history.append(dict(numbers))

    def restore(self) -> dict[str, Any] | None:
        """The state that an interrupted fit last saved, or None; the history is as it was then."""
        return None

    def save(self, state: dict[str, Any]) -> None:
        """Keep tensors and plain values, from which this fit can go on."""


@dataclass
class RunJournal(Journal):
    """The journal of a run that is stored: a bar or plain lines on standard error, a checkpoint after every epoch.

    A checkpoint is read with `weights_only`: a hostile file cannot run code; and its checksums are read first, which
    torch does not look at: a flipped bit cannot become a rank. It is written beside its place and moved there whole, so
    the old one stands until the new one is complete.
    """

    title: str = ""
    checkpoint: Path | None = None
    identity: str = ""
    circumstances: Mapping[str, Any] = field(default_factory=dict)
    quiet: bool = False
    fresh: bool = False
    resumed: list[dict[str, Any]] = field(default_factory=list)  # the circumstances of the sittings before this one
    _began: float = field(default_factory=time.monotonic)
    _first: int = 0
    _epochs: int = 0

    def steps(self, batches: Iterable[Batch], *, epoch: int, epochs: int, examples: int) -> Iterator[Batch]:
        self._epochs = epochs
        if not self._first:
            self._first, self._began = epoch, time.monotonic()
        if self.quiet or not sys.stderr.isatty():
            yield from batches
            return
        with tqdm(
            total=examples, desc=f"{self.title} epoch {epoch}/{epochs}", unit=" examples", unit_scale=True, leave=False
        ) as bar:
            for batch in batches:
                yield batch
                bar.update(len(batch))  # type: ignore[arg-type]

    def epoch(self, numbers: Mapping[str, float]) -> None:
        super().epoch(numbers)
        if self.quiet:
            return
        done = int(numbers["epoch"]) - self._first + 1
        left = (time.monotonic() - self._began) / done * (self._epochs - int(numbers["epoch"]))
        told = [f"{self.title} epoch {int(numbers['epoch'])}/{self._epochs}", f"loss {numbers['loss']:.4f}"]
        if "validation_recall" in numbers:
            told.append(f"validation Recall@20 {numbers['validation_recall']:.2f}")
        told += [f"{numbers['examples_per_second']:,.0f} examples/s", f"at most {_duration(left)} to go"]
        print("  ".join(told), file=sys.stderr, flush=True)

    def restore(self) -> dict[str, Any] | None:
        if self.checkpoint is None or self.fresh or not self.checkpoint.exists():
            return None
        try:
            with zipfile.ZipFile(self.checkpoint) as archive:
                if (torn := archive.testzip()) is not None:
                    raise ValueError(f"{torn} has a wrong checksum")
            kept = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
            identity, version, state = kept["identity"], kept["torch"], dict(kept["state"])
            history, circumstances, resumed = list(kept["history"]), dict(kept["circumstances"]), list(kept["resumed"])
        except Exception as error:  # torch raises whatever its parser meets; every kind means the same here
            raise InputError(
                f"{self.checkpoint}: not a whole checkpoint of this suite ({type(error).__name__}); --fresh starts over"
            ) from error
        if identity != self.identity:
            raise InputError(
                f"{self.checkpoint}: belongs to a run with another split, other fields or another schema; "
                "--fresh starts over"
            )
        if version != torch.__version__:
            raise InputError(
                f"{self.checkpoint}: written by torch {version}, this is {torch.__version__}; go on with that version, "
                "or --fresh starts over"
            )
        self.history = history
        self.resumed = [*resumed, {**circumstances, "epochs": len(history)}]
        if not self.quiet:
            print(f"{self.title} goes on after epoch {len(history)}", file=sys.stderr, flush=True)
        return state

    def save(self, state: dict[str, Any]) -> None:
        if self.checkpoint is None:
            return
        content = {
            "identity": self.identity,
            "torch": str(torch.__version__),
            "circumstances": dict(self.circumstances),
            "resumed": self.resumed,
            "history": self.history,
            "state": state,
        }
        whole = io.BytesIO()  # torch's own file writer hides why a write failed
        torch.save(content, whole)
        with replacing(self.checkpoint) as temporary:
            temporary.write_bytes(whole.getbuffer())

    def discard(self) -> None:
        """The run is recorded: its checkpoint has done its work."""
        if self.checkpoint is not None:
            self.checkpoint.unlink(missing_ok=True)


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
        self.temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")

    def __enter__(self) -> Path:
        replacing.open += 1
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
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


def _duration(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
