"""`check`: whether the stored records and pages can be believed, without running a model or reading a log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from reproduce.errors import InputError, SuiteError
from reproduce.reports.soundness import faults
from reproduce.runs.record import Result, current, load_file
from reproduce.runs.request import Request


def command(commands: Any, pages: Mapping[str, ModuleType]) -> None:
    """Add it to the sub-commands of a parser; `pages` are what may have been drawn from records, by name."""
    parser = commands.add_parser("check", help="whether the stored records and pages can be believed")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="default: results/, the reference"
    )
    parser.set_defaults(answer=lambda options: report(options.results, pages))


def report(results: Path, pages: Mapping[str, ModuleType]) -> str:
    """What was checked, and notes that are no fault.

    Raises:
        InputError: something cannot be believed; a line for each.
    """
    files = sorted((results / "runs").glob("*/*.json"))
    if not files:
        raise InputError(f"{results}: no records there; choose a folder with --results DIR")
    wrong, notes, records = [], [], []
    for file in files:
        name = str(file.relative_to(results))
        try:
            content, result = load_file(file)
        except SuiteError as error:
            wrong.append(str(error).removeprefix(f"{results}/"))
            continue
        if results / f"{result.experiment.path}.json" != file:
            wrong.append(f"{name}: is a record of {result.experiment.path}, not of its own name")
            continue
        try:
            wrong += [f"{name}: {fault}" for fault in faults(result, content)]
            notes += [f"{name}: {note}" for note in _notes(result)]
        except SuiteError as error:  # of a model, or with a field, that there is not
            wrong.append(f"{name}: {error}")
            continue
        records.append((name, result))
    wrong += _contradictions(records)
    wrong += _stale_pages(results, pages)
    told = "".join(f"\n  note: {note}" for note in notes)
    if wrong:
        raise InputError(
            f"{results}: {len(wrong)} of what is stored cannot be believed\n  " + "\n  ".join(wrong) + told
        )
    return f"{results}: {len(records)} records and their pages are sound{told}"


def _notes(result: Result) -> Iterator[str]:
    if not current(result):
        yield "made with fields its model no longer has; pages leave it out"
    if result.environment["dirty"]:
        yield "made with changes that were not committed"


def _contradictions(records: list[tuple[str, Result]]) -> Iterator[str]:
    """One identity, two records with different ranks: neither is to be merged with the other."""
    first: dict[str, tuple[str, Result]] = {}
    for name, one in records:
        other = first.setdefault(one.identity, (name, one))
        if other[1] is not one and not np.array_equal(other[1].ranks(), one.ranks()):
            yield f"{name}: of the same identity as {other[0]}, with other ranks; remove one and run it again"


def _stale_pages(results: Path, pages: Mapping[str, ModuleType]) -> Iterator[str]:
    """Pages that their records, drawn again by the plain command, would not give; pages of logs are not looked at."""
    request = Request(datasets=[], data=Path(), results=results)
    for name, module in pages.items():
        file = results / f"{name}.md"
        if getattr(module, "LOGS", False) or not file.is_file():
            continue
        if module.page(request, {}) != file.read_text(encoding="utf-8"):
            yield f"{file.name}: not what its records give; python -m reproduce {name} draws it again"
