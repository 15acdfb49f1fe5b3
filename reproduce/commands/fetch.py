"""`fetch`: download a freely available log, and verify it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from reproduce import catalog
from reproduce.names import known
from reproduce.reading.download import fetch
from reproduce.reports.description import DATA, About, Command, Option

ABOUT = About(
    "downloads a log that anyone may have, and verifies it",
    (
        Option("name", "such as eshop", metavar="NAME", required=True, names="log to fetch"),
        Option("--url", "another place to get the same file from", metavar="URL"),
        DATA,
    ),
)


def report(name: str, data: Path, url: str | None) -> str:
    """Download a log to its place in the data folder.

    Raises:
        UsageError: there is no log of that name to fetch.
        InputError: it cannot be downloaded, is not the expected file, or cannot be written.
    """
    downloads = {one.name: one.download for one in catalog.datasets().values() if one.download}
    download = downloads[known("log to fetch", name, downloads)]
    return f"{fetch(dataclasses.replace(download, url=url or download.url), data)}: as expected"


def _answer(options: Any) -> str:
    return report(options.name, options.data, options.url)


COMMAND = Command(ABOUT, _answer)
