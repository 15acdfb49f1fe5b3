"""Parts that the pages share: which data sets to show, formatted numbers and tables, and facts about the records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from tabulate import tabulate

import reproduce
from reproduce import catalog
from reproduce.paper import numbers
from reproduce.paper.rows import Row
from reproduce.reading import own_data
from reproduce.reading.sessions import as_printed, exactness
from reproduce.reports.shelf import Shelf
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import OutsideResult, Result
from reproduce.runs.request import Request

DASH = "—"


def failure(request: Request, row: Row, dataset: str, failed: Mapping[str, str]) -> str:
    """Return why a run of a row failed, or "" if none did; `failed` maps the path of an experiment to the reason."""
    if row.model not in catalog.recommenders():
        return ""
    paths = (Experiment.of(dataset, row.model, row.at(dataset).fields, seed).path for seed in request.seeds)
    return next((failed[path] for path in paths if path in failed), "")


def reference_folder() -> Path:
    """Return the folder results/ of the checkout, with the project's own reference runs."""
    return Path(reproduce.__file__).resolve().parent.parent / "results"


def reference(request: Request) -> Shelf | None:
    """Return the reference to show beside the user's records; None if it does not exist or is the user's folder."""
    folder = reference_folder()
    return None if folder == request.results.resolve() or not folder.is_dir() else Shelf.at(folder)


def number(values: Sequence[float]) -> str:
    """Format one value with two decimals, or several as mean ± standard deviation."""
    if not values:
        return DASH
    return f"{mean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def difference(values: Sequence[float], published: float | None) -> str:
    return DASH if not values or published is None else f"{mean(values) - published:+.2f}"


def of_published_size(provenance: Mapping[str, Any]) -> bool:
    """Return whether the test part is as large as the paper's; True if the paper does not have the data set.

    False means that the data are a sample or another version.
    """
    ours, theirs = (provenance[key].get("test_sequences") for key in ("counts", "published"))
    return theirs is None or ours == theirs


def published(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}"


def shown_datasets(request: Request, own: Shelf) -> list[str]:
    """Return the data sets with records or just asked for: the paper's in its order, then the others."""
    asked = list(dict.fromkeys([*own.datasets(), *request.datasets]))
    return [name for name in numbers.DATASETS if name in asked] + [
        name for name in asked if name not in numbers.DATASETS
    ]


def viewed_datasets(request: Request, own: Shelf) -> list[str]:
    """Return the data sets that a page without runs shows: those asked for, or else all with records."""
    return list(dict.fromkeys(request.datasets)) or own.datasets()


def figure(name: str, caption: str) -> str:
    """Embed a figure of the results folder by its relative path, with a caption and a link to the SVG."""
    return f"![{caption.partition('. ')[0]}](figures/{name}.png)\n\n*{caption}* ([SVG](figures/{name}.svg))"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], names: int = 1) -> str:
    """Make a Markdown table: `names` left-aligned columns, then right-aligned numbers with unbroken intervals."""
    align = ["left"] * names + ["right"] * (len(head) - names)
    kept = [[*row[:names], *(_unbroken(cell) for cell in row[names:])] for row in rows]
    return tabulate(kept, head, tablefmt="pipe", colalign=align, disable_numparse=True)


def _unbroken(cell: str) -> str:
    return cell.replace(" ", "\N{NO-BREAK SPACE}") if "±" in cell or " to " in cell else cell


def folded(summary: str, *parts: str) -> str:
    """Make a section that is folded until the reader clicks its summary, where HTML is rendered."""
    return "\n\n".join([f"<details><summary>{summary}</summary>", *parts, "</details>"])


def papers_task(dataset: str, results: Sequence[Result]) -> bool:
    """Return whether the paper's numbers are for exactly this task: the same order of clicks, and no sample."""
    known = dataset in numbers.PAPER_COLUMN and dataset not in numbers.OTHER_ORDER
    return known and all(of_published_size(one.split["provenance"]) for one in results)


def plain_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Make a table for the terminal: without Markdown's bold, and with long column heads broken over several lines."""
    align = ["left"] + ["right"] * (len(head) - 1)
    plain = [[cell.replace("**", "") for cell in row] for row in rows]
    titles = [title.replace(": ", ":\n") for title in head]
    return tabulate(plain, titles, tablefmt="simple", colalign=align, disable_numparse=True)


def no_records(request: Request) -> str:
    return f"No records yet: {command('table2', request)} makes some."


def command(page: str, request: Request, **options: str) -> str:
    """Return the command that makes a page, as one would type it, in backquotes."""
    if "dataset" in options:
        options["dataset"] = own_data.asked_for_as(options["dataset"])
    words = ["python -m reproduce", page, *(f"--{key} {value}".rstrip() for key, value in options.items())]
    folder = request.results
    if folder.resolve() == reference_folder():
        words.append("--results results")
    elif folder != Path("results/local"):
        # Show only the last part of an absolute path: pages are passed on, and the rest is specific to one machine.
        words.append(f"--results {folder.name if folder.is_absolute() else folder}")
    return "`" + " ".join(words) + "`"


def about(results: Sequence[Result]) -> list[str]:
    """Return lines for a sceptical reader of records of one data set: seeds, tie rule, data, counts, environment."""
    outside = [one for one in results if isinstance(one, OutsideResult)]
    results = [one for one in results if not isinstance(one, OutsideResult)]
    lines = [
        f"{label}: ranks from outside ({', '.join(one.file for one in outside if one.label == label)}): how it was "
        "trained is not known here."
        for label in dict.fromkeys(one.label for one in outside)
    ]
    if not results:
        return lines
    first = results[0]
    origin = first.split["provenance"]
    environments = [one.environment for one in results]
    order = {"time": "clicks in time order", "file": "clicks in the order of the source's rows"}[origin["order"]]
    lines += [
        f"Seeds: {_join(sorted({one.experiment.seed for one in results}))}. "
        "Tie rule: an item tied with the target counts as ahead of it (the authors' code has it the other way).",
        f"Data: {origin['source']}; {order}, "
        + order_in_a_word(origin)
        + (f" ({origin['note']})" if origin["note"] else "")
        + ".",
        _counts(origin),
        f"Made on {_join({one['device'] for one in environments})}, "
        f"{_join({one['threads'] for one in environments})} threads, "
        f"torch {_join({one['torch'] for one in environments})}, "
        f"at commit {_join({_commit(one) for one in environments})}.",
    ]
    if len({one.split["digest"] for one in results}) > 1:
        lines.append("**These records are of different splits under one name; do not compare them.**")
    for one in results:
        lines += _sittings(one)
    return [line for line in lines if line]


def order_in_a_word(provenance: Mapping[str, Any]) -> str:
    """Say in one word how the order of clicks relates to the source's; bold unless it is exact."""
    word = exactness(provenance)
    return word if word == "exact" else f"**{word}**"


# Ranks may differ if one of these changes between the sittings of a run, the parts it was interrupted into.
CIRCUMSTANCES = ("device", "threads", "torch", "scoring_chunk")


def _sittings(result: Result) -> list[str]:
    """Say in a line how the sittings of an interrupted run differ in what may change ranks; [] if it has only one."""
    last, name = result.environment, result.experiment.path.removeprefix("runs/")
    before = last["resumed"]
    if not before:
        return []
    changed = [key for key in CIRCUMSTANCES if any(one.get(key) != last.get(key) for one in before)]
    if not changed:
        return [f"Interrupted and resumed, which changes no rank: {name}."]
    told = []
    for key in changed:
        sittings = [f"{one.get(key)} to epoch {one['epochs']}" for one in before]
        told.append(f"{key}: {', '.join(sittings)}, then {last.get(key)}")
    return [f"Interrupted and resumed under other circumstances, which may move a rank: {name} ({'; '.join(told)})."]


def cause(dataset: str, label: str, folder: Path) -> str:
    """Say in half a sentence why a row misses the paper's number; "" if no cause is given.

    This is the first line, in italics, of the row's section in the project's results/findings.md. The text is a link if
    `folder`, the results folder of the page, contains findings.md; a user's folder does not.
    """
    file = reference_folder() / "findings.md"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    found = re.search(rf"(?m)^## {re.escape(dataset)}: {re.escape(label)}\n\n\*([^*\n]+)\*$", text)
    if not found:
        return ""
    anchor = re.sub(r"[^\w\- ]", "", f"{dataset}: {label}".lower()).replace(" ", "-")
    told = found[1].rstrip(".")
    return f"[{told}](findings.md#{anchor})" if (folder / "findings.md").is_file() else told


def findings(dataset: str) -> str:
    """Return the hand-written sections of results/findings.md on a data set, with headings `## <dataset>: <model>`."""
    file = reference_folder() / "findings.md"
    if not file.is_file():
        return ""
    sections = re.split(r"(?m)^(?=## )", file.read_text(encoding="utf-8"))
    ours = [one.strip() for one in sections if re.match(rf"## {re.escape(dataset)}:", one)]
    return "\n\n".join("#" + one.replace("\n## ", "\n### ") for one in ours)


def _counts(provenance: Mapping[str, Any]) -> str:
    ours, theirs = provenance["counts"], provenance["published"]
    names = {
        "clicks": "clicks",
        "train_sequences": "train sequences",
        "test_sequences": "test sequences",
        "items": "items",
        "average_length": "average length",
    }
    told = []
    for key, name in names.items():
        if key not in ours:
            continue
        value = as_printed(key, ours[key])
        if key in theirs and as_printed(key, theirs[key]) != value:
            value += f" (paper {as_printed(key, theirs[key])})"
        told.append(f"{name} {value}")
    equal = theirs and all(as_printed(key, ours[key]) == as_printed(key, value) for key, value in theirs.items())
    end = ", all as in the paper's Table 1." if equal else "."
    if not of_published_size(provenance):
        end += " **Not the paper's data: the differences to its numbers say nothing.**"
    return "Counts: " + ", ".join(told) + end


def _commit(environment: Mapping[str, object]) -> str:
    commit = environment["commit"]
    return "unknown" if commit is None else str(commit)[:10] + (" with changes" if environment["dirty"] else "")


def _join(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in sorted(values, key=str))
