"""The journal of a run: progress on the terminal, the history of epochs and the checkpoint."""

from __future__ import annotations

import io
import math
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from reproduce.errors import InputError, in_a_line
from reproduce.files import replacing
from reproduce.fitting.determinism import Precision
from reproduce.fitting.recommender import Batch, Journal
from reproduce.runs import record_shape
from reproduce.runs.deadline import Deadline
from reproduce.runs.progress import duration, watched

MAX_PICKLE = 16 << 20  # bytes of a checkpoint apart from its tensors; the largest known has 20 KiB


@dataclass
class RunJournal(Journal):
    """The journal of a stored run: a bar or plain lines on standard error, and a checkpoint after every epoch.

    A checkpoint is read with `weights_only`, so a hostile file cannot run code. Its checksums, which torch ignores, are
    verified first, so a flipped bit cannot change a rank. It is written to a temporary file and then moved into place,
    so the old one remains until the new one is complete.
    """

    title: str = ""
    checkpoint: Path | None = None
    identity: str = ""
    circumstances: Mapping[str, Any] = field(default_factory=dict)
    quiet: bool = False
    fresh: bool = False
    resumed: list[dict[str, Any]] = field(default_factory=list)  # the circumstances of earlier sittings of this run
    precision: Precision = field(default_factory=Precision)  # as seen after every epoch
    deadline: Deadline | None = None  # an epoch that would end later is not begun
    _starts: list[float] = field(default_factory=list)  # when the epochs of this sitting began
    _began: float = field(default_factory=time.monotonic)
    _first: int = 0
    _epochs: int = 0

    def steps(
        self,
        batches: Iterable[Batch],
        *,
        epoch: int,
        epochs: int,
        examples: int,
        loss: Callable[[], float] | None = None,
    ) -> Iterator[Batch]:
        self._epochs = epochs
        self._starts.append(time.monotonic())
        if self.deadline is not None:
            self.deadline.check_epoch(epoch, epochs, self._lengths())
        if not self._first:
            self._first, self._began = epoch, time.monotonic()
        if self.quiet:
            yield from batches
            return
        told: Any = {"title": self.title, "epoch": epoch, "epochs": epochs, "examples": examples}
        yield from watched(batches, **told, lengths=self._lengths(), loss=loss)

    def _lengths(self) -> list[float]:
        """Seconds per epoch: of this sitting, validation included; else of the last epoch before it, if known."""
        if len(self._starts) > 1:
            return [after - before for before, after in pairwise(self._starts)]
        if not self.resumed or self.resumed[-1].get("device") != self.circumstances.get("device"):
            return []  # on another device an epoch may take longer or shorter
        return [float(one["seconds"]) for one in self.history[-1:] if "seconds" in one]

    def epoch(self, numbers: Mapping[str, float]) -> None:
        super().epoch(numbers)
        self.precision.look()
        if self.quiet:
            return
        done = int(numbers["epoch"]) - self._first + 1
        left = (time.monotonic() - self._began) / done * (self._epochs - int(numbers["epoch"]))
        told = [f"{self.title} epoch {int(numbers['epoch'])}/{self._epochs}", f"loss {numbers['loss']:.4f}"]
        if "validation_recall" in numbers:
            told.append(f"validation Recall@20 {numbers['validation_recall']:.2f}")
        told += [f"{numbers['examples_per_second']:,.0f} examples/s", f"at most {duration(left)} to go"]
        print("  ".join(told), file=sys.stderr, flush=True)

    def restore(self) -> dict[str, Any] | None:
        if self.checkpoint is None or self.fresh or not self.checkpoint.exists():
            return None
        kept = _read(self.checkpoint)
        identity, version, state, history = kept["identity"], kept["torch"], dict(kept["state"]), list(kept["history"])
        circumstances, resumed = dict(kept["circumstances"]), list(kept["resumed"])
        if identity != self.identity:
            raise InputError(
                f"{self.checkpoint}: belongs to a run with another split, other fields or another schema; "
                "--fresh starts over"
            )
        if version != torch.__version__:
            raise InputError(
                f"{self.checkpoint}: written by torch {in_a_line(str(version), 20)}, this is {torch.__version__}; go "
                "on with that version, or --fresh starts over"
            )
        self.history = history
        self.resumed = [*resumed, {**circumstances, "epochs": len(history)}]
        if not self.quiet:
            print(f"{self.title} goes on after epoch {len(history)}", file=sys.stderr, flush=True)
        return state

    def misfit(self, name: str, why: str) -> InputError:
        return InputError(f"{self.checkpoint}: does not fit {name} ({in_a_line(why, 200)}); --fresh starts over")

    def save(self, state: dict[str, Any]) -> None:
        if self.checkpoint is None:
            return
        content = {
            "identity": self.identity,
            "torch": str(torch.__version__),
            "circumstances": {**self.circumstances, **asdict(self.precision)},
            "resumed": self.resumed,
            "history": self.history,
            "state": state,
        }
        whole = io.BytesIO()  # torch's own file writer hides why a write failed
        torch.save(content, whole)
        with replacing(self.checkpoint) as temporary:
            temporary.write_bytes(whole.getbuffer())

    def discard(self) -> None:
        """Delete the checkpoint, which is no longer needed once the run is recorded."""
        if self.checkpoint is not None:
            self.checkpoint.unlink(missing_ok=True)


def _read(file: Path) -> dict[str, Any]:
    """Read a checkpoint and check the types of its parts. Raises InputError if it is not one of this suite's."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if any(one.compress_type != zipfile.ZIP_STORED for one in members):
                raise ValueError("packed")  # torch compresses nothing; compressed data may unpack to any size
            if sum(one.file_size for one in members) > file.stat().st_size:
                raise ValueError("members that lie on each other")
            if any(one.file_size > MAX_PICKLE for one in members if one.filename.endswith(".pkl")):
                raise ValueError("too many objects")
            if (torn := archive.testzip()) is not None:
                raise ValueError(f"{torn} has a wrong checksum")
        kept = torch.load(file, map_location="cpu", weights_only=True)
        _check(kept)
    except Exception as error:  # torch may raise anything here; the meaning is always the same
        raise InputError(
            f"{file}: not a whole checkpoint of this suite ({type(error).__name__}); --fresh starts over"
        ) from error
    return kept


def _check(kept: dict[str, Any]) -> None:
    """Raise ValueError, TypeError or KeyError if a part of a checkpoint has the wrong type or content."""
    kinds = {"identity": str, "torch": str, "state": dict, "history": list, "circumstances": dict, "resumed": list}
    if type(kept) is not dict or any(type(kept[key]) is not kind for key, kind in kinds.items()):
        raise ValueError("parts of other kinds")
    sittings = [*kept["resumed"], {**kept["circumstances"], "epochs": len(kept["history"])}]
    record_shape.check_sittings(kept["history"], sittings)  # now, rather than when the resumed run is recorded
    for number, epoch in enumerate(kept["history"], 1):
        if epoch["epoch"] != number or not all(
            type(one) in (int, float) and math.isfinite(one) for one in epoch.values()
        ):
            raise ValueError("a history that does not count 1, 2, 3, ...")
    epoch = kept["state"].get("epoch", len(kept["history"]))
    if type(epoch) is not int or epoch != len(kept["history"]):
        raise ValueError("a state of another epoch")
