"""The times of a log, as text, numbers or timestamps, in microseconds since 1970 in UTC.

The first row decides what they are: seconds or smaller units, told by their size, or dates, with a zone or without,
with - or /. All other rows must agree. The machine's clock and time zone are never used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from reproduce.errors import in_a_line
from reproduce.reading.columns import Form

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
# Seconds up to the year 5138, the others from 1973 to 5138 (nanoseconds to 2116).
BANDS = {"s": (0, 10**11), "ms": (10**11, 10**14), "us": (10**14, 10**17), "ns": (10**17, 2**62)}
END = 4_102_444_800 * 10**6  # the start of 2100
# 20170714, or with hours, minutes and seconds: neither a number of seconds nor a date until the user says which.
DATE_IN_DIGITS = re.compile("(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])([0-9]{2}){0,3}")
DATED, ZONE = re.compile("[0-9]{4}[-/]"), re.compile(r"(Z|UTC|[+-][0-9:]{2,6})$")
NUMBER = re.compile(r"[0-9]{1,19}(\.[0-9]{1,60})?([eE]\+?[0-9]{1,2})?")
EXPECTED = "expected seconds since 1970, or ISO 8601 such as 2014-04-07T10:51:09.277Z"
NO_FRACTION = np.zeros(1, np.int64)
OUTSIDE = "the time lies outside 1970 to 2099"


class Misfit(Exception):
    """A value does not fit: its row in the batch, counted from 0, and the reason."""

    def __init__(self, row: int, why: str) -> None:
        super().__init__(why)
        self.row, self.why = row, why


def first_misfit(values: Any, read: Callable[[Any], object]) -> int:
    """Find the first row that `read` refuses, given that it refuses the whole, by halving."""
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            read(values[low:middle])
            low = middle
        except pa.ArrowException:
            high = middle
    return low


class Times:
    """A column of times, read batch by batch."""

    def __init__(self, form: Form) -> None:
        self.unit, self.format, self.missing = form.unit, form.time_format, form.missing
        self.band: tuple[int, int] | None = None  # of numbers, where the unit is told by their size
        self.first = ""  # the first row, if it is text
        self.words = ""  # what the times are, for the foot of a page

    def read(self, values: pa.Array) -> np.ndarray:
        """Return a batch in microseconds since 1970, (rows,). Raises Misfit."""
        if self.format and pa.types.is_integer(values.type):
            values = values.cast(pa.string())
        kind = values.type
        if pa.types.is_timestamp(kind):
            self.words = "timestamps with zone" if kind.tz else "timestamps without zone, taken as UTC"
            micros = _scaled(values.cast(pa.int64()).to_numpy(), NO_FRACTION, kind.unit)
        elif pa.types.is_date(kind):
            self.words = "days"
            micros = values.cast(pa.date32()).cast(pa.int32()).to_numpy().astype(np.int64) * 86_400 * 10**6
        elif not pa.types.is_string(kind):
            micros = self._numbers(values)
        elif self.format:
            micros = self._formatted(values)
        else:
            self.first = self.first or values[0].as_py()
            dated = self.unit == "iso" or (self.unit is None and DATED.match(self.first))
            micros = self._dates(values) if dated else self._numbers(values)
        if (outside := (micros < 0) | (micros >= END)).any():
            raise Misfit(int(np.argmax(outside)), OUTSIDE)
        return micros

    def _misfit(self, row: int, text: str, why: str) -> Misfit:
        if text in self.missing:
            return Misfit(row, f"the time is missing ({text!r}); fill it in or remove such rows")
        more = "; --time-format reads other forms" if why == EXPECTED and self.unit != "iso" else ""
        return Misfit(row, f"the time is {text[:120]!r}, {why}{more}")

    def _dates(self, values: pa.Array) -> np.ndarray:
        first = self.first
        zoned, slash = ZONE.search(first[10:]) is not None, first[4:5] == "/"
        self.words = "ISO 8601 with zone" if zoned else "ISO 8601 without zone, taken as UTC"
        plain = pc.replace_substring(values, " UTC", "Z") if first.endswith(" UTC") else values
        if slash:
            plain = pc.replace_substring_regex(plain, "^([0-9]{4})/([0-9]{2})/", r"\1-\2-")
        zone = "UTC" if zoned else None
        try:
            micros = _moments(plain, zone).cast(pa.int64()).to_numpy()
        except pa.ArrowException as error:
            row = first_misfit(plain, partial(_moments, zone=zone))
            text = values[row].as_py()
            why = EXPECTED
            if DATED.match(text) and zoned is not bool(ZONE.search(text[10:])):
                why = f"which has {'no' if zoned else 'a'} zone, where the first row's has {'one' if zoned else 'none'}"
            raise self._misfit(row, text, why) from error
        if self.unit is None:  # of published logs every row has the form that is known
            alike = pc.equal(pc.utf8_slice_codeunits(values, 10, 11), first[10:11])
            if (row := pc.index(alike, False).as_py()) >= 0:
                raise self._misfit(row, values[row].as_py(), f"where the first row's is {first!r}; write all alike")
        if slash and (row := pc.index(pc.match_substring(values, "/"), False).as_py()) >= 0:
            raise self._misfit(row, values[row].as_py(), "written with -, where the first row's has /")
        return micros

    def _formatted(self, values: pa.Array) -> np.ndarray:
        self.words = f"as {self.format}, taken as UTC unless they name a zone"
        texts = values.to_pandas()
        try:
            moments = pd.to_datetime(texts, format=self.format, utc=True, errors="coerce").astype("datetime64[us, UTC]")
        except (ValueError, OverflowError) as error:
            raise Misfit(0, f"--time-format {self.format}: {in_a_line(str(error))}") from error
        if (absent := moments.isna().to_numpy()).any():
            row = int(np.argmax(absent))
            raise self._misfit(row, texts[row], f"expected the form {self.format}")
        return moments.astype(np.int64).to_numpy()

    def _numbers(self, values: pa.Array) -> np.ndarray:
        whole, billionths = self._whole(values)
        if self.unit is None:
            if DATE_IN_DIGITS.fullmatch(digits := str(whole[0])):
                form = "%Y%m%d%H%M%S"[: len(digits) - 2]
                why = f"a date or a number? say --time-format {form}, or --time-unit s (or ms, us, ns)"
                raise self._misfit(0, digits, why)
            self.unit = next((unit for unit, (low, high) in BANDS.items() if low <= whole[0] < high), "ns")
            self.band = BANDS[self.unit]
        self.words = f"{NAMES[self.unit]} since 1970"
        if self.band and (other := (whole < self.band[0]) | (whole >= self.band[1])).any():
            row = int(np.argmax(other))
            raise Misfit(row, f"the time is {whole[row]}, where the first row's looks like {NAMES[self.unit]}; say "
                              f"which with --time-unit {', '.join(PER_SECOND)}")  # fmt: skip
        return _scaled(whole, billionths, self.unit)

    def _whole(self, values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Return the whole numbers, and the billionths beside them, of times that are numbers."""
        if pa.types.is_integer(values.type):
            try:
                return values.cast(pa.int64()).to_numpy(), NO_FRACTION
            except pa.ArrowException as error:
                raise Misfit(first_misfit(values, partial(pc.cast, target_type=pa.int64())), OUTSIDE) from error
        if pa.types.is_floating(values.type):
            floats = values.to_numpy(zero_copy_only=False).astype(float)
            if (bad := ~((floats >= 0) & (floats < 2**62))).any():  # not a number included
                row = int(np.argmax(bad))
                raise self._misfit(row, str(floats[row]), EXPECTED)
            return np.floor(floats).astype(np.int64), np.floor(floats % 1 * 10**9).astype(np.int64)
        if not pa.types.is_string(values.type):
            raise Misfit(0, f"the time is of type {values.type}, expected text, numbers or timestamps")
        if pc.all(pc.ascii_is_decimal(values)).as_py() and pc.max(pc.binary_length(values)).as_py() <= 18:
            return values.cast(pa.int64()).to_numpy(), NO_FRACTION
        cut = pc.extract_regex(values, r"^(?P<whole>[0-9]{1,18})(?:\.(?P<rest>[0-9]{1,60}))?$")
        if not cut.null_count:
            rest = pc.utf8_slice_codeunits(pc.utf8_rpad(cut.field("rest"), 9, "0"), 0, 9)
            return cut.field("whole").cast(pa.int64()).to_numpy(), rest.cast(pa.int64()).to_numpy()
        exact: list[tuple[int, int]] = []  # some are as 1.6e9
        with localcontext(prec=100):
            for row, text in enumerate(values.to_pylist()):
                if not NUMBER.fullmatch(text) or (number := Decimal(text)) >= 2**62:
                    raise self._misfit(row, text, EXPECTED)
                exact.append((int(number), int(number % 1 * 10**9)))
        whole, billionths = np.array(exact).T
        return whole, billionths


def _moments(texts: pa.Array, zone: str | None) -> pa.Array:
    try:
        return texts.cast(pa.timestamp("us", zone))
    except pa.ArrowException:  # more than six digits of a second
        return texts.cast(pa.timestamp("ns", zone)).cast(pa.timestamp("us", zone), safe=False)


def _scaled(whole: np.ndarray, billionths: np.ndarray, unit: str) -> np.ndarray:
    """Return microseconds; END for what lies beyond."""
    if unit == "ns":
        return whole // 1000
    per = 10**6 // PER_SECOND[unit]
    beyond = (whole < 0) | (whole >= END // per)
    return np.where(beyond, END, np.where(beyond, 0, whole) * per + billionths * per // 10**9)


def span(micros: np.ndarray) -> str:
    """Return the first and the last day of times in microseconds since 1970."""
    first, last = (datetime.fromtimestamp(int(time) // 10**6, UTC) for time in (micros.min(), micros.max()))
    return f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
