"""`export`: tables as CSV, LaTeX and JSON, in any metric, and the rank of every test prefix, from stored records.

`compare` gives such a table as a data frame, and takes ranks from outside as well.
"""

from __future__ import annotations

import csv
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet

from reproduce import catalog, reports
from reproduce.errors import InputError, UsageError
from reproduce.evaluation import metrics
from reproduce.files import replacing
from reproduce.reading.sessions import Split
from reproduce.reports import measuring, renderers
from reproduce.reports.document import Table
from reproduce.reports.measuring import Seeds, View
from reproduce.reports.study import Study
from reproduce.runs import outside_ranks, split_files
from reproduce.runs.listing import listed
from reproduce.runs.record import Result
from reproduce.runs.request import Request, settings

FORMATS = {"csv": "csv", "latex": "tex", "json": "json"}  # format -> file name extension
TIES = "Tie rule: an item tied with the target counts as ahead of it."
Rows = dict[str, list[Result]]  # label -> its records, one per seed


def answer(options: Namespace) -> str:
    if options.split:
        return _split(options)
    request = Request(
        models=[catalog.recommender(name, load=False).name for name in options.model],
        datasets=catalog.named_datasets(options.dataset, options.rules, options.data),
        data=options.data,
        results=options.results,
        settings=settings(options.set),
        options={"protocol": options.protocol, "ties": options.ties},
    )
    measures = [metrics.parse(one) for one in options.metric]
    shown = [*measures, *(metrics.PAPERS.values() if options.page else ())]
    request = replace(request, outside=outside_ranks.of_options(options, request.datasets, shown))
    study = Study(request, {})
    datasets = list(request.datasets) or study.records.datasets()
    found = {dataset: study.rows(dataset) for dataset in datasets}
    there = {dataset: rows for dataset, rows in found.items() if rows}
    if not there:
        if any(listed(request.results, dataset) for dataset in datasets):
            why = "its records are of other rows or settings; name them with --model and --set"
        else:
            why = "python -m reproduce table2 makes some"
        raise InputError(f"{request.results}: no record to export; {why}")
    if "parquet" in options.format:
        raise UsageError("export --format parquet: for --split and --per-prefix; tables are csv, latex or json")
    tables: list[tuple[str, str, Table]] = []
    ties = study.view.told or TIES
    for page in dict.fromkeys(options.page):
        document = reports.load(page).draw(replace(request, datasets=datasets))
        for i, (caption, table) in enumerate(document.tables, start=1):
            tables.append((f"{page}-{i}", f"{caption} {ties}", table))
    for dataset, rows in there.items() if not tables else ():
        tables.append(
            (f"comparison-{dataset}", _caption(dataset, rows, study.view), study.compared(dataset).table(measures))
        )
    folder = options.to or request.results / "export"
    files: dict[str, Callable[[Path], object]] = {}
    for name, caption, table in tables:
        for kind in dict.fromkeys(options.format or FORMATS):
            files[f"{name}.{FORMATS[kind]}"] = _writer(written(kind, name, caption, table))
    if options.per_prefix:
        for dataset, rows in there.items():
            split = catalog.load_split(dataset, request.data)
            files |= ranks(dataset, rows, split, options.per_prefix)
    for name, write in files.items():
        with replacing(folder / name, option="--to") as temporary:
            write(temporary)
    return "\n".join([*(f"{folder / name}" for name in files), *study.records.remarks()])


def _split(options: Namespace) -> str:
    """Write the split of a data set for other libraries, and return the names of the files."""
    names = catalog.named_datasets(options.dataset, options.rules, options.data)
    if len(names) != 1:
        raise UsageError("export --split needs one --dataset: a name, or the path of your own log")
    kinds = list(dict.fromkeys(options.format or ["parquet"]))
    if len(kinds) > 1 or kinds[0] not in ("csv", "parquet"):
        raise UsageError(f"export --split --format {' '.join(kinds)}: a split is written as csv or parquet")
    for name, write in (files := split_files.files(catalog.load_split(names[0], options.data), kinds[0])).items():
        with replacing(options.split / name, option="--split") as temporary:
            write(temporary)
    return "\n".join(str(options.split / name) for name in files)


def _writer(text: str) -> Callable[[Path], object]:
    return lambda place: place.write_text(text, encoding="utf-8")


def written(kind: str, name: str, caption: str, table: Table) -> str:
    """Return the text of a file in a format: "csv", "latex" or "json"."""
    match kind:
        case "csv":
            return renderers.csv(table.frame())
        case "latex":
            return renderers.latex(name, caption, table)
        case _:
            return renderers.as_json(name, caption, table)


def _caption(dataset: str, rows: Rows, view: View) -> str:
    first = next(iter(rows.values()))[0]
    numbers = sorted({one.experiment.seed for results in rows.values() for one in results})
    over = "test sessions and seeds" if len(numbers) > 1 else "test sessions"
    once = "; of a row with one seed it is about that run" if any(len(one) == 1 for one in rows.values()) else ""
    return (
        f"{catalog.dataset(dataset).title}: {len(first.greater):,} test prefixes, ranked among all "
        f"{first.split['n_items']:,} items; per cent. Seeds: {', '.join(map(str, numbers))}. After ±: half of the "
        f"95 % interval over {over}{once}. Bold: the highest, whether or not it can be told from the next. "
        + (view.told or TIES)
    )


def ranks(
    dataset: str, rows: Mapping[str, Sequence[Result]], split: Split, kind: str
) -> dict[str, Callable[[Path], object]]:
    """Return the name of a data set's file, and the function that writes it to a path.

    Raises:
        InputError: the records were made from another split.
    """
    frame = pd.concat([_frame(label, one, split) for label, results in rows.items() for one in results])
    if kind == "csv":
        return {  # all text is quoted, since an id may hold anything, ends of lines too
            f"ranks-{dataset}.csv": lambda place: frame.to_csv(
                place, index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC
            )
        }
    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    return {f"ranks-{dataset}.parquet": lambda place: pyarrow.parquet.write_table(table, place)}


def _frame(label: str, result: Result, split: Split) -> pd.DataFrame:
    """Make the table of one record; sessions and targets by the log's own ids if the split has them, else by number."""
    if split.digest != result.split["digest"]:
        raise InputError(
            f"{result.experiment.path}: made from other data or other rules than {split.name} has now; name the data "
            "and the options that it was made with"
        )
    _, targets = split.test.prefixes()
    counts = result.frame()
    return pd.DataFrame(
        {
            "model": label,
            "seed": result.experiment.seed,
            "session": counts["session"] if split.test_sessions is None else split.test_sessions[counts["session"]],
            "length": counts["length"],
            "target": targets if split.vocabulary is None else split.vocabulary[targets],
            "best_rank": counts["greater"] + 1,
            "worst_rank": counts["rank"],
        }
    )


def compare(
    split: Split, ranks: Mapping[str, Any], *, metric: Sequence[str] = ("recall@20", "mrr@20"), family: str = ""
) -> pd.DataFrame:
    """Compare rows on the same test prefixes: metrics in per cent, with 95 % intervals.

    Args:
        split: what all rows ranked.
        ranks: by label: a file or a frame in one of the forms of `outside_ranks`, a Result of `run`, or a list of
            these, one for each seed.
        metric: metrics at a cut-off, such as "ndcg@10".
        family: how much rows from outside vary between seeds; see `outside_ranks.OutsideResult`.

    Returns:
        A line for each row. For each metric, such as "Recall@20": its value, "low" and "high", the ends of its
        interval, and "mark": "highest", "equal" (may be the best too), "behind" or "not judged".

    Raises:
        UsageError: there is no such metric.
        InputError: a file or a frame is refused, a result is of another split, or a cut-off is beyond a row's lists.
    """
    found = {label: _results(split, label, source, family) for label, source in ranks.items()}
    measures = [metrics.parse(text) for text in metric]
    outside_ranks.check_depth([one for some in found.values() for one in some], measures)
    several = (tuple(some) for some in found.values() if len(some) > 1 and not measuring.without_chance(some[0]))
    seeds = Seeds(tuple(several))
    columns: dict[tuple[str, str], list[Any]] = {("", "seeds"): [len(some) for some in found.values()]}
    for measure in measures:
        measured = measuring.measured(found, measure, seeds)
        marks = measuring.marks(measured)
        half = {label: measuring.half_width(one) for label, one in measured.items()}
        columns[measure.title, "value"] = [one.value for one in measured.values()]
        columns[measure.title, "low"] = [one.value - half[label] for label, one in measured.items()]
        columns[measure.title, "high"] = [one.value + half[label] for label, one in measured.items()]
        columns[measure.title, "mark"] = [marks[label] for label in measured]
    return pd.DataFrame(columns, index=pd.Index(found, name="model"))


def _results(split: Split, label: str, source: Any, family: str) -> list[Result]:
    some = source if isinstance(source, list | tuple) else [source]
    if not some:
        raise UsageError(f"{label}: an empty list of ranks; give one for each seed")
    results = []
    for seed, one in enumerate(some):
        if isinstance(one, Result):
            if one.split["digest"] != split.digest:
                raise InputError(f"{label}: a result on another split than {split.name}; run it on this one")
            results.append(one)
        else:
            ranks = Path(one) if isinstance(one, str) else one
            results.append(outside_ranks.read(ranks, split, label, seed, family))
    return results
