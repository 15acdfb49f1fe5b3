"""The journal of a run: progress on the terminal, the history of epochs and the checkpoint."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from reproduce.errors import InputError, in_a_line
from reproduce.fitting.determinism import Precision
from reproduce.fitting.recommender import Batch, Journal
from reproduce.runs import state_file
from reproduce.runs.deadline import Deadline

KIND, REMEDY = "checkpoint", "--fresh starts over"
# What the line of an epoch says of its numbers.
EPOCH = {
    "loss": "loss {:.4f}",
    "validation_recall": "validation Recall@20 {:.2f}",
    "examples_per_second": "{:,.0f} examples/s",
}
REFRESH = 1.0  # seconds between two reads of the loss, each of which makes the host wait for the device


@dataclass
class RunJournal(Journal):
    """The journal of a stored run: a bar and a line an epoch on standard error, and a checkpoint after every epoch."""

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
        if self.quiet:
            yield from batches
            return
        on_terminal = sys.stderr.isatty() and multiprocessing.parent_process() is None  # several bars would overlap
        due = time.time()
        with tqdm(
            total=examples,
            desc=f"{self.title} epoch {epoch}/{epochs}",
            unit=" examples",
            unit_scale=True,
            mininterval=REFRESH,
            dynamic_ncols=True,
            leave=False,
            disable=not on_terminal,
        ) as bar:
            for batch in batches:
                yield batch
                if loss is not None and on_terminal and time.time() >= due:
                    bar.set_postfix_str(f"loss {loss():.4f}", refresh=False)
                    due = time.time() + REFRESH
                bar.update(len(batch))  # type: ignore[arg-type]

    def _lengths(self) -> list[float]:
        """Seconds per epoch: of this sitting, validation included; else of the last epoch before it, if known."""
        if len(self._starts) > 1:
            return [after - before for before, after in pairwise(self._starts)]
        if not self.resumed or self.resumed[-1].get("device") != self.circumstances.get("device"):
            return []  # on another device an epoch may take longer or shorter
        return [float(epoch["seconds"]) for epoch in self.history[-1:] if "seconds" in epoch]

    def epoch(self, numbers: Mapping[str, float]) -> None:
        super().epoch(numbers)
        self.precision.look()
        if self.quiet or not self._starts:  # a model of a user's own may leave out steps, or some of the numbers
            return
        number = int(numbers["epoch"])
        each = (time.monotonic() - self._starts[0]) / len(self._starts)
        words = [f"{self.title} epoch {number}/{self._epochs}"]
        words += [form.format(numbers[key]) for key, form in EPOCH.items() if key in numbers]
        words.append(f"at most {tqdm.format_interval(each * (self._epochs - number))} left")
        tqdm.write("  ".join(words), file=sys.stderr)

    def restore(self) -> dict[str, Any] | None:
        if self.checkpoint is None or self.fresh or not self.checkpoint.exists():
            return None
        kept = state_file.read(self.checkpoint, KIND, REMEDY)
        if kept.get("identity") != self.identity:
            raise InputError(
                f"{self.checkpoint}: belongs to a run with another split, other fields or another schema; {REMEDY}"
            )
        if kept["torch"] != torch.__version__:
            raise InputError(
                f"{self.checkpoint}: written by torch {in_a_line(str(kept['torch']), 20)}, this is "
                f"{torch.__version__}; use that version, or {REMEDY}"
            )
        self.history = list(kept["history"])
        self.resumed = [*kept["resumed"], {**kept["circumstances"], "epochs": len(self.history)}]
        if not self.quiet:
            print(f"{self.title}: resuming after epoch {len(self.history)}", file=sys.stderr, flush=True)
        return dict(kept["state"])

    def misfit(self, name: str, why: str) -> InputError:
        return InputError(f"{self.checkpoint}: does not fit {name} ({in_a_line(why, 200)}); {REMEDY}")

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
        state_file.write(self.checkpoint, KIND, content)
