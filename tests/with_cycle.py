"""Run `python -m reproduce` with the tests' data set `cycle` added, for tests that need it in another process."""

from __future__ import annotations

import sys
from pathlib import Path

import reproduce.datasets
from reproduce.__main__ import main

reproduce.datasets.__path__.append(str(Path(__file__).resolve().parent / "sources"))

if __name__ == "__main__":
    sys.exit(main())
