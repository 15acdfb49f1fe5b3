"""NARM against itself with a part taken out (the paper's Table 4)."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from statistics import mean

from reproduce import catalog, paper
from reproduce.grid import Request
from reproduce.paper import Row
from reproduce.reports import page as pages
from reproduce.reports.page import Shelf

HELP = "NARM with a part of it changed (the paper's Table 4)"

# A variant is a set of fields; with the key of its row in the paper's Table 4.
VARIANTS: dict[str, tuple[Row, tuple[str, int]]] = {
    "hybrid": (Row("hybrid", "narm"), ("hybrid", 100)),
    "global-only": (Row("global-only", "narm", {"encoder": "global"}), ("global", 100)),
    "local-only": (Row("local-only", "narm", {"encoder": "local"}), ("local", 100)),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--variant", nargs="+", default=[], metavar="NAME", help=f"which: {', '.join(VARIANTS)} (default: all)"
    )


def rows(request: Request) -> list[Row]:
    names = request.options.get("variant") or list(VARIANTS)
    chosen = [VARIANTS[catalog.known("variant", name, VARIANTS)][0] for name in names]
    return request.rows(chosen)


def page(request: Request, failed: Mapping[str, str]) -> str:
    own = Shelf.at(request.results)
    asked = list(dict.fromkeys([*own.datasets(), *request.datasets]))
    title = "# Ablation: what NARM's parts are worth"
    if asked == ["synthetic"]:
        title += ", on a synthetic log"
    return "\n\n".join([title, *(_section(request, own, dataset) for dataset in asked)]) + "\n"


def _section(request: Request, own: Shelf, dataset: str) -> str:
    baseline = own.results(VARIANTS["hybrid"][0], dataset)
    lines, records, missing = [], [], []
    for name, (row, key) in VARIANTS.items():
        results = own.results(row, dataset)
        records += results
        theirs = paper.TABLE4[key].get(paper.PAPER_COLUMN.get(dataset, ""))
        line = [name]
        for metric in ("recall", "mrr"):
            values = [getattr(one, metric)() for one in results]
            value = getattr(theirs, metric) if theirs else None
            full = mean(getattr(one, metric)() for one in baseline) if baseline else None
            line += [pages.number(values), pages.published(value)]
            line += [pages.difference(values, value), pages.difference(values, full)]
        lines.append(line)
        if not results:
            missing.append(f"- {name}: {pages.command('ablation', request, variant=name, dataset=dataset)}")
    head = ["variant", "Recall@20", "paper", "Δ paper", "Δ hybrid", "MRR@20", "paper", "Δ paper", "Δ hybrid"]
    text = [f"## {catalog.dataset(dataset).title}", pages.table(head, lines)]
    if missing:
        text.append("Not run yet:\n\n" + "\n".join(missing))
    told = [*pages.about(records), f"Made by {pages.command('ablation', request, dataset=dataset)}."]
    text.append("\n".join(f"- {line}" for line in [*told, *own.remarks]))
    own.remarks.clear()
    return "\n\n".join(text)
