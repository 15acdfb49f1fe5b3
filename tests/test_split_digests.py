"""Every split of the suite is what it was when the committed records were made: its digest is in golden/splits.json.

The identity of a record contains the digest of its split. A changed digest here therefore means lost records.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from reproduce import catalog
from reproduce.datasets import diginetica, yoochoose

GOLDEN: dict[str, str] = json.loads((Path(__file__).resolve().parent / "golden" / "splits.json").read_text())
ROWS = 250_000  # about 11 MB, several blocks of the reader


def chance(n: int, stream: int) -> np.ndarray:
    """Return n integers below 2**32, by arithmetic alone: the same with every version of numpy."""
    state = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(stream << 40)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    return ((state ^ (state >> np.uint64(27))) >> np.uint64(32)).astype(np.int64)


def clicks() -> Iterator[tuple[int, np.datetime64, int, int]]:
    """Yield session, time, item and place in time; one row in a thousand lies far from the others of its session."""
    session = np.cumsum(chance(ROWS, 1) % 4 == 0) + 10_000
    session = np.where(chance(ROWS, 2) % 1_000 == 0, session[chance(ROWS, 3) % ROWS], session)
    second = np.datetime64("2014-04-01", "s").astype(np.int64) + chance(ROWS + 20_000, 4)[session] % (40 * 86_400)
    when = ((second + chance(ROWS, 5) % 3_600) * 1_000 + chance(ROWS, 6) % 1_000).astype("datetime64[ms]")
    item = 1_000 + (chance(ROWS, 7) / 2**32) ** 3 * 30_000
    return zip(session.tolist(), when, item.astype(int).tolist(), (chance(ROWS, 8) % 5_000).tolist(), strict=True)


def test_splits_of_generated_logs_are_what_they_were(tmp_path: Path) -> None:
    yoo = "".join(f"{session},{when}Z,{item},0\n" for session, when, item, _ in clicks())
    (tmp_path / f"{yoochoose.RAW}.gz").write_bytes(gzip.compress(yoo.encode(), 1))
    rows = (f"{session};NA;{item};{place};{str(when)[:10]}\n" for session, when, item, place in clicks())
    (tmp_path / diginetica.RAW).write_text("sessionId;userId;itemId;timeframe;eventdate\n" + "".join(rows))
    for name in ("yoochoose1_64", "yoochoose1_4", "diginetica", "diginetica-file-order"):
        assert catalog.load_split(name, tmp_path).digest == GOLDEN[f"{name}, generated log"], name


def test_the_synthetic_split_is_what_it_was(tmp_path: Path) -> None:
    assert catalog.load_split("synthetic", tmp_path).digest == GOLDEN["synthetic"]


@pytest.mark.real
def test_splits_of_the_real_files_are_what_they_were(real_data: Path) -> None:
    for name in ("yoochoose1_64", "diginetica", "diginetica-file-order", "eshop"):
        assert catalog.load_split(name, real_data).digest == GOLDEN[f"{name}, real files"], name
    for name in ("yoochoose1_64", "yoochoose1_4", "diginetica", "diginetica-file-order"):
        assert catalog.load_split(name, real_data / "raw-samples").digest == GOLDEN[f"{name}, raw sample"], name
