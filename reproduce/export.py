"""`export`: tables as CSV, LaTeX and JSON, in any metric, and the rank of every test prefix, from stored records.

`compare` gives such a table as a data frame, and takes ranks from outside as well.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from reproduce import catalog, reports
from reproduce.errors import InputError, UsageError
from reproduce.evaluation import metrics
from reproduce.reading import own_data
from reproduce.reading.sessions import Split
from reproduce.reports import measuring, renderers
from reproduce.reports.document import Table
from reproduce.reports.measuring import Seeds, View
from reproduce.reports.records import Records
from reproduce.reports.study import Study
from reproduce.runs import outside_ranks, split_files
from reproduce.runs.record import Result
from reproduce.runs.request import Request, digests, settings

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
    if "parquet" in options.format:
        raise UsageError("export --format parquet: for --split and --per-prefix; tables are csv, latex or json")
    measures = [metrics.parse(text) for text in options.metric]
    shown = [*measures, *(metrics.PAPERS.values() if options.page else ())]
    datasets = list(request.datasets) or Records(request.results).datasets()
    outside = outside_ranks.of_options(options, request.datasets, shown)
    at_hand = digests(request.datasets, request.data, recorded=datasets)
    request = replace(request, digests=at_hand, outside=outside)
    study = Study(request)
    by_dataset = {dataset: rows for dataset in datasets if (rows := study.rows(dataset))}
    if not by_dataset:
        why = "python -m reproduce table2 makes some"
        if any(map(study.records.readable, datasets)):
            why = "its records are of other rows or settings; name them with --model and --set"
        raise InputError(f"{request.results}: no record to export; {why}")
    tables: list[tuple[str, str, Table]] = []
    # In the name of a file, so that one's own log does not replace another's.
    of_own = "".join(f"-{name}" for name in request.datasets if own_data.NAME.fullmatch(name))
    for page in dict.fromkeys(options.page):
        document = reports.load(page).draw(replace(request, datasets=datasets))
        for i, (caption, table) in enumerate(document.tables, start=1):
            tables.append((f"{page}{of_own}-{i}", f"{caption} {study.view.note or TIES}", table))
    for dataset, rows in by_dataset.items() if not tables else ():
        table = study.compared(dataset).table(measures)
        tables.append((f"comparison-{dataset}", _caption(dataset, rows, study.view), table))
    files: dict[str, str | pa.Table] = {}
    for name, caption, table in tables:
        for kind in dict.fromkeys(options.format or FORMATS):
            render = renderers.latex if kind == "latex" else renderers.as_json
            text = renderers.csv(table.frame()) if kind == "csv" else render(name, caption, table)
            files[f"{name}.{FORMATS[kind]}"] = text
    for dataset, rows in by_dataset.items() if options.per_prefix else ():
        frame = ranks(rows, catalog.load_split(dataset, request.data))
        files[f"ranks-{dataset}.{options.per_prefix}"] = pa.Table.from_pandas(frame, preserve_index=False)
    folder = options.to or request.results / "export"
    return "\n".join([*split_files.write(folder, files, "--to"), *study.records.remarks()])


def _split(options: Namespace) -> str:
    """Write the split of a data set for other libraries, and return the names of the files."""
    names = catalog.named_datasets(options.dataset, options.rules, options.data)
    if len(names) != 1:
        raise UsageError("export --split needs one --dataset: a name, or the path of your own log")
    kinds = list(dict.fromkeys(options.format or ["parquet"]))
    if len(kinds) > 1 or kinds[0] not in ("csv", "parquet"):
        raise UsageError(f"export --split --format {' '.join(kinds)}: a split is written as csv or parquet")
    files = split_files.files(catalog.load_split(names[0], options.data), kinds[0])
    return "\n".join(split_files.write(options.split, files, "--split"))


def _caption(dataset: str, rows: Rows, view: View) -> str:
    first = next(iter(rows.values()))[0]
    numbers = sorted({result.experiment.seed for results in rows.values() for result in results})
    over = "test sessions and seeds" if len(numbers) > 1 else "test sessions"
    once = "; of a row with one seed it is about that run" * any(len(results) == 1 for results in rows.values())
    return (
        f"{catalog.dataset(dataset).title}: {len(first.greater):,} test prefixes, ranked among all "
        f"{first.split['n_items']:,} items; per cent. Seeds: {', '.join(map(str, numbers))}. After ±: half of the "
        f"95 % interval over {over}{once}. Bold: the highest, whether or not it can be told from the next. "
        + (view.note or TIES)
    )


def ranks(rows: Mapping[str, Sequence[Result]], split: Split) -> pd.DataFrame:
    """Return the ranks of every test prefix in all records of some rows.

    Sessions and targets are named by the log's own ids if the split has them, else by number.

    Raises:
        InputError: the records were made from another split.
    """
    _, targets = split.test.prefixes()
    frames = []
    for label, result in ((label, result) for label, results in rows.items() for result in results):
        if split.digest != result.split["digest"]:
            raise InputError(
                f"{result.experiment.path}: made from other data or other rules than {split.name} has now; name the "
                "data and the options that it was made with"
            )
        columns = {
            "model": label,
            "seed": result.experiment.seed,
            "session": result.session if split.test_sessions is None else split.test_sessions[result.session],
            "length": result.length,
            "target": targets if split.vocabulary is None else split.vocabulary[targets],
            "best_rank": result.greater + 1,
            "worst_rank": result.ranks(),
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames)


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
    rows = {label: _results(split, label, source, family) for label, source in ranks.items()}
    measures = [metrics.parse(text) for text in metric]
    outside_ranks.check_depth([result for results in rows.values() for result in results], measures)
    seeds = Seeds(measuring.several(rows.values()))
    columns: dict[tuple[str, str], list[Any]] = {("", "seeds"): [len(results) for results in rows.values()]}
    for measure in measures:
        measured = measuring.measured(rows, measure, seeds)
        marks = measuring.marks(measured)
        ends = [(row.value, measuring.half_width(row)) for row in measured.values()]
        columns[measure.title, "value"] = [value for value, _ in ends]
        columns[measure.title, "low"] = [value - half for value, half in ends]
        columns[measure.title, "high"] = [value + half for value, half in ends]
        columns[measure.title, "mark"] = [marks[label] for label in measured]
    return pd.DataFrame(columns, index=pd.Index(rows, name="model"))


def _results(split: Split, label: str, source: Any, family: str) -> list[Result]:
    sources = source if isinstance(source, list | tuple) else [source]
    if not sources:
        raise UsageError(f"{label}: an empty list of ranks; give one for each seed")
    results = []
    for seed, ranks in enumerate(sources):
        if not isinstance(ranks, Result):
            ranks = outside_ranks.read(Path(ranks) if isinstance(ranks, str) else ranks, split, label, seed, family)
        elif ranks.split["digest"] != split.digest:
            raise InputError(f"{label}: a result on another split than {split.name}; run it on this one")
        results.append(ranks)
    return results
