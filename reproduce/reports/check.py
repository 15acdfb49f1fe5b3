"""Check that stored records and pages are sound, without running a model or writing anything.

Every file of a results folder is compared with what its records give, or named as not compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from reproduce import catalog, reports
from reproduce.errors import InputError, SuiteError
from reproduce.fitting.attention import LONGEST
from reproduce.paper import numbers
from reproduce.reading import own_data
from reproduce.reports import all as index
from reproduce.reports import figures, making, renderers
from reproduce.reports.document import Document
from reproduce.reports.records import Records
from reproduce.runs import kept_model, stored_search
from reproduce.runs.experiment import identity
from reproduce.runs.record import Result, current, load_file

# The counts needed to check clicks against prefixes and sessions: those of the paper's Table 1 and of sessions.
COUNTED = ("clicks", "train_sequences", "test_sequences", "items", "train_sessions", "test_sessions")
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
    lines = [f"note: {note}" for note in folder.notes]
    for why in dict.fromkeys(folder.apart.values()):
        names = [name for name, reason in folder.apart.items() if reason == why]
        lines.append(f"not compared, {why}: {', '.join(names)}")
    if folder.faults:
        files = len({fault.partition(": ")[0] for fault in folder.faults})
        head = f"{results}: {files} stored {'file is' if files == 1 else 'files are'} inconsistent"
        raise InputError("\n  ".join([head, *folder.faults, *lines]))
    counts = (f"{n} {what}{'s' * (n != 1)}" for n, what in ((len(records), "record"), (pages, "page")))
    sound = f"{results}: {' and '.join(counts)} are sound"
    return "\n  ".join([sound + (f"; not compared: {len(folder.apart)}" if folder.apart else ""), *lines])


@dataclass
class _Folder:
    """What is found out about a results folder; files are named from it."""

    results: Path
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    compared: set[Path] = field(default_factory=set)
    apart: dict[str, str] = field(default_factory=dict)  # what was not compared, and why

    def fault(self, error: SuiteError) -> None:
        self.faults.append(str(error).removeprefix(f"{self.results}/"))

    def check_records(self) -> list[tuple[str, Result]]:
        """Check every record; return the sound ones by the name of their file."""
        records = []
        files = sorted((self.results / "runs").glob("*/*.json"))
        for file in tqdm(files, "records", disable=None, leave=False):  # shown on a terminal only
            name = str(file.relative_to(self.results))
            try:
                content, result = load_file(file)
            except SuiteError as error:
                self.fault(error)
                continue
            try:
                self.faults += [f"{name}: {fault}" for fault in faults(result, content)]
                self.notes += [f"{name}: {note}" for note in _notes(result)]
            except SuiteError as error:  # the suite has no such model or field
                self.faults.append(f"{name}: {error}")
                continue
            records.append((name, result))
        self.faults += _contradictions(records)
        return records

    def check_kept_models(self, records: Mapping[str, Result]) -> None:
        for file in sorted((self.results / "runs").glob(f"*/*{kept_model.ENDING}")):
            name = str(file.relative_to(self.results))
            record = records.get(f"{name.removesuffix(kept_model.ENDING)}.json")
            if record is None:
                self.apart[name] = "no sound record lies beside it"
                continue
            try:
                self.faults += [f"{name}: {fault}"] if (fault := kept_model.fault(file, record)) else []
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
            if page.reads_logs and data is None:
                self.set_apart(file, "drawn from the logs; name their folder with --data")
                continue
            text = file.read_bytes().decode(errors="replace")
            try:
                request = making.stored_request(text, self.results)
                if page.reads_logs and data is not None:
                    request = replace(request, data=data)
                if place != self.results:
                    request = replace(request, datasets=[place.name], folder=place.name)
                with making.only(request):
                    document = (index.ALONE if page is index.PAGE else page).draw(request)
            except making.NotHere as error:
                self.set_apart(file, str(error))
            except SuiteError as error:
                self.faults.append(f"{self.name(file)}: cannot be drawn again: {error}")
                self.set_apart(file, "their page cannot be drawn")
            else:
                drawn += self.compare(file, text, document, making.again(name, page, request))
        if (place / "findings.md").is_file():
            self.set_apart(place / "findings.md", "written by hand")
        self.check_the_rest(place)
        return drawn

    def name(self, file: Path) -> str:
        return str(file.relative_to(self.results))

    def set_apart(self, page: Path, why: str) -> None:
        """Note that a page and the figures that it embeds are not compared."""
        text = page.read_text(encoding="utf-8", errors="replace")
        figures = re.findall(r"\((figures/[^)]+)\.(?:png|svg)\)", text)
        files = [page, *(page.parent / f"{figure}.{kind}" for figure in figures for kind in ("png", "svg"))]
        self.apart |= {self.name(file): why for file in files if file.is_file() and file not in self.compared}

    def compare(self, page: Path, text: str, document: Document, again: str) -> bool:
        """Compare a page, its CSV files and its figures with the document drawn anew; return whether it was done."""
        due, stored = renderers.markdown(document), making.COMMENT.sub("", text)
        names = {word for words in map(FOLDER.findall, (due, stored)) for word in words}
        same = FOLDER.sub("", due) == FOLDER.sub("", stored) and len(set(FOLDER.findall(stored))) < 2
        files = {page.parent / name: content.encode() for name, content in document.data.items()}
        files |= {page.parent / "figures" / name: content for name, content in document.figures.items()}
        own = page.parent.name if page.parent != self.results else ""
        if not same and own and own not in catalog.datasets():  # a title that its .toml gives is not known
            why = f"it shows {own}: name its file with --dataset"
            self.apart |= {self.name(file): why for file in (page, *files) if file.is_file()}
            return False
        if not same:
            self.faults.append(f"{self.name(page)}: not what its records give; {again}")
        elif len(names) > 1 and (moved := f"drawn for a folder of another name, {' or '.join(sorted(names))}"):
            self.notes += [] if moved in self.notes else [moved]
        self.compared |= {page, *files}
        for file, content in files.items():
            if not file.is_file():
                self.faults.append(f"{self.name(file)}: absent; {again}")
            elif file.read_bytes() != content:
                if file.parent.name == "figures" and (other := self.other_version(file)):
                    self.apart[self.name(file)] = f"drawn with matplotlib {other}"
                else:
                    self.faults.append(f"{self.name(file)}: not what its records give; {again}")
        return True

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
                self.faults.append("runs.csv: not what its records give; draw a page again")
        for file in sorted([*place.iterdir(), *place.glob("figures/*")]):
            name = self.name(file)
            if file in self.compared or name in self.apart or file.name in ("runs", "search", "figures"):
                continue
            if file.parent.name == "figures":
                self.faults.append(f"{name}: left over, no page draws it; remove it")
            elif file.is_file():
                self.apart[name] = "no page's files"
            elif not own_data.NAME.fullmatch(file.name):
                own = (file / "runs").is_dir()
                self.apart[f"{name}/"] = "folders of their own; name one with --results" if own else "no page's files"

    def check_searches(self) -> None:
        for place in sorted((self.results / "search").glob("*")):
            try:
                stored_search.found(self.results, place.name)
            except InputError as error:
                self.fault(error)
            else:
                files = [self.name(file) for file in sorted(place.glob("*.json"))]
                self.apart |= dict.fromkeys(files, "the trials of a search have no records")


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


# A record: what its .json states against what follows from its arrays


def faults(result: Result, content: Mapping[str, Any]) -> Iterator[str]:
    """Describe each inconsistency of a record in words.

    Args:
        result: the record, as loaded with its arrays.
        content: the content of its .json.
    """
    cause = result.experiment
    source = result.environment.get("source")  # own models only
    if identity(result.split["digest"], cause.model, result.fields, cause.seed, source) != result.identity:
        yield "its identity does not follow from its split, fields and seed"
    if own_data.NAME.fullmatch(cause.dataset) and not result.split["digest"].startswith(cause.dataset[-8:]):
        yield "its data set is named after another split"
    yield from _counted(result, content)
    yield from _origin(result)
    yield from _lengths(result)
    for metric, value in (("recall_at_20", result.recall()), ("mrr_at_20", result.mrr())):
        if not abs(content[metric] - value) <= 1e-9:  # written so that NaN is a fault too
            yield f"{metric} is said to be {content[metric]}, its ranks give {value}"
    yield from _trained(result, content)
    yield from _attended(result)


def _lengths(result: Result) -> Iterator[str]:
    """Check the prefix lengths of each session: 1, 2, 3, ...; or merely growing if the test is a chosen list."""
    starts = np.flatnonzero(np.diff(result.session, prepend=-1))
    due = np.arange(len(result.session)) - np.repeat(starts, np.diff(starts, append=len(result.session))) + 1
    if result.split["provenance"].get("chosen"):
        same = np.diff(result.session) == 0
        if (result.length < due).any() or (np.diff(result.length)[same] <= 0).any():
            yield "the chosen prefixes of a session do not get longer"
    elif not np.array_equal(result.length, due):
        yield "the prefixes of a session do not count 1, 2, 3, ..."


def _counted(result: Result, content: Mapping[str, Any]) -> Iterator[str]:
    """Check the sizes of the split, as far as the test prefixes and the counts in its provenance determine them."""
    n_items, provenance = result.split["n_items"], result.split["provenance"]
    counts, prefixes = provenance["counts"], len(result.greater)
    for what, found, said in (
        ("prefixes", prefixes, counts.get("test_sequences", prefixes)),
        ("test sessions", len(np.unique(result.session)), counts.get("test_sessions", len(np.unique(result.session)))),
        ("prefixes", prefixes, content["examples"]),
    ):
        if found != said:
            yield f"{found:,} {what} where {said:,} are due"
    items, clicks = counts.get("items", n_items), counts.get("clicks", n_items)
    if not items <= n_items <= clicks:
        yield f"a catalogue of {n_items:,} where {items:,} items were clicked {clicks:,} times"
    if not set(counts) >= set(COUNTED):
        return
    examples, sessions = (counts["train_sequences"] + prefixes, counts["train_sessions"] + counts["test_sessions"])
    chosen = provenance.get("chosen")  # if so, sessions may have clicks that are in no example
    if examples + sessions > counts["clicks"] or (examples + sessions < counts["clicks"] and not chosen):
        yield f"{counts['clicks']:,} clicks, where sessions and sequences give {examples + sessions:,}"


def _origin(result: Result) -> Iterator[str]:
    """Check the stated origin of the split against what the suite knows about its data sets."""
    name, provenance = result.experiment.dataset, result.split["provenance"]
    column = numbers.PAPER_COLUMN.get(name)
    published = numbers.TABLE1[column] if column else {}
    if dict(provenance["published"]) != dict(published):
        yield "its published counts are not the paper's"
    order = "file" if name.startswith("diginetica-file-order") else "time"
    known = column is not None or name.startswith("diginetica")  # a user's own processed files come in any order
    if provenance["order"] != order and (known or provenance["source"] != "processed files"):
        yield f"clicks in {provenance['order']} order, where {name} has them in {order} order"
    made_up = order == "file" and provenance["source"] == "processed files"
    if provenance["emulated"] != made_up:
        yield f"its order is said to be {'emulated' if provenance['emulated'] else 'exact'}, which it is not"


def _trained(result: Result, content: Mapping[str, Any]) -> Iterator[str]:
    """Check the epochs: numbered 1, 2, 3, ..., no more than the fields allow, and the best one kept.

    A model has no epochs if its fields allow none, and at least one otherwise.
    """
    if content["best_epoch"] != result.best_epoch:
        yield f"epoch {content['best_epoch']} was kept, validation says {result.best_epoch}"
    if [one["epoch"] for one in result.epochs] != list(range(1, len(result.epochs) + 1)):
        yield "its epochs do not count 1, 2, 3, ..."
    if result.environment.get("source") is not None:
        return  # an own model may report any number of epochs
    most = result.fields.get("epochs", 0)
    if type(most) is not int:
        yield "its field epochs is no number"
    elif len(result.epochs) > most or (most and not result.epochs):
        yield f"{len(result.epochs)} epochs where its fields allow 1 to {most}"


def _attended(result: Result) -> Iterator[str]:
    """Check the attention: weights for the longest prefix of every test session, means over the test prefixes."""
    if result.attention is None:
        return
    kept, means = result.attention, result.attention.means
    ends = np.flatnonzero(np.diff(result.session, append=-1))  # the last prefix of a session is its longest
    longest = result.length[ends]
    if len(kept.lengths) != len(longest):
        yield "its attention is not of a prefix of every test session"
        return
    if (kept.lengths > longest).any():
        yield "its attention is over more clicks than a prefix has"
    most = int(kept.lengths.max())
    due = np.bincount(np.minimum(result.length, most), minlength=LONGEST + 1)[1 : LONGEST + 1]
    if means["examples"] != due.tolist():
        yield "the prefixes that its mean attention is over are not those of its test set"
    repeat = means["repeat"]
    if repeat["examples"] > len(result.greater):
        yield "more prefixes that repeat an item than there are"
    if result.fields.get("attention") == "softmax" and kept.weights.any():
        yield from _of_a_softmax(result)


def _of_a_softmax(result: Result) -> Iterator[str]:
    """Check the weights of a softmax: none is negative and they sum to 1.

    The tolerances allow for rounding: weights are stored in float16, means to six decimals.
    """
    assert result.attention is not None
    kept, means = result.attention, result.attention.means
    weights = kept.weights.astype(np.float64)
    stops = np.cumsum(kept.lengths)
    sums = np.add.reduceat(weights, stops - kept.lengths)
    if (weights < 0).any() or (np.abs(sums - 1) > 0.01).any():
        yield "attention weights of a session that do not sum to 1"
    for n, row in zip(means["examples"], means["weight"], strict=True):
        if n and (min(row) < 0 or abs(sum(row) - 1) > 0.001):
            yield "mean attention weights that do not sum to 1"
            break
    if not 0 <= means["repeat"]["weight"] <= 1.001:
        yield "a mean attention on repeated items outside 0 to 1"
