"""Deadline: a limit on time, which stops a command between two epochs; the same command goes on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from reproduce.errors import SuiteError, UsageError

NOT_BEGUN = "not begun, the time is up"


class TimeIsUp(SuiteError):
    """What is left did not fit into --minutes; what was done is kept. Exit status 75: try again."""

    status = 75


@dataclass(frozen=True)
class Deadline:
    """So many seconds from when it was made; other processes of the machine may be told of it."""

    seconds: float
    began: float = field(default_factory=lambda: time.monotonic())

    @classmethod
    def in_minutes(cls, minutes: float) -> Deadline:
        return cls(60.0 * minutes)

    @property
    def left(self) -> float:
        """Seconds until then, below 0 after it."""
        return self.began + self.seconds - time.monotonic()

    def check(self) -> None:
        """Before a run: raises TimeIsUp where no time is left to begin it."""
        if self.left <= 0:
            raise TimeIsUp(NOT_BEGUN)

    def check_epoch(self, epoch: int, epochs: int, lengths: Sequence[float]) -> None:
        """Before an epoch: raises TimeIsUp where it would not end in time, as far as is known.

        Args:
            epoch, epochs: the number of the one to begin, from 1, and how many there are at most.
            lengths: seconds that epochs of this run took so far, on this device. Without any, it is begun.

        Raises:
            UsageError: not even the whole of the limit suffices for an epoch, so that no sitting would get further.
        """
        longest = max(lengths, default=0.0)
        if longest > self.seconds:
            raise UsageError(
                f"an epoch takes {longest / 60:.1f} minutes, more than --minutes gives ({self.seconds / 60:g}): "
                "no such sitting would get further; give it more time"
            )
        if self.left < max(longest, 1e-9):
            raise TimeIsUp(f"the time is up after epoch {epoch - 1} of {epochs}" if epoch > 1 else NOT_BEGUN)
