"""`check`: whether stored records and pages are sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reproduce import reports
from reproduce.reports import check
from reproduce.reports.description import About, Command, Option

ABOUT = About(
    "verifies stored records and pages",
    (Option("--results", "default: results/, the reference", metavar="DIR", type=Path, default=Path("results")),),
)


def _answer(options: Any) -> str:
    return check.report(options.results, reports.pages())


COMMAND = Command(ABOUT, _answer)
