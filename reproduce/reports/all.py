"""An index of the pages, drawn after all of them; with --run, missing records are made first."""

from __future__ import annotations

import sys

from reproduce import reports
from reproduce.paper.rows import Row
from reproduce.paper.variants import VARIANTS
from reproduce.reading import own_data
from reproduce.reports.document import Block, Cell, Document, Table
from reproduce.reports.measuring import without_chance
from reproduce.reports.study import FULL_DECODER, KNOWN, Page, Study, joined, title_of
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
    found = [row for page in reports.pages().values() if page is not PAGE for row in page.rows(request)]
    return [row for row in found if not request.models or row.model in request.models]


def draw(study: Study) -> Document:
    """Return the index: a line for every page that is stored, and what has been run."""
    results = study.request.page_folder
    known, findings = reports.pages(), (results / "findings.md").is_file()
    lines = [
        {"page": f"[{name}]({reports.file_of(name)})", "question": QUESTIONS.get(name) or _about(known[name])}
        for name in dict.fromkeys([*(name for name in QUESTIONS if name in known), *known])
        if name != reports.INDEX and (results / reports.file_of(name)).is_file()
    ]
    if findings:
        question = "Why does a number miss the paper's? (written by hand)"
        lines.append({"page": "[findings](findings.md)", "question": question})
    nested = [file for file in sorted(results.glob("*/*.md")) if file.parent.name != "local"]
    links = [
        f"[{file.parent.name}]({file.parent.name}/{file.name})" for file in nested if (file.parent / "runs").is_dir()
    ]
    parts: list[Block] = [Table(lines, "Pages", labels=2)]
    parts += [f"Studies with folders of their own: {joined(links)}."] if links else []
    own = [file for file in nested if own_data.NAME.fullmatch(file.parent.name)]
    links = [f"[{file.parent.name}/{file.stem}]({file.parent.name}/{file.name})" for file in own]
    parts += [f"Pages of single logs of your own: {joined(links)}."] if links else []
    if study.datasets:
        parts += [
            "**What has been run**, as the number of seeds. *exact*: the model has no randomness. ·: not run.",
            _coverage(study),
        ]
    if findings:  # the project's reference, not a user's own results
        parts.append("To cite, check or send a number: [docs/citing.md](../docs/citing.md).")
    return Document(
        "Results",
        introduction="Every number is computed from the stored rank of each test prefix (`runs/`).",
        parts=parts,
        foot=f"Verified by {study.command('check')}.",
    )


PAGE = Page(draw, rows)


def _about(page: Page) -> str:
    """Return the first line of a page's module."""
    return (sys.modules[page.make.__module__].__doc__ or "").partition("\n")[0]


def _coverage(study: Study) -> Table:
    """Return the number of seeds by row and data set; variants of NARM and own models only where they were run."""
    variants = [Row(f"NARM: {name}", "narm", variant.fields) for name, variant in VARIANTS.items() if variant.fields]
    variants = [row for row in variants if not same(row, FULL_DECODER)]
    lines: list[dict[str, Cell]] = []
    for row in [*KNOWN, *variants, *study.records.others(*study.datasets)]:
        found = {title_of(name): study.records.results(row, name) for name in study.datasets}
        if row in KNOWN or any(found.values()):
            seeds = {
                name: "exact" if runs and without_chance(runs[0]) else str(len(runs) or "·")
                for name, runs in found.items()
            }
            lines.append({"model": row.label, **seeds})
    return Table(lines, "Seeds by row and data set")
