"""Parse columns of digits, dates and times in a block of bytes into integers, for all rows together.

A parser returns for each field whether it is well-formed; its caller reports what is wrong with a malformed one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

LONGEST = 18  # the most digits that always fit an int64
FIRST_YEAR, LAST_YEAR = 1970, 2099
DAY = 86_400  # seconds
# (bytes of a block, start and stop of each field) -> (values, whether each is well-formed); all but the block (rows,)
Parser = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def integers(text: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parse fields of 1 to 18 digits and nothing else."""
    width = stop - start
    good = (width > 0) & (width <= LONGEST)
    values = np.zeros(len(start), np.int64)
    for back in range(1, min(int(width.max(initial=0)), LONGEST) + 1):
        digit = text[np.maximum(stop - back, 0)] - np.uint8(48)  # uint8 wraps: what is not a digit exceeds 9
        digit[width < back] = 0
        good &= digit <= 9
        values += digit * np.int64(10 ** (back - 1))
    return values, good


def dates(text: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parse dates such as 2016-05-09 into the seconds from 1970 to their midnight in UTC."""
    window, good = _matching(text, start, stop, b"0000-00-00", b"9999-99-99")
    day, exists = _days(window)
    return day * DAY, good & exists


def timestamps(text: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parse times such as 2014-04-07T10:51:09.277Z into seconds since 1970 in UTC; the milliseconds are cut off."""
    window, good = _matching(text, start, stop, b"0000-00-00T00:00:00.000Z", b"9999-99-99T29:59:59.999Z")
    day, exists = _days(window)
    hour, minute, second = (_number(window, place, 2) for place in (11, 14, 17))
    return day * DAY + hour * 3600 + minute * 60 + second, good & exists & (hour < 24)


def _matching(
    text: np.ndarray, start: np.ndarray, stop: np.ndarray, low: bytes, high: bytes
) -> tuple[np.ndarray, np.ndarray]:
    """Return fields of a fixed width, (rows, width), and whether every byte of each lies between `low` and `high`'s."""
    fits = stop - start == len(low)
    if len(text) < len(low):
        return np.zeros((len(start), len(low)), np.uint8), np.zeros(len(start), bool)
    window = sliding_window_view(text, len(low))[np.where(fits, start, 0)]
    inside = (window >= np.frombuffer(low, np.uint8)) & (window <= np.frombuffer(high, np.uint8))
    return window, fits & inside.all(1)


def _number(window: np.ndarray, place: int, digits: int) -> np.ndarray:
    """Return the number in some columns of digits, (rows,)."""
    values = np.zeros(len(window), np.int64)
    for i in range(place, place + digits):
        values *= 10
        values += window[:, i] - np.uint8(48)
    return values


def _days(window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the days since 1970 of the date at the start of each field, and whether the calendar has such a day."""
    year, month, day = _number(window, 0, 4), _number(window, 5, 2), _number(window, 8, 2)
    return days_since_1970(year, month, day)


def days_since_1970(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the days since 1970-01-01, and whether the calendar has such a day in 1970 to 2099; all (rows,)."""
    inside = (year >= FIRST_YEAR) & (year <= LAST_YEAR) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    place = ((year - FIRST_YEAR) * 12 + month - 1) * 31 + day - 1
    days = _calendar()[np.where(inside, place, 0)]
    return days, inside & (days >= 0)


@lru_cache
def _calendar() -> np.ndarray:
    """List the days since 1970 of every (year, month, day), with 31 days per month; -1 for days that do not exist."""
    months = np.arange(f"{FIRST_YEAR}-01", f"{LAST_YEAR + 1}-01", dtype="datetime64[M]")
    day = months.astype("datetime64[D]")[:, None] + np.arange(31)
    return np.where(day.astype("datetime64[M]") == months[:, None], day.astype(np.int64), -1).ravel()
