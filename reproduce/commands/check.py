"""`check`: whether stored records and pages are sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reproduce import catalog, reports
from reproduce.reports import check
from reproduce.reports.description import OWN_LOG, About, Command, Option
from reproduce.runs import own_options

ABOUT = About(
    "verifies stored records and pages",
    (
        Option("--results", "default: results/, the reference", metavar="DIR", type=Path, default=Path("results")),
        Option("--model", "the .py files of your own models that pages show", metavar="FILE", several=True),
        Option("--dataset", "your own data that pages show", metavar="PATH", several=True),
        *OWN_LOG,
    ),
)


def _answer(options: Any) -> str:
    for file in options.model:
        catalog.recommender(file)
    own_options.datasets(options.dataset, vars(options))
    return check.report(options.results, reports.pages())


COMMAND = Command(ABOUT, _answer)
