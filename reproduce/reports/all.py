"""Every page from what is stored, and an index that a reader can start from; with --run the gaps are filled first."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from reproduce import catalog, reports
from reproduce.errors import InputError
from reproduce.files import replacing
from reproduce.paper import controls
from reproduce.paper.rows import ROWS, Row
from reproduce.reports import page as pages
from reproduce.reports.page import Shelf
from reproduce.runs.request import Request

HELP = "every page from what is stored, and an index; --run fills the gaps first"
FILE = "README.md"  # what a code forge shows of a folder


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", action="store_true", help="run what the pages lack first")


def rows(request: Request) -> list[Row]:
    if not request.options.get("run"):
        return []
    return [row for module in _others().values() for row in module.rows(request)]


def page(request: Request, failed: Mapping[str, str]) -> str:
    own = Shelf.at(request.results)
    if not request.options.get("run"):  # from what is stored: a data set that only might be run adds no empty tables
        request = replace(request, datasets=own.datasets() or request.datasets)
    lines = []
    for name, module in _others().items():
        file = request.results / f"{name}.md"
        try:
            text = module.page(request, failed)
        except InputError as error:  # a page on the logs themselves, and they are not here
            print(f"{name}: left as it was: {error}", file=sys.stderr)
        else:
            with replacing(file) as temporary:
                temporary.write_text(text, encoding="utf-8")
        if file.is_file():
            lines.append(f"- [{name}]({name}.md): {module.HELP}")
    nested = [file for file in sorted(request.results.glob("*/*.md")) if (file.parent / "runs").is_dir()]
    lines += [
        f"- [{file.parent.name}/{file.stem}]({file.parent.name}/{file.name}): from other data, a folder of its own"
        for file in nested
        if file.parent.name != "local"  # not the reference's
    ]
    index = [
        "# Results",
        "Every page here is a view of the records in `runs/`: a number is recomputed from the stored rank of every "
        f"test prefix, nothing is typed in. {pages.command('all', request)} draws all of them again.",
        "\n".join(lines),
    ]
    if (request.results / "findings.md").is_file():
        index.append("What misses the paper, and why, in words: [findings.md](findings.md).")
    index.append(_stored(own, request))
    return "\n\n".join(index) + "\n"


def _others() -> dict[str, ModuleType]:
    return {name: module for name, module in reports.pages().items() if name != Path(__file__).stem}


def _stored(own: Shelf, request: Request) -> str:
    """The records by data set: which models of the paper's table there are, and which are missing."""
    lines, papers = [], [row.label for row in ROWS]
    for dataset in pages.shown_datasets(request, own):
        found = {row.label: len(own.results(row, dataset)) for row in [*ROWS, *controls.ROWS]}
        there = ", ".join(f"{label} ({n} seed{'s' * (n > 1)})" for label, n in found.items() if n)
        missing = ", ".join(label for label in papers if not found[label])
        lines.append([catalog.dataset(dataset).title, there or pages.DASH, missing or pages.DASH])
    remarks = [f"- {line}" for line in dict.fromkeys(own.remarks)]
    table = pages.table(["data set", "recorded", "not yet"], lines, names=3)
    return table + ("\n\n" + "\n".join(remarks) if remarks else "")
