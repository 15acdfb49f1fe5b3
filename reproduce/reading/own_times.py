"""The times of one's own log: seconds, milliseconds, microseconds or ISO 8601 -> microseconds since 1970 in UTC.

The first row says whether times are numbers or dates, and of dates whether they name a zone; all others must be alike.
The unit of numbers is told by their size. No clock and no time zone of the machine is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}  # microseconds
NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}
# A number of seconds up to the year 5138, of milliseconds from 1973 to 5138, of microseconds from 1973 to 5138.
BANDS = {"s": (0, 10**11), "ms": (10**11, 10**14), "us": (10**14, 10**17)}
END = 4_102_444_800 * 10**6  # 2100
DIGITS = 9  # of a fraction; what follows is cut off
_EPOCHS = {True: datetime(1970, 1, 1, tzinfo=UTC), False: datetime(1970, 1, 1)}
_TICK = timedelta(microseconds=1)


class BadTime(Exception):
    """The row that does not fit, from 0, and why."""

    def __init__(self, row: int, why: str):
        super().__init__(why)
        self.row, self.why = row, why


class TimeColumn:
    """Takes a column in part by part; `finish` gives it whole.

    Args:
        unit: of numbers: s, ms or us; without one it is told by their size.
    """

    def __init__(self, unit: str | None = None) -> None:
        self.unit = unit
        self.dates: bool | None = None  # not numbers; known from the first row on
        self.zoned = False
        self.rows = 0
        self.parts: list[np.ndarray] = []  # of numbers the whole ones, of dates microseconds
        self.fractions: list[np.ndarray] = []  # of numbers, in 1e-9

    def take(self, texts: Sequence[str]) -> None:
        """Raises BadTime, its row counted over all that was taken in."""
        if self.dates is None and texts:
            self.dates = len(texts[0]) > 4 and texts[0][4] == "-"
            self.zoned = self.dates and _date(texts[0], 0).tzinfo is not None
        if self.dates:
            self.parts.append(self._microseconds(texts))
        else:
            self._numbers(texts)
        self.rows += len(texts)

    def _microseconds(self, texts: Sequence[str]) -> np.ndarray:
        epoch, values = _EPOCHS[self.zoned], np.empty(len(texts), np.int64)
        for i, text in enumerate(texts):
            date = _date(text, self.rows + i)
            if (date.tzinfo is not None) != self.zoned:
                has, first = ("a", "none") if date.tzinfo is not None else ("no", "one")
                raise BadTime(self.rows + i, f"the time {text!r} has {has} zone, where the first row's has {first}")
            values[i] = (date - epoch) // _TICK
        return values

    def _numbers(self, texts: Sequence[str]) -> None:
        whole, fraction = np.empty(len(texts), np.int64), np.zeros(len(texts), np.int64)
        for i, text in enumerate(texts):
            digits, point, rest = text.partition(".")
            well_formed = digits.isdigit() and len(digits) <= 17 and text.isascii() and (rest.isdigit() or not point)
            if not well_formed:
                raise BadTime(self.rows + i, f"the time is {text!r}, expected seconds, milliseconds or ISO 8601")
            whole[i] = int(digits)
            if point:
                fraction[i] = int(rest[:DIGITS].ljust(DIGITS, "0"))
        self.parts.append(whole)
        self.fractions.append(fraction)

    def finish(self) -> tuple[np.ndarray, str]:
        """Microseconds since 1970, (rows,), and what the times were, in words. Raises BadTime."""
        values = np.concatenate(self.parts)
        told = "ISO 8601 with zone" if self.zoned else "ISO 8601 without zone, taken as UTC"
        if not self.dates:
            unit = self.unit or self._told_by_size(values)
            fraction = np.concatenate(self.fractions) * UNITS[unit] // 10**DIGITS
            told = f"{NAMES[unit]} since 1970"
            beyond = values >= END // UNITS[unit]
            values = np.where(beyond, END, values * UNITS[unit] + fraction)
        outside = (values < 0) | (values >= END)
        if outside.any():
            raise BadTime(int(np.argmax(outside)), "the time lies outside 1970 to 2099")
        return values, told

    def _told_by_size(self, values: np.ndarray) -> str:
        for unit, (low, high) in BANDS.items():
            inside = (values >= low) & (values < high)
            if inside[0]:
                if not inside.all():
                    row = int(np.argmin(inside))
                    raise BadTime(
                        row,
                        f"the time is {values[row]}, where the first row's {values[0]} looks like {NAMES[unit]}; "
                        "say which with --time-unit s, ms or us",
                    )
                return unit
        raise BadTime(0, f"the time is {values[0]}, too large for microseconds since 1970")


def _date(text: str, row: int) -> datetime:
    try:
        if len(text) < 10 or text[4] != "-" or text[7] != "-" or not text.isascii():
            raise ValueError(text)
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise BadTime(row, f"the time is {text!r}, expected ISO 8601 such as 2014-04-07T10:51:09.277Z") from error
