"""Check that stored records and pages are sound, without running a model, reading a log or writing anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from reproduce import catalog, reports
from reproduce.errors import InputError, SuiteError
from reproduce.reading import own_data
from reproduce.reports import all as index
from reproduce.reports import comment, figures, renderers
from reproduce.reports.soundness import faults
from reproduce.runs import kept_model
from reproduce.runs.record import Result, current, load_file


def report(results: Path) -> str:
    """Check a results folder; return a line on what was checked, and notes that are not faults.

    Args:
        results: the folder to check.

    Raises:
        InputError: there are no records, or something cannot be believed; the message has a line for each fault.
    """
    files = sorted((results / "runs").glob("*/*.json"))
    if not files:
        raise InputError(f"{results}: no records there; choose a folder with --results DIR")
    wrong, notes, records = [], [], []
    for file in tqdm(files, "records", disable=None, leave=False):  # shown on a terminal only
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
        except SuiteError as error:  # the suite has no such model or field
            wrong.append(f"{name}: {error}")
            continue
        records.append((name, result))
    wrong += _contradictions(records)
    by_name = dict(records)
    for file in sorted((results / "runs").glob(f"*/*{kept_model.ENDING}")):
        name = str(file.relative_to(results))
        record = by_name.get(f"{name.removesuffix(kept_model.ENDING)}.json")
        try:
            told = kept_model.fault(file, record) if record else ""
            wrong += [f"{name}: {told}"] if told else []
            notes += [] if record else [f"{name}: not compared, no sound record lies beside it"]
        except InputError as error:
            wrong.append(str(error).removeprefix(f"{results}/"))
    for folder in (results, *sorted(one for one in results.glob("*/") if own_data.NAME.fullmatch(one.name))):
        for fault, severe in _stale_pages(results, folder):
            (wrong if severe else notes).append(f"{folder.name}/{fault}" if folder != results else fault)
    told = "".join(f"\n  note: {note}" for note in notes)
    if wrong:
        raise InputError(
            f"{results}: {len(wrong)} of what is stored cannot be believed\n  " + "\n  ".join(wrong) + told
        )
    return f"{results}: {len(records)} records and their pages are sound{told}"


def _notes(result: Result) -> Iterator[str]:
    own = result.environment.get("source") is not None
    if own and result.experiment.model not in catalog.recommenders():
        yield "of a model of one's own; whether its source is the same is not known: name its file with --model"
    elif not current(result):
        yield "made with fields its model no longer has; pages leave it out"
    if result.environment["dirty"]:
        yield "made with changes that were not committed"


def _contradictions(records: list[tuple[str, Result]]) -> Iterator[str]:
    """Yield a fault for each record with the identity of an earlier one but other ranks: they must not be merged."""
    first: dict[str, tuple[str, Result]] = {}
    for name, one in records:
        other = first.setdefault(one.identity, (name, one))
        if other[1] is not one and not np.array_equal(other[1].ranks(), one.ranks()):
            yield f"{name}: of the same identity as {other[0]}, with other ranks; remove one and run it again"


def _stale_pages(results: Path, folder: Path) -> Iterator[tuple[str, bool]]:
    """Yield what is wrong with stored pages and figures when drawn again from the records, and whether it is a fault.

    Pages that read logs cannot be drawn from records alone; the figures they embed are read from their text.

    Args:
        results: the folder of the records.
        folder: the folder of the pages: the same, or that of one's own data in it.
    """
    pages = {name: page for name, page in reports.pages().items() if (folder / reports.file_of(name)).is_file()}
    embedded, known, unnamed = set(), set(), False
    for name, page in tqdm(pages.items(), "pages", disable=None, leave=False):
        file = reports.file_of(name)
        stored = (folder / file).read_bytes().decode(errors="replace")
        embedded |= _embedded(stored)
        if page is not index.PAGE and page.reads_logs:
            continue
        try:
            request = comment.request_of(stored, results)
            if folder != results:
                request = replace(request, datasets=[folder.name], folder=folder.name)
                unnamed = folder.name not in catalog.datasets()  # a title that its .toml gives is not known
            with comment.only(request):
                document = (index.ALONE if page is index.PAGE else page).draw(request)
        except comment.NotHere as error:
            yield f"{file}: {error}", False
            known |= {Path(figure).name for one in _embedded(stored) for figure in (f"{one}.png", f"{one}.svg")}
            continue
        except SuiteError as error:
            yield f"{file}: cannot be drawn again: {error}", True
            continue
        again = comment.again(name, page, request)
        if _anywhere(renderers.markdown(document)) != _anywhere(comment.COMMENT.sub("", stored)):
            if unnamed:
                yield f"{file}: not compared, it shows {folder.name}: name its file with --dataset", False
            else:
                yield f"{file}: not what its records give; {again}", True
        for beside, text in document.data.items():
            if not (folder / beside).is_file():
                yield f"{beside}: absent; {again}", True
            elif (folder / beside).read_bytes() != text.encode():
                yield f"{beside}: not what its records give; {again}", True
        known |= set(document.figures)
        yield from _stale_figures(folder / "figures", document.figures, again)
    if (folder / "findings.md").is_file():
        embedded |= _embedded((folder / "findings.md").read_text(encoding="utf-8"))
    for left in sorted((folder / "figures").glob("*")):
        if pages and left.name not in known and left.stem not in embedded:
            yield f"figures/{left.name}: left over, no page draws it; remove it", True


def _anywhere(page: str) -> str:
    """Remove the results folder from the commands on a page: it may have been moved since the page was drawn."""
    return re.sub(r" --results [^`\n]*(?=`)", "", page)


def _embedded(text: str) -> set[str]:
    """Return the names of the figures that a page embeds, without file extensions."""
    return set(re.findall(r"\(figures/([^)]+)\.(?:png|svg)\)", text))


def _stale_figures(folder: Path, drawn: Mapping[str, bytes], again: str) -> Iterator[tuple[str, bool]]:
    """Yield the figures that are absent or have other bytes, and whether that is a fault.

    Figures drawn by another version of matplotlib cannot be compared: they get a note.
    """
    for name, content in drawn.items():
        file = folder / name
        if not file.is_file():
            yield f"figures/{name}: absent; {again}", True
        elif file.read_bytes() != content:
            beside = file.with_suffix(".svg")
            version = figures.drawn_with(beside.read_bytes()) if beside.is_file() else ""
            if version in ("", figures.version()):
                yield f"figures/{name}: not what its records give; {again}", True
            else:
                yield f"figures/{name}: not compared, drawn with matplotlib {version}", False
