"""All pages drawn from stored records, and an index to start from; with --run, missing records are made first."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace

from reproduce import catalog, reports
from reproduce.errors import InputError
from reproduce.paper import controls
from reproduce.paper.rows import ROWS, Row
from reproduce.reports import Drawn, Page
from reproduce.reports import page as pages
from reproduce.reports.shelf import Shelf
from reproduce.runs.request import Request


def rows(request: Request) -> list[Row]:
    """Return the rows of every page for the requested models."""
    found = [row for page in others().values() for row in page.rows(request)]
    return [row for row in found if not request.models or row.model in request.models]


def draw(request: Request, failed: Mapping[str, str]) -> Drawn:
    figures: dict[str, bytes] = {}
    texts = {}
    for name, file, drawn in draw_each(request, failed):
        if isinstance(drawn, InputError):  # the page reads the logs themselves, and they are not here
            print(f"{name}: left as it was: {drawn}", file=sys.stderr)
            continue
        texts[file] = drawn.text
        figures |= drawn.figures
    return Drawn(index(request, texts), figures, texts)


def draw_each(request: Request, failed: Mapping[str, str]) -> Iterator[tuple[str, str, Drawn | InputError]]:
    """Yield the name and file of every other page, and the drawn page or the error that prevented it."""
    request = replace(request, datasets=pages.shown_datasets(request, Shelf.at(request.results, request.digests)))
    for name, page in others().items():
        drawn: Drawn | InputError
        try:
            drawn = page.draw(request, failed)
        except InputError as error:
            drawn = error
        yield name, reports.file_of(name), drawn


def index(request: Request, drawn: Mapping[str, str]) -> str:
    """Return the text of this page, with a line for every page that is stored or has just been drawn.

    Args:
        drawn: the texts of the pages that have just been drawn, by their files.
    """
    own = Shelf.at(request.results, request.digests)
    lines = []
    for name in others():
        file = reports.file_of(name)
        if file in drawn or (request.results / file).is_file():
            page = drawn[file] if file in drawn else (request.results / file).read_text(errors="replace")
            lines.append(f"- [{name}]({file}): {page.splitlines()[0].removeprefix('# ')}")
    nested = [file for file in sorted(request.results.glob("*/*.md")) if (file.parent / "runs").is_dir()]
    lines += [
        f"- [{file.parent.name}/{file.stem}]({file.parent.name}/{file.name}): from other data, a folder of its own"
        for file in nested
        if file.parent.name != "local"  # a user's own records, which are not part of the reference
    ]
    text = [
        "# Results",
        "Which page answers what, and which runs are recorded. Every page is a view of the records in `runs/`: a "
        "number is recomputed from the stored rank of every test prefix, nothing is typed in. "
        f"{pages.command('all', request)} draws all of them again.",
        "\n".join(lines),
    ]
    if (request.results / "findings.md").is_file():
        text.append("What misses the paper, and why, in words: [findings.md](findings.md).")
    text.append(_stored(own, request))
    if (request.results / "findings.md").is_file():  # the project's reference, not a user's own results
        text.append(CITE)
    return "\n\n".join(text) + "\n"


PAGE = Page(draw, rows)
CITE = """## To cite, check or send a number

- To cite a number, name its row, data set and page, and the commit in the page's details;
  [CITATION.cff](../CITATION.cff) has the paper and this suite.
- A record is one run. Its `.json` holds the cause (data set, model, fields, seed), the circumstances (commit, versions,
  device, threads) and the sha256 of its `.npz`: session, length, `greater` and `equal` of every test prefix.
- `python -m reproduce check` verifies every record and draws every page again to compare it.
- To send a record, open a pull request with its two files, made at a clean commit of this repository, and with the file
  of the model if that is new. `check` must pass. We run it again before it is shown."""


def others() -> dict[str, Page]:
    return {name: page for name, page in reports.pages().items() if name != reports.INDEX}


def _stored(own: Shelf, request: Request) -> str:
    """Return a table of the records by data set: which rows have some, and which of the paper's rows have none."""
    lines, papers = [], [row.label for row in ROWS]
    for dataset in pages.shown_datasets(request, own):
        shown = [*ROWS, *controls.ROWS, *own.others(dataset)]
        found = {row.label: len(own.results(row, dataset)) for row in shown}
        there = ", ".join(label + (f" ({n} seeds)" if n > 1 else "") for label, n in found.items() if n)
        missing = ", ".join(label for label in papers if not found[label])
        lines.append([catalog.dataset(dataset).title, there or pages.DASH, missing or pages.DASH])
    remarks = [f"- {line}" for line in dict.fromkeys(own.remarks)]
    table = pages.table(["data set", "recorded", "not yet"], lines, names=3)
    return table + ("\n\n" + "\n".join(remarks) if remarks else "")
