"""All pages drawn from stored records, and an index to start from; with --run, missing records are made first."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from reproduce import catalog, reports
from reproduce.errors import InputError
from reproduce.paper import controls
from reproduce.paper.rows import ROWS, Row
from reproduce.paper.variants import VARIANTS
from reproduce.reports import Page, measuring
from reproduce.reports import page as pages
from reproduce.reports.comparison import FULL_DECODER
from reproduce.reports.document import Block, Bullets, Cell, Document, Section, Table
from reproduce.reports.records import Records
from reproduce.runs.request import Request, same

QUESTIONS = {
    "table2": "Are the paper's numbers reproduced?",
    "significance": "Which models differ from NARM?",
    "claims": "Do the paper's claims hold?",
    "audit": "Why 62.58 in one paper and 49.70 in another?",
    "ablation": "Which parts of NARM matter?",
    "lengths": "Where does NARM win and lose?",
    "attention": "What does NARM attend to?",
    "figure5": "Was every model trained to its end?",
    "table1": "Is it the paper's data?",
}


def rows(request: Request) -> list[Row]:
    """Return the rows of every page for the requested models."""
    found = [row for page in others().values() for row in page.rows(request)]
    return [row for row in found if not request.models or row.model in request.models]


def draw(request: Request, failed: Mapping[str, str]) -> Document:
    """Draw the index and, as documents beside it, every other page."""
    documents: dict[str, Document] = {}
    for name, file, document in draw_each(request, failed):
        if isinstance(document, InputError):  # the page reads the logs themselves, and they are not here
            print(f"{name}: left as it was: {document}", file=sys.stderr)
        else:
            documents[file] = document
    return replace(index(request, documents), beside=documents)


def draw_each(request: Request, failed: Mapping[str, str]) -> Iterator[tuple[str, str, Document | InputError]]:
    """Yield the name and file of every other page, and the page or the error that prevented it."""
    request = replace(request, datasets=pages.shown_datasets(request, Records.of_request(request)))
    # Own data whose file was not named have records only.
    with_logs = replace(request, datasets=[name for name in request.datasets if name in catalog.datasets()])
    for name, page in others().items():
        document: Document | InputError
        try:
            document = page.draw(with_logs if page.reads_logs else request, failed)
        except InputError as error:
            document = error
        yield name, reports.file_of(name), document


def index(request: Request, drawn: Collection[str]) -> Document:
    """Return this page, with a line for every page that is stored or has just been drawn.

    Args:
        drawn: the files of the pages that have just been drawn.
    """
    records = Records.of_request(request)
    lines: list[list[Cell]] = []
    known = others()
    for name in [*(name for name in QUESTIONS if name in known), *(name for name in known if name not in QUESTIONS)]:
        file = reports.file_of(name)
        if file in drawn or (request.results / file).is_file():
            lines.append([f"[{name}]({file})", QUESTIONS.get(name) or _about(known[name])])
    if (request.results / "findings.md").is_file():
        lines.append(["[findings](findings.md)", "Why does a number miss the paper's? (written by hand)"])
    nested = [file for file in sorted(request.results.glob("*/*.md")) if (file.parent / "runs").is_dir()]
    links = [f"[{file.parent.name}]({file.parent.name}/{file.name})" for file in nested if file.parent.name != "local"]
    datasets = pages.shown_datasets(request, records)
    parts: list[Block] = [Table(["page", "question"], lines, "Pages", labels=2)] if lines else []
    parts += [f"Studies with folders of their own: {pages.listed(links)}."] if links else []
    if datasets:
        parts += [
            "**What has been run**, as the number of seeds. *exact*: the model has no randomness. ·: not run.",
            _coverage(records, datasets),
        ]
    else:
        parts.append(pages.no_records(request))
    remarks = records.remarks(*datasets)
    parts += [Bullets(remarks)] if remarks else []
    if (request.results / "findings.md").is_file():  # the project's reference, not a user's own results
        parts.append(CITE)
    return Document(
        "Results",
        (),
        "Every number is computed from the stored rank of each test prefix (`runs/`).",
        parts,
        f"Made by {pages.command('all', request)}, verified by {pages.command('check', request)}. Every run: "
        "[runs.csv](runs.csv).",
        pages.data(records),
    )


PAGE = Page(draw, rows)


def others() -> dict[str, Page]:
    return {name: page for name, page in reports.pages().items() if name != reports.INDEX}


CITE = Section(
    "To cite, check or send a number",
    [
        Bullets(
            [
                "To cite a number, name its row, data set and page, and the commit in runs.csv; "
                "[CITATION.cff](../CITATION.cff) has the paper and this suite.",
                "A record is one run. Its `.json` holds the cause (data set, model, fields, seed), the circumstances "
                "(commit, versions, device, threads) and the sha256 of its `.npz`: session, length, `greater` and "
                "`equal` of every test prefix.",
                "`python -m reproduce check` verifies every record and draws every page again to compare it.",
                "To send a record, open a pull request with its two files, made at a clean commit of this repository, "
                "and with the file of the model if that is new. `check` must pass. We run it again before it is shown.",
            ]
        )
    ],
)


def _about(page: Page) -> str:
    """Return the first line of a page's module."""
    return (sys.modules[page.draw.__module__].__doc__ or "").partition("\n")[0]


def _coverage(records: Records, datasets: list[str]) -> Table:
    """Return the number of seeds by row and data set; variants of NARM and own models only where they were run."""
    variants = [Row(f"NARM: {name}", "narm", one.fields) for name, one in VARIANTS.items() if one.fields]
    variants = [row for row in variants if not same(row, FULL_DECODER)]
    shown = [*ROWS, FULL_DECODER, *controls.ROWS]
    lines: list[list[Cell]] = []
    for row in [*shown, *variants, *records.others(*datasets)]:
        found = [records.results(row, dataset) for dataset in datasets]
        if row in shown or any(found):
            cells = [
                "·" if not runs else "exact" if measuring.without_chance(runs[0]) else str(len(runs)) for runs in found
            ]
            lines.append([row.label, *cells])
    return Table(["model", *map(pages.title_of, datasets)], lines, "Seeds by row and data set")
