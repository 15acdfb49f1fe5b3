"""The toy log of the contract as a data set, `cycle`: for tests that need one in a hundredth of a second."""

from __future__ import annotations

from pathlib import Path

from reproduce.reading.sessions import Provenance, Split, count
from reproduce.reading.source import Dataset


def _read(data: Path) -> Split:
    from reproduce.fitting.contract import cycle

    train, test = cycle()
    return Split("cycle", train, test, Provenance("simulated", "time", emulated=False, counts=count(train, test)))


DATASETS = (Dataset(name="cycle", title="the cycle toy (for tests)", find=lambda data: [], read=_read, obtain=""),)
