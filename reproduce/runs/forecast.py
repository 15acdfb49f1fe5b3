"""Progress of a grid of runs on the terminal: how many are left, and when they will be done, from earlier runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from reproduce import catalog
from reproduce.errors import SuiteError
from reproduce.files import Busy
from reproduce.fitting.neural import Neural
from reproduce.fitting.pairwise import Pairwise
from reproduce.runs.environment import circumstances
from reproduce.runs.experiment import Experiment
from reproduce.runs.listing import listed
from reproduce.runs.progress import duration
from reproduce.runs.record_shape import Misshapen, read_table
from reproduce.runs.request import Request


@dataclass
class Forecast:
    """How long runs take, estimated from stored runs on this device and from the runs of this sitting."""

    seconds: dict[tuple[str, str], float] = field(default_factory=dict)  # (data set, model) -> seconds of a run

    @classmethod
    def from_records(cls, results: Path, cells: Iterable[Experiment], device: str) -> Forecast:
        """Make a forecast from the stored runs on a device, named as in a record; unreadable records are skipped."""
        made = cls()
        for dataset in dict.fromkeys(one.dataset for one in cells):
            for one in listed(results, dataset):
                if one.experiment is not None:
                    made._note_record(one.experiment, one.file, device)
        return made

    def _note_record(self, experiment: Experiment, file: Path, device: str) -> None:
        try:
            told: Any = read_table(file)["environment"]
            if told["device"] == device:
                self.note(experiment, float(told["fit_seconds"]) + float(told["score_seconds"]))
        except (Misshapen, OSError, KeyError, TypeError, ValueError):
            return  # no forecast from it; code that needs the record reports what is wrong

    def note(self, experiment: Experiment, seconds: float) -> None:
        """Note how long a run took; it replaces earlier times, since it reflects the machine as it is now."""
        self.seconds[experiment.dataset, experiment.model] = seconds

    def of(self, experiment: Experiment) -> float | None:
        """Estimate the seconds of a run; None if nothing is known.

        This is the time of the same model on the same data set. Without one, it is the mean of the other models there
        that are also trained or, for a model that is not trained, of those that are not either.
        """
        known = self.seconds.get((experiment.dataset, experiment.model))
        if known is not None:
            return known
        alike = [
            seconds
            for (dataset, model), seconds in self.seconds.items()
            if dataset == experiment.dataset and _trained(model) == _trained(experiment.model)
        ]
        return mean(alike) if alike else None

    def told(self, cells: Sequence[Experiment], jobs: int, elapsed: float = 0.0) -> str:
        """Say how many runs are left and, as far as is known, when they will be done.

        Args:
            cells: the runs left, including those under way.
            jobs: the number of runs at a time.
            elapsed: seconds that the runs under way have taken together.
        """
        each = [self.of(one) for one in cells]
        known = [one for one in each if one is not None]
        total = max(0.0, sum(known) - elapsed) / min(jobs, max(len(cells), 1))
        if not total:
            return f"{len(cells)} left"
        about = "about" if len(known) == len(each) else "more than"
        return f"{len(cells)} left, {about} {duration(total)} (until {clock(total)})"


def _trained(model: str) -> bool:
    return issubclass(catalog.recommender(model), (Neural, Pairwise))


@dataclass
class Watch:
    """Reports the progress of a grid: the run that starts, how many are left, and when they will be done."""

    request: Request
    missing: list[Experiment]  # the runs that were not stored at the beginning
    device: torch.device
    began: dict[str, float] = field(default_factory=dict)  # path -> start, for the runs under way
    forecast: Forecast = field(default_factory=Forecast)
    done: set[str] = field(default_factory=set)

    def begin(self, asked: int) -> None:
        if self.request.quiet or asked == 1:
            return
        name = str(circumstances(self.device, 1)["device"])
        self.forecast = Forecast.from_records(self.request.results, self.missing, name)
        if self.missing and len(self.missing) < asked:
            self._say(f"{asked - len(self.missing)} of {asked} runs are stored, {len(self.missing)} are to be made")

    def starts(self, one: Experiment) -> None:
        if one in self.missing:
            self.began[one.path] = time.monotonic()
            number = f"[{len(self.done) + len(self.began)}/{len(self.missing)}]"
            self._say(f"{number} {one.path.removeprefix('runs/')}{self._left()}")

    def ends(self, one: Experiment, error: SuiteError | None) -> None:
        began = self.began.pop(one.path, None)
        if began is None or isinstance(error, Busy):
            return
        self.done.add(one.path)
        if error is None:
            self.forecast.note(one, time.monotonic() - began)
            if self.request.jobs > 1:
                self._say(f"{one.path.removeprefix('runs/')} is done{self._left()}")

    def absent(self, dataset: str) -> None:
        """Drop the runs on a data set that cannot be loaded."""
        for one in [one for one in self.missing if one.dataset == dataset]:
            self.missing.remove(one)
            self.began.pop(one.path, None)

    def _left(self) -> str:
        left = [one for one in self.missing if one.path not in self.done]
        if len(self.missing) == 1 or not left:
            return ""
        elapsed = sum(time.monotonic() - began for began in self.began.values())
        return "; " + self.forecast.told(left, self.request.jobs, elapsed)

    def _say(self, line: str) -> None:
        if not self.request.quiet:
            print(line, file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """The clock time so many seconds from now, with the weekday if that is 20 hours away or more."""
    return time.strftime("%H:%M" if seconds < 20 * 3600 else "%a %H:%M", time.localtime(time.time() + seconds))
