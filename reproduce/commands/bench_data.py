"""`bench data`: how fast a raw log, generated in YOOCHOOSE's format in a temporary folder, becomes a split."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from tabulate import tabulate

from reproduce import catalog
from reproduce.reading import parsers, split_cache
from reproduce.runs.environment import peak_memory_mib

LOG, NAME = "yoochoose-clicks.dat", "yoochoose1_4"
FULL = 33_003_944  # rows in the real log
LEAST, MOST = 1_000, 100_000_000  # fewer rows make no split; more might need session ids of nine digits
SESSIONS_AT_ONCE = 100_000
ITEMS, FIRST_ITEM = 52_000, 214_500_000
FIRST_DAY, DAYS = np.datetime64("2014-04-01", "s").astype(np.int64), 182
T = TypeVar("T")


def report(rows: int) -> str:
    """Measure the seconds of each stage from a raw log to `yoochoose1_4`, and the peak memory of this process."""
    seconds: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        result = work()
        seconds[stage] = time.perf_counter() - began
        return result

    kept = os.environ.get("REPRODUCE_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REPRODUCE_CACHE"] = str(Path(folder) / "cache")
        try:
            data = Path(folder)
            file = data / LOG
            timed("generate the log", lambda: generate(file, rows))
            size = file.stat().st_size
            before = peak_memory_mib(torch.device("cpu"))
            timed("sha256 of the log", lambda: split_cache.sha256(file))
            made = timed(f"raw log -> {NAME}", lambda: catalog.dataset(NAME).read(data))
            after = peak_memory_mib(torch.device("cpu"))
            place = split_cache.place(catalog.dataset(NAME), data)
            timed("store in the cache", lambda: split_cache.store(made, place))
            again = timed("load from the cache", lambda: split_cache.load(place))
        finally:
            if kept is None:
                del os.environ["REPRODUCE_CACHE"]
            else:
                os.environ["REPRODUCE_CACHE"] = kept
    assert again is not None and again.digest == made.digest
    table = tabulate(
        [[stage, f"{one:.2f}"] for stage, one in seconds.items()], ["stage", "seconds"], disable_numparse=True
    )
    return (
        f"{rows:,} rows, {size / 1e9:.2f} GB, {os.cpu_count()} cores\n\n{table}\n\n"
        f"{len(made.train):,} training and {len(made.test):,} test sessions; "
        f"peak memory {after:,} MiB ({before:,} before the log was read)"
    )


def generate(file: Path, rows: int) -> None:
    """Write a log of `rows` rows in YOOCHOOSE's format: 3.6 clicks per session, item popularity with a long tail."""
    rng = np.random.default_rng(0)
    session = 10_000_000  # eight digits, like the longest real ids
    with file.open("wb") as stream:
        while rows:
            lengths = rng.geometric(1 / 3.6, SESSIONS_AT_ONCE)
            stops = np.minimum(np.cumsum(lengths), rows)
            lengths = np.diff(stops, prepend=0)
            owner = np.repeat(np.arange(len(lengths)), lengths)
            begin = rng.integers(0, DAYS * parsers.DAY, len(lengths))
            since = np.cumsum(rng.integers(1, 200, len(owner)))
            first = np.maximum(stops - lengths, 0)[owner]
            moment = FIRST_DAY + begin[owner] + since - since[np.minimum(first, len(since) - 1)]
            items = FIRST_ITEM + (ITEMS * rng.random(len(owner)) ** 4).astype(np.int64)
            stream.write(_text(session + owner, moment, items))
            session += len(lengths)
            rows -= len(owner)


def _text(sessions: np.ndarray, moments: np.ndarray, items: np.ndarray) -> bytes:
    """Format rows, all of the same width: `10000000,2014-04-01T00:00:00.000Z,214500000,0`."""
    days = np.datetime_as_string(np.unique(moments // parsers.DAY).astype("datetime64[D]")).astype("S10")
    day = np.unique(moments // parsers.DAY, return_inverse=True)[1]
    row = np.tile(np.frombuffer(b"00000000,0000-00-00T00:00:00.000Z,000000000,0\n", np.uint8), (len(items), 1))
    row[:, 9:19] = days.view(np.uint8).reshape(-1, 10)[day]
    second = moments % parsers.DAY
    for place, digits, values in (
        (0, 8, sessions), (20, 2, second // 3600), (23, 2, second // 60 % 60), (26, 2, second % 60),
        (29, 3, second * 7 % 1000), (34, 9, items),
    ):  # fmt: skip
        for i in range(digits):
            row[:, place + i] = 48 + values // 10 ** (digits - 1 - i) % 10
    return row.tobytes()
