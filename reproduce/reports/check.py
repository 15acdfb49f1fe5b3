"""Check that stored records and pages are sound, without running a model or writing anything.

Every file of a results folder is compared with what its records give, or named as not compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from reproduce import catalog, reports
from reproduce.errors import InputError, SuiteError
from reproduce.reading import own_data
from reproduce.reports import figures, making, renderers
from reproduce.reports.document import Document
from reproduce.reports.records import Records
from reproduce.reports.study import Page
from reproduce.runs import kept_model, search
from reproduce.runs.experiment import identity
from reproduce.runs.record import Result, load_file
from reproduce.runs.request import Request, digests

# The sha256 of the records that name none of their own, as sha256sum writes and checks them; beside runs/.
OLDER = "older-records.sha256"
COMMAND = re.compile(r"`python -m reproduce [^`\n]*`")
NO_PAGES = "of no page that was compared"
FOLDER = re.compile(r" --results ([^\s`']+|'[^'`\n]*')(?=`)")  # ends a command on a page


def report(results: Path, data: Path | None = None) -> str:
    """Check a results folder; return what is sound, and what was not compared and why.

    Args:
        results: the folder to check.
        data: the data folder, to draw pages that read logs again; None: they are not compared.

    Raises:
        InputError: there are no records, or a stored file is inconsistent; the message has a line for each fault.
    """
    if not any((results / "runs").glob("*/*.json")):
        raise InputError(f"{results}: no records there; choose a folder with --results DIR")
    folder = _Folder(results)
    records = folder.check_records()
    folder.check_kept_models(dict(records))
    own = sorted(place for place in results.glob("*/") if own_data.NAME.fullmatch(place.name))
    pages = sum(folder.check_pages(place, data) for place in (results, *own))
    folder.check_searches()
    lines = []
    for why in dict.fromkeys(folder.apart.values()):
        names = [name for name, reason in folder.apart.items() if reason == why]
        lines.append(f"not compared, {why}: {', '.join(names)}")
    if n := len({line.partition(": ")[0] for line in folder.faults}):
        said = f"{n} stored {'file is' if n == 1 else 'files are'} inconsistent"
        raise InputError("\n  ".join([f"{results}: {said}", *folder.faults, *lines]))
    sound = " and ".join(f"{n} {what}{'s' * (n != 1)}" for n, what in ((len(records), "record"), (pages, "page")))
    apart = f"; not compared: {len(folder.apart)}" if folder.apart else ""
    return "\n  ".join([f"{results}: {sound} are sound{apart}", *lines])


@dataclass
class _Folder:
    """What is found out about a results folder; files are named from it."""

    results: Path
    faults: list[str] = field(default_factory=list)
    compared: set[Path] = field(default_factory=set)
    apart: dict[str, str] = field(default_factory=dict)  # what was not compared, and why

    def fault(self, error: SuiteError) -> None:
        self.faults.append(str(error).removeprefix(f"{self.results}/"))

    def name(self, file: Path) -> str:
        return str(file.relative_to(self.results))

    def check_records(self) -> list[tuple[str, Result]]:
        """Check every record; return the sound ones by the name of their file."""
        records = []
        files = sorted((self.results / "runs").glob("*/*.json"))
        older = self.older_records()
        for file in tqdm(files, "records", disable=None, leave=False):  # shown on a terminal only
            name = self.name(file)
            try:
                content, result = load_file(file)
            except SuiteError as error:
                self.fault(error)
                continue
            if older and "digest" not in content and older.get(name) != sha256(file.read_bytes()).hexdigest():
                self.faults.append(f"{name}: changed after it was written: its sha256 is not in {OLDER}")
            try:
                self.faults += [f"{name}: {fault}" for fault in faults(result, content)]
            except SuiteError as error:  # the suite has no such model or field
                self.faults.append(f"{name}: {error}")
                continue
            records.append((name, result))
        return records

    def older_records(self) -> dict[str, str]:
        """Return the sha256 of each record in the list of those without a digest, by the name of its file."""
        place = self.results / OLDER
        if not place.is_file():
            return {}
        self.compared.add(place)
        lines = [line.split("  ", 1) for line in place.read_text(encoding="utf-8", errors="replace").splitlines()]
        return {line[-1]: line[0] for line in lines}

    def check_kept_models(self, records: Mapping[str, Result]) -> None:
        for file in sorted((self.results / "runs").glob(f"*/*{kept_model.ENDING}")):
            name = self.name(file)
            record = records.get(f"{name.removesuffix(kept_model.ENDING)}.json")
            if record is None:
                self.apart[name] = "no sound record lies beside it"
                continue
            try:
                if fault := kept_model.fault(kept_model.read(file), record.identity, record.split):
                    self.faults.append(f"{name}: {fault} than its record")
            except InputError as error:
                self.fault(error)

    def check_pages(self, place: Path, data: Path | None) -> int:
        """Draw every page again that lies in a folder and compare it; return how many were drawn.

        Args:
            place: the results folder, or the folder of the pages of one's own data in it.
            data: see `report`.
        """
        there = {file.name for file in place.glob("*.md")}
        pages = {name: page for name, page in reports.pages().items() if reports.file_of(name) in there}
        drawn = 0
        for name, page in tqdm(pages.items(), "pages", disable=None, leave=False):
            file = place / reports.file_of(name)
            text = file.read_bytes().decode(errors="replace")
            try:
                request = self.request_of(page, place, text, data)
                with catalog.using(catalog.current().only(request.models, request.datasets)):  # others are not shown
                    document = page.draw(request)
            except making.NotHere as error:
                self.apart[self.name(file)] = str(error)
            except SuiteError as error:
                self.faults.append(f"{self.name(file)}: cannot be drawn again: {error}")
                self.apart[self.name(file)] = "cannot be drawn again"
            else:
                drawn += self.compare(file, text, document, making.again(name, page, request))
        if (place / "findings.md").is_file():
            self.apart[self.name(place / "findings.md")] = "written by hand"
        self.check_the_rest(place)
        return drawn

    def request_of(self, page: Page, place: Path, text: str, data: Path | None) -> Request:
        """Return the request that a stored page was drawn with. Raises NotHere where it needs what was not named."""
        if page.reads_logs and data is None:
            raise making.NotHere("drawn from the logs; name their folder with --data")
        request = making.stored_request(text, self.results)
        if place != self.results:
            request = replace(request, datasets=[place.name], folder=place.name)
        if not page.reads_logs or data is None:
            return request
        records = Records(self.results)
        for name, digest in digests([*request.datasets, *records.datasets()], data).items():
            recorded = {result.split["digest"] for result in records.readable(name)}
            if recorded and digest not in recorded:
                raise making.NotHere(f"drawn from another {name} than {data} has")
        return replace(request, data=data)

    def compare(self, page: Path, text: str, document: Document, again: str) -> bool:
        """Compare a page, its CSV files and its figures with the document drawn anew; return whether it was done."""
        due, stored = renderers.markdown(document), making.COMMENT.sub("", text)
        # The files may have been moved since.
        same = _without_paths(due) == _without_paths(stored) and len(set(FOLDER.findall(stored))) < 2
        files = {page.parent / name: content.encode() for name, content in document.data.items()}
        files |= {page.parent / "figures" / name: content for name, content in document.figures.items()}
        own = page.parent.name if page.parent != self.results else ""
        if not same and own and own not in catalog.datasets():  # a title that its .toml gives is not known
            why = f"it shows {own}: name its file with --dataset"
            self.apart |= {self.name(file): why for file in (page, *files) if file.is_file()}
            return False
        if not same:
            self.differs(page, again)
        self.compared |= {page, *files}
        for file, content in files.items():
            if file.is_file() and file.read_bytes() == content:
                continue
            if file.suffix in (".png", ".svg") and file.is_file() and (other := self.other_version(file)):
                self.apart[self.name(file)] = f"drawn with matplotlib {other}"
            else:
                self.differs(file, again)
        return True

    def differs(self, file: Path, remedy: str) -> None:
        """Note that a file is absent or not what its records give."""
        what = "not what its records give" if file.is_file() else "absent"
        self.faults.append(f"{self.name(file)}: {what}; {remedy}")

    def other_version(self, figure: Path) -> str:
        """Return the version of matplotlib that drew a figure, if none in its folder is of the version here.

        Another version may draw other bytes. A single figure that names another version than the rest was edited.
        """
        versions = {file.stem: figures.drawn_with(file.read_bytes()) for file in figure.parent.glob("*.svg")}
        return "" if figures.version() in versions.values() else versions.get(figure.stem, "")

    def check_the_rest(self, place: Path) -> None:
        """Account for the files in a folder of pages that no page drew."""
        runs = place / "runs.csv"  # it needs no logs, whatever page it was drawn with
        if place == self.results and runs.is_file() and runs not in self.compared:
            self.compared.add(runs)
            if runs.read_bytes() != renderers.csv(Records(place).runs()).encode():
                self.differs(runs, "draw a page again")
        for file in sorted([*place.iterdir(), *place.glob("figures/*")]):
            name = self.name(file)
            if file in self.compared or name in self.apart or file.name in ("runs", "search", "figures"):
                continue
            if file.is_file():
                self.apart[name] = NO_PAGES
            elif not own_data.NAME.fullmatch(file.name):
                own = (file / "runs").is_dir()
                self.apart[f"{name}/"] = "folders of their own; name one with --results" if own else NO_PAGES

    def check_searches(self) -> None:
        for place in sorted((self.results / "search").glob("*")):
            try:
                search.found(self.results, place.name)
            except InputError as error:
                self.fault(error)
            else:
                files = [self.name(file) for file in sorted(place.glob("*.json"))]
                self.apart |= dict.fromkeys(files, "the trials of a search are not held against records")


def _without_paths(page: str) -> str:
    """Return the text of a page without the paths in its commands."""

    def command(found: re.Match[str]) -> str:
        words, option = [], ""
        for word in FOLDER.sub("", found[0]).split():
            option = word if word.startswith("--") else option
            path = option in ("--dataset", "--model", "--test") and re.search(r"[/\\.*?']", word)
            words.append("PATH" if path else word)
        return " ".join(words)

    return COMMAND.sub(command, page)


def faults(result: Result, content: Mapping[str, Any]) -> Iterator[str]:
    """Describe in words where the .json of a record states what does not follow from its cause and its arrays.

    Damage is found by the checksums. This finds a faulty writer; it does not prevent forgery, which nothing here could.

    Args:
        result: the record, as loaded with its arrays.
        content: the content of its .json.

    Raises:
        UsageError: the suite has no such model, or the model no such field.
    """
    cause, provenance = result.experiment, result.split["provenance"]
    source = result.environment.get("source")  # own models only
    if source is None:
        cause.recommender()
    if identity(result.split["digest"], cause.model, result.fields, cause.seed, source) != result.identity:
        yield "its identity does not follow from its split, fields and seed"
    if own_data.NAME.fullmatch(cause.dataset) and not result.split["digest"].startswith(cause.dataset[-8:]):
        yield "its data set is named after another split"
    prefixes, sessions = len(result.greater), len(np.unique(result.session))
    for what, found, stated in (
        ("prefixes", prefixes, content["examples"]),
        ("prefixes", prefixes, provenance["counts"].get("test_sequences", prefixes)),
        ("test sessions", sessions, provenance["counts"].get("test_sessions", sessions)),
    ):
        if found != stated:
            yield f"{found:,} {what} where {stated:,} are due"
    yield from _lengths(result)
    for metric, value in (("recall_at_20", result.recall()), ("mrr_at_20", result.mrr())):
        if not abs(content[metric] - value) <= 1e-9:  # written so that NaN is a fault too
            yield f"{metric} is said to be {content[metric]}, its ranks give {value}"
    if content["best_epoch"] != result.best_epoch:
        yield f"epoch {content['best_epoch']} was kept, validation says {result.best_epoch}"
    epochs, most = len(result.epochs), result.fields.get("epochs", 0)
    if [epoch["epoch"] for epoch in result.epochs] != list(range(1, epochs + 1)):
        yield "its epochs do not count 1, 2, 3, ..."
    fits = type(most) is int and min(most, 1) <= epochs <= most
    if source is None and not fits:  # an own model may report any number
        yield f"{epochs} epochs, which is not what its fields allow"


def _lengths(result: Result) -> Iterator[str]:
    """Check the prefix lengths of each session: 1, 2, 3, ...; or merely growing if the test is a chosen list."""
    due = pd.Series(result.session).groupby(result.session).cumcount().to_numpy() + 1
    if result.split["provenance"].get("chosen"):
        same = np.diff(result.session) == 0
        if (result.length < due).any() or (np.diff(result.length)[same] <= 0).any():
            yield "the chosen prefixes of a session do not get longer"
    elif not np.array_equal(result.length, due):
        yield "the prefixes of a session do not count 1, 2, 3, ..."
