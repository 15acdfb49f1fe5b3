"""`list`, `data` and `fetch`: what there is to run, what is here to run it on, and getting what anyone may have."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from tabulate import tabulate

from reproduce import catalog
from reproduce.errors import InputError
from reproduce.fitting.recommender import Recommender
from reproduce.reading import split_cache
from reproduce.reading.download import Download, fetch
from reproduce.reading.sessions import as_printed


def commands(commands: Any) -> None:
    """Add them to the sub-commands of a parser."""
    listing = commands.add_parser("list", help="the models with their fields, and the data sets")
    listing.set_defaults(answer=lambda options: list_all())
    data = commands.add_parser(
        "data", help="which data sets are here, their counts against the paper's, how to get them"
    )
    data_option(data)
    data.add_argument("--clear", action="store_true", help="empty the cache of splits instead")
    data.set_defaults(answer=lambda options: clear_cache() if options.clear else list_data(options.data))
    fetching = commands.add_parser("fetch", help="download a log that anyone may have, and verify it")
    fetching.add_argument("name", metavar="NAME", help=", ".join(_downloads()))
    fetching.add_argument("--url", help="another place to get the same file from")
    data_option(fetching)
    fetching.set_defaults(answer=lambda options: fetch_log(options.name, options.data, options.url))


def data_option(parser: Any) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("REPRODUCE_DATA", "data")),
        metavar="DIR",
        help="the folder with the logs (default: $REPRODUCE_DATA, else data/)",
    )


def list_all() -> str:
    """Every model with its fields, their defaults and choices; every data set."""
    parts = []
    for name, kind in catalog.recommenders().items():
        fields = "\n".join(f"    {line}" for line in _fields(kind))
        parts.append(f"{name}  ({kind.label})\n{fields}".rstrip())
    named = "\n".join(f"    {one.name:<22} {one.title}" for one in catalog.datasets().values())
    return (
        "models, with their fields for --set MODEL.FIELD=VALUE\n\n" + "\n\n".join(parts) + f"\n\ndata sets\n\n{named}"
    )


def list_data(data: Path) -> str:
    """What is found in a data folder, counted as the paper counts, and how to obtain the rest."""
    rows, absent = [], []
    for one in catalog.datasets().values():
        if not one.obtain:
            continue
        if not one.find(data):
            absent.append(f"{one.name}: {one.obtain.format(data=data)}")
            continue
        try:
            origin = catalog.load_split(one.name, data).provenance
        except InputError as error:
            absent.append(f"{one.name}: {error}")
            continue
        for who, counts in ((one.name, origin.counts), ("  the paper", origin.published)):
            columns = ("clicks", "train_sequences", "test_sequences", "items", "average_length")
            if counts:
                rows.append([who, *(as_printed(key, counts[key]) for key in columns)])
    head = ["data set", "clicks", "train sequences", "test sequences", "items", "average length"]
    text = (
        tabulate(rows, head, disable_numparse=True, colalign=["left"] + ["right"] * 5)
        if rows
        else f"nothing in {data}/"
    )
    return text + ("\n\nnot here:\n\n" + "\n".join(absent) if absent else "") + f"\n\n{list_cache()}"


def list_cache() -> str:
    """What is in the cache of splits."""
    lines = [
        f"    {one.name}: {one.bytes / 1e6:.1f} MB, of {one.source}" if one.sound else f"    {one.name}: broken"
        for one in split_cache.entries()
    ]
    return f"cached in {split_cache.folder()}/ (data --clear empties it):" + (
        "\n" + "\n".join(lines) if lines else " nothing"
    )


def clear_cache() -> str:
    return f"{split_cache.folder()}/: {split_cache.clear() / 1e6:.1f} MB freed"


def fetch_log(name: str, data: Path, url: str | None) -> str:
    """Download a log to its place; raises UsageError where there is none of that name."""
    download = _downloads()[catalog.known("log to fetch", name, _downloads())]
    return f"{fetch(dataclasses.replace(download, url=url or download.url), data)}: as expected"


def _downloads() -> dict[str, Download]:
    return {one.name: one.download for one in catalog.datasets().values() if one.download}


def _fields(kind: type[Recommender]) -> list[str]:
    types = get_type_hints(kind)
    lines = []
    for one in dataclasses.fields(kind):  # type: ignore[arg-type]
        choices = " | ".join(map(str, get_args(types[one.name]))) if get_origin(types[one.name]) is Literal else ""
        search = one.metadata.get("search")
        tried = (
            f"search {search[0]} to {search[1]}"
            if isinstance(search, tuple)
            else "search " + ", ".join(map(str, search or ()))
        )
        note = "; ".join(part for part in (one.metadata.get("note", ""), tried if search else "") if part)
        lines.append(
            f"{one.name} = {one.default}" + (f"   {choices}" if choices else "") + (f"   ({note})" if note else "")
        )
    return lines
