"""Deadline: a time limit that stops a command between two epochs; the same command resumes it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from reproduce.errors import SuiteError, UsageError

NOT_BEGUN = "not begun, the time is up"


class TimeIsUp(SuiteError):
    """The remaining work did not fit into --minutes; what was done is kept. Exit status 75: try again."""

    status = 75


@dataclass(frozen=True)
class Deadline:
    """A limit of so many seconds from its creation; it also holds in other processes of the machine."""

    seconds: float
    began: float = field(default_factory=lambda: time.monotonic())

    @property
    def left(self) -> float:
        """Seconds left, negative after the deadline."""
        return self.began + self.seconds - time.monotonic()

    def check_epoch(self, epoch: int, epochs: int, lengths: Sequence[float]) -> None:
        """Raise TimeIsUp if the next epoch, as far as is known, would not end in time.

        Args:
            epoch, epochs: the number of the next epoch, from 1, and the largest number of epochs.
            lengths: seconds that epochs of this run took so far, on this device. If empty, the epoch may begin.

        Raises:
            TimeIsUp: no time is left, or less than the longest epoch so far took.
            UsageError: an epoch takes longer than the whole limit, so that no sitting would make progress.
        """
        longest = max(lengths, default=0.0)
        if longest > self.seconds:
            raise UsageError(
                f"an epoch takes {longest / 60:.1f} minutes, more than --minutes gives ({self.seconds / 60:g}): "
                "no such sitting would get further; give it more time"
            )
        if self.left < max(longest, 1e-9):
            raise TimeIsUp(f"the time is up after epoch {epoch - 1} of {epochs}" if epoch > 1 else NOT_BEGUN)
