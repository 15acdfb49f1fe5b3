"""What pages share beside records: which data sets they show, the commands they print, and their foot."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from reproduce import catalog
from reproduce.evaluation import metrics
from reproduce.paper.counting import Counting
from reproduce.paper.rows import Row
from reproduce.reading.sessions import exactness
from reproduce.reports import renderers
from reproduce.reports.document import Number, Table
from reproduce.reports.records import Records, of_published_size, reference_folder
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import OutsideResult, Result
from reproduce.runs.request import Request

TITLES = {  # the names of the paper's data in titles and figures, parallel and short
    "yoochoose1_64": "YOOCHOOSE 1/64",
    "yoochoose1_4": "YOOCHOOSE 1/4",
    "diginetica-file-order": "DIGINETICA, file order",
    "diginetica": "DIGINETICA, time order",
    "eshop": "E-shop",
}


def title_of(dataset: str) -> str:
    return TITLES.get(dataset) or catalog.dataset(dataset).title


def shown_datasets(request: Request, records: Records) -> list[str]:
    """Return the data sets with records or just asked for: the paper's in its order, then the others."""
    names = dict.fromkeys([*records.datasets(), *request.datasets])
    return [*(name for name in TITLES if name in names), *(name for name in names if name not in TITLES)]


def viewed_datasets(request: Request, records: Records) -> list[str]:
    """Return the data sets that a page without runs shows: those asked for, or else all with records."""
    return list(dict.fromkeys(request.datasets)) or shown_datasets(request, records)


def failure(request: Request, row: Row, dataset: str, failed: Mapping[str, str]) -> str:
    """Return why a run of a row failed, or "" if none did; `failed` maps the path of an experiment to the reason."""
    if row.model not in catalog.recommenders():
        return ""
    paths = (Experiment.of(dataset, row.model, row.at(dataset).fields, seed).path for seed in request.seeds)
    return next((failed[path] for path in paths if path in failed), "")


def command(page: str, request: Request, **options: str) -> str:
    """Return the command that makes a page, as one would type it, in backquotes."""
    if "dataset" in options:
        options["dataset"] = shlex.join(catalog.current().data_words(options["dataset"], page=True))
    words = ["python -m reproduce", page, *(f"--{key} {value}".rstrip() for key, value in options.items())]
    folder = request.results
    if folder.resolve() == reference_folder():
        words.append("--results results")
    elif folder != Path("results/local"):
        # Show only the last part of an absolute path: pages are passed on, and the rest is specific to one machine.
        words.append(f"--results {folder.name if folder.is_absolute() else folder}")
    return "`" + " ".join(words) + "`"


def no_records(request: Request) -> str:
    return f"No records yet: {command('table2', request)} makes some."


def foot(page: str, request: Request, data: str = "", **options: str) -> str:
    """Return the last line of a page: its command, and the CSV files with what it does not show."""
    if len(request.datasets) == 1 and request.datasets[0] in catalog.current().data:
        options = {"dataset": request.datasets[0], **options}
    text = f"Made by {command(page, request, **options)}. Seeds, settings, device and commit of every run: "
    text += "[runs.csv](runs.csv)."
    return f"{text} {data}".rstrip()


def outside_notes(results: Sequence[Result]) -> list[str]:
    """Return a line for each row whose ranks come from another program."""
    files = {run.label: run.file for run in results if isinstance(run, OutsideResult)}
    return [
        f"{label}: ranks from outside ({file}): how it was trained is not known here." for label, file in files.items()
    ]


def data_notes(results: Sequence[Result]) -> list[str]:
    """Return what a reader must know about the data behind records of one data set; [] without records."""
    foreign = outside_notes(results)
    results = [run for run in results if not isinstance(run, OutsideResult)]
    if not results:
        return foreign
    origin = results[0].split["provenance"]
    word = exactness(origin)
    order = "" if word == "exact" else f"; the order of the clicks is {word}, not read from the raw file"
    lines = [*foreign, f"Data: {origin['source']}{order}{'; ' + origin['note'] if origin['note'] else ''}."]
    if not all(of_published_size(run.split["provenance"]) for run in results):
        lines.append(
            "**Not the paper's data**, a sample or another version: its numbers say nothing about the paper's."
        )
    return lines


# The circumstances of a run that may change ranks.
CIRCUMSTANCES = ("device", "threads", "torch", "scoring_chunk")


def resumed(result: Result) -> str:
    """Say whether a run was interrupted, and what differed between its parts that may move a rank."""
    last = result.environment
    before = last["resumed"]
    if not before:
        return "no"
    parts = []
    for key in CIRCUMSTANCES:
        if any(part.get(key) != last.get(key) for part in before):
            values = [f"{part.get(key)} to epoch {part['epochs']}" for part in before]
            parts.append(f"{key}: {', '.join(values)}, then {last.get(key)}")
    return "; ".join(parts) or "yes"


def settings_of(fields: Mapping[str, object]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(fields.items()))


def runs_table(records: Records) -> Table:
    """Return a row for every usable record of a folder: what was run, what came out, and under what circumstances."""
    rules = [Counting(ties=ties) for ties in ("against", "at random", "in favour")]
    head = ["data set", "model", "settings", "seed", "test prefixes"]
    head += [f"{title}, ties {rule.ties}" for rule in rules for title in ("Recall@20", "MRR@20")]
    head += ["epoch kept", "epochs run", "epochs allowed", "validation Recall@20", "device", "threads", "torch"]
    head += ["commit", "uncommitted changes", "resumed", "fit seconds", "peak memory MiB", "catalogue", "click order"]
    rows = []
    for dataset in records.datasets():
        for run in records.of(dataset):
            where, kept = run.environment, run.best_epoch
            values = [
                measure.mean(run.greater, run.equal, rule) for rule in rules for measure in metrics.PAPERS.values()
            ]
            validation = [epoch["validation_recall"] for epoch in run.epochs if epoch["epoch"] == kept]
            rows.append(
                [
                    dataset,
                    run.experiment.model,
                    settings_of(run.experiment.params),
                    str(run.experiment.seed),
                    str(len(run.greater)),
                    *map(Number, values),
                    *map(_known, (kept, len(run.epochs) or None)),
                    _known(run.fields.get("epochs")),
                    Number(validation[0]) if validation else None,
                    where["device"],
                    _known(where["threads"]),
                    where["torch"],
                    _known(where["commit"]),
                    _known(where["dirty"]),
                    resumed(run),
                    _known(where.get("fit_seconds")),
                    _known(where.get("peak_memory_mib")),
                    str(run.split["n_items"]),
                    exactness(run.split["provenance"]),
                ]
            )
    return Table(head, rows, "every run")


def data(records: Records, tables: Mapping[str, Table] | None = None) -> dict[str, str]:
    """Return the CSV files beside a page, by file name: runs.csv, which every foot links, and those of the page."""
    return {name: renderers.csv(table) for name, table in {"runs.csv": runs_table(records), **(tables or {})}.items()}


def _known(value: object) -> str | None:
    return None if value is None else str(value)


def listed(words: Iterable[str]) -> str:
    """Join words as in a sentence: a, b and c."""
    words = list(words)
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
