"""The small commands: what models and data sets there are, `fetch`, `merge`, `check` and `contract`."""

from __future__ import annotations

import dataclasses
import inspect
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_type_hints

import torch
from tabulate import tabulate

from reproduce import catalog
from reproduce.errors import InputError, ModelError, UsageError, known
from reproduce.files import data_folder
from reproduce.fitting import user_model
from reproduce.fitting.contract import RULES, broken, unusable
from reproduce.reading import split_cache
from reproduce.reading.sessions import as_printed
from reproduce.reading.source import fetch
from reproduce.runs.environment import choose_device
from reproduce.runs.merge import merge


def data_sets(options: Namespace) -> str:
    """List the data sets in a data folder, counted as the paper counts, and how to obtain the others.

    A fault in a data set that is named is raised; in others it is only listed.
    """
    if options.clear:
        if options.dataset:
            raise UsageError("--clear empties the whole cache; leave out --dataset")
        return f"{split_cache.folder()}/: {split_cache.clear() / 1e6:.1f} MB freed"
    data, named = options.data, catalog.named_datasets(options.dataset, options.rules, options.data)
    columns = ("clicks", "train_sequences", "test_sequences", "items", "average_length")
    rows, absent, notes = [], [], []
    for name in named or [source.name for source in catalog.datasets().values() if source.obtain]:  # no synthetic log
        try:
            origin = catalog.load_split(name, data).provenance
        except InputError as error:
            if named:
                raise
            absent.append(str(error).replace(f" not found in {data}/:", ""))
            continue
        notes += [f"{name}: {origin.note}"] if origin.note else []
        for who, counts in ((name, origin.counts), ("  the paper", origin.published)):
            rows += [[who, *(as_printed(key, counts[key]) for key in columns)]] if counts else []
    head = ["data set", "clicks", "train sequences", "test sequences", "items", "average length"]
    table = tabulate(rows, head, disable_numparse=True, colalign=["left"] + ["right"] * 5) if rows else ""
    if named:
        return "\n\n".join([table, *notes])
    cached = "".join(f"\n    {line}" for line in split_cache.entries()) or " nothing"
    kept = f"cached in {split_cache.folder()}/ (data --clear empties it):{cached}"
    return "\n\n".join([table or f"nothing in {data}/", *(["not here:", "\n".join(absent)] if absent else []), kept])


def catalogue(options: Namespace) -> str:
    """List every model with its fields, their defaults and choices, and every data set."""
    parts = []
    for name, kind in catalog.recommenders().items():
        types = get_type_hints(kind)
        fields = [_described(field, get_args(types[field.name])) for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
        parts.append("\n    ".join([f"{name}  ({kind.label})", *fields]))
    data = "\n".join(f"    {source.name:<22} {source.title}" for source in catalog.datasets().values())
    return "models, with their fields for --set MODEL.FIELD=VALUE\n\n" + "\n\n".join(parts) + f"\n\ndata sets\n\n{data}"


def _described(field: dataclasses.Field[Any], choices: Sequence[Any]) -> str:
    """Describe a field: its default, its choices, and in brackets its default's origin and what a search tries."""
    tried = field.metadata["search"]
    span = f"{tried[0]} to {tried[1]}" if isinstance(tried, tuple) else ", ".join(map(str, tried or ()))
    remark = "; ".join(part for part in (field.metadata["note"], span and f"search {span}") if part)
    text = f"{field.name} = {field.default}" + ("   " + " | ".join(map(str, choices)) if choices else "")
    return text + (f"   ({remark})" if remark else "")


def fetched(options: Namespace) -> str:
    """Download a log to its place in the data folder."""
    downloads = {source.name: source.download for source in catalog.datasets().values() if source.download}
    return f"{fetch(downloads[known('log to fetch', options.name, downloads)], options.data)}: as expected"


def merged(options: Namespace) -> str:
    """Bring the records and kept models of other results folders into one."""
    return "\n".join(merge(options.folders, options.results))


def check(options: Namespace) -> str:
    """Verify stored records and pages."""
    from reproduce.reports.check import report  # and with it all pages

    for file in options.model:
        catalog.recommender(file, load=False)
    catalog.named_datasets(options.dataset, options.rules, options.data or data_folder())
    return report(options.results, options.data)


def contract(options: Namespace) -> str:
    """Check models against the rules; say how many rules each keeps.

    Raises:
        ModelError: a model breaks a rule or cannot be used; one line per mistake.
    """
    device = choose_device(options.device)
    kept, failed = [], []
    for model in options.model:
        kind = catalog.recommender(model, load=False)
        file = Path(model if model.endswith(".py") else inspect.getfile(kind))
        try:
            lines, last = catalog.in_its_process(kind.name, _of_model, kind.name, file, device)
        except ModelError as error:  # its process died
            lines, last = [str(error)], ""
        failed += [line if line.startswith(kind.name) else f"{kind.name}: {line}" for line in lines]
        kept.append(last)
    if failed:
        raise ModelError("\n".join([*failed, *filter(None, kept)]))
    return "\n".join(kept)


def _of_model(name: str, file: Path, device: torch.device) -> tuple[list[str], str]:
    """Check a model; return a line for each fault, and how many rules it keeps, "" if it cannot be asked."""
    make = partial(catalog.make_recommender, name)
    kind = catalog.recommender(name)
    if issubclass(kind, user_model.Unusable):
        return [kind.why], ""
    if wrong := unusable(make, device, file):
        return [wrong, f"{name} must fit and score before the {len(RULES)} rules can be checked"], ""
    lines = broken(make, device, file)
    rules: dict[str, list[str]] = {}  # what was found -> the rules that it breaks
    for line in lines:
        rule, _, finding = line.partition(": ")
        rules.setdefault(finding, []).append(rule)
    faults = [
        f"{name} breaks a rule: {broken_by[0]}: {finding}" + f" (met by {len(broken_by)} rules)" * (len(broken_by) > 1)
        for finding, broken_by in rules.items()
    ]
    return faults, f"{name} keeps {len(RULES) - len(lines)} of {len(RULES)} rules"
