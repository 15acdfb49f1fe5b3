"""A hundredth of `tox -e fuzz`, with new seeds every time: each fuzzer is a program in tests/fuzz."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).resolve().parent / "fuzz"


@pytest.mark.parametrize(
    ("name", "number", "more"),
    [("logs", 100, []), ("pickles", 50, []), ("records", 50, ["--pages", "1"])],
)
def test_nothing_that_is_mangled_breaks_the_suite(name: str, number: int, more: list[str]) -> None:
    words = [sys.executable, str(FUZZ / f"{name}.py"), "--number", str(number), *more]
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout[-4_000:] + told.stderr[-2_000:]
    assert f"{name}: {number} tried" in told.stdout and ", 0 broke" in told.stdout
