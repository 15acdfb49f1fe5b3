"""`merge`: bring the records made on several machines into one results folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reproduce.reports.description import RESULTS, About, Command, Option
from reproduce.runs.merge import merge

ABOUT = About(
    "brings the records and kept models of other results folders into one, checked first",
    (
        Option(
            "folders",
            "results folders, such as another machine's results/local",
            "DIR",
            Path,
            several=True,
            required=True,
        ),
        RESULTS,
    ),
)


def _answer(options: Any) -> str:
    done = merge(options.folders, options.results)
    lines = [f"{path.removeprefix('runs/')}: brought in" for path in done.brought]
    lines += [f"{path.removeprefix('runs/')}: there already, with equal ranks" for path in done.kept]
    lines += [f"{path.removeprefix('runs/')}: its fitted model brought in" for path in done.models]
    return "\n".join([*lines, f"{len(done.brought)} brought in, {len(done.kept)} there already: {options.results}"])


COMMAND = Command(ABOUT, _answer)
