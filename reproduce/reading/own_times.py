"""Read the times of a user's own log (numbers or ISO 8601 dates) as microseconds since 1970 in UTC.

The first row decides whether times are numbers or dates, and whether dates name a zone; all other rows must agree.
Numbers are seconds, milliseconds or microseconds, inferred from their size unless a unit is given. The machine's clock
and time zone are never used.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}  # unit -> microseconds
NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}
# Ranges by which the unit is inferred: seconds up to the year 5138, milliseconds and microseconds from 1973 to 5138.
BANDS = {"s": (0, 10**11), "ms": (10**11, 10**14), "us": (10**14, 10**17)}
END = 4_102_444_800 * 10**6  # the start of 2100, in microseconds
DIGITS = 9  # of a fraction; further digits are cut off
_EPOCHS = {True: datetime(1970, 1, 1, tzinfo=UTC), False: datetime(1970, 1, 1)}
_TICK = timedelta(microseconds=1)


class BadTime(Exception):
    """A time is malformed: its row, counted from 0, and the reason."""

    def __init__(self, row: int, why: str):
        super().__init__(why)
        self.row, self.why = row, why


class TimeColumn:
    """A column of times that is read batch by batch; `finish` returns it whole.

    Args:
        unit: of numeric times: s, ms or us; None: inferred from their size.
    """

    def __init__(self, unit: str | None = None) -> None:
        self.unit = unit
        self.dates: bool | None = None  # dates, not numbers; None before the first row
        self.zoned = False
        self.rows = 0
        self.parts: list[np.ndarray] = []  # whole seconds (or ms, us) of numeric times; microseconds of dates
        self.fractions: list[np.ndarray] = []  # fractions of numeric times, in units of 1e-9

    def take(self, texts: Sequence[str]) -> None:
        """Append a batch of times.

        Raises:
            BadTime: with the row's index counted over all batches.
        """
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
        """Return microseconds since 1970, (rows,), and the format of the times in words.

        Raises:
            BadTime: a time is outside 1970 to 2099, or does not fit the unit inferred from the first row.
        """
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
