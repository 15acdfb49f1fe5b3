"""Bars of all models by data set and metric (the paper's Figure 5), and the learning curves of the neural models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reproduce import catalog
from reproduce.paper import controls, numbers
from reproduce.paper.rows import ROWS
from reproduce.reports import Drawn, Page, figures, measuring
from reproduce.reports import page as pages
from reproduce.reports.measuring import METRICS, Seeds
from reproduce.reports.shelf import Shelf
from reproduce.runs.record import Result
from reproduce.runs.request import Request

Rows = Mapping[str, Sequence[Result]]  # label -> its records on one data set, at least one


def draw(request: Request, failed: Mapping[str, str]) -> Drawn:
    own = Shelf.at(request.results, request.digests)
    datasets = pages.viewed_datasets(request, own)
    title = (
        "# Figure 5: all models, and how they learned\n\n"
        "How good is every model beside the others and beside the paper, and was each trained to its end?"
    )
    drawn: dict[str, bytes] = {}
    parts = [_section(request, own, one, drawn) for one in datasets]
    told = f"Drawn by {pages.command('figure5', request)}."
    return Drawn("\n\n".join([title, *(parts or [pages.no_records(request)]), told]) + "\n", drawn)


PAGE = Page(draw)


def _section(request: Request, own: Shelf, dataset: str, drawn: dict[str, bytes]) -> str:
    shown = request.rows([*ROWS, *controls.ROWS, *own.others(dataset)])
    found = {row.label: results for row in shown if (results := own.results(row, dataset))}
    text = [f"## {catalog.dataset(dataset).title}"]
    if found:
        text += [_bars(request, dataset, found, drawn), _curves(dataset, found, drawn)]
    missing = [row.model for row in shown if row.label not in found and row in ROWS]
    if missing:
        command = pages.command("table2", request, dataset=dataset, model=" ".join(missing))
        text.append(f"Not run yet, and not drawn: {command}")
    text += own.remarks
    own.remarks.clear()
    return "\n\n".join(text)


def _bars(request: Request, dataset: str, found: Rows, drawn: dict[str, bytes]) -> str:
    panels = []
    bars = [_measured(request, found, metric) for metric in METRICS]
    for (metric, title), measured in zip(METRICS.items(), bars, strict=True):
        content = []
        for label, results in found.items():
            theirs = numbers.published(numbers.TABLE3, label, dataset)
            published = getattr(theirs, metric) if theirs and pages.papers_task(dataset, results) else None
            value, interval = measured[label]
            content.append(figures.Bar(label, value, published, interval, figures.colour(label)))
        panels.append(figures.Panel(title, "per cent", content))
    name = f"figure5-{dataset}"
    drawn |= figures.bars(name, panels)
    caption = "Recall@20 and MRR@20 of every model with a record. Whiskers are 95 % intervals."
    if any(isinstance(bar, figures.Bar) and bar.published is not None for panel in panels for bar in panel.content):
        caption += " Diamonds are the paper's numbers; one within its whisker is within the noise of ours."
    return pages.figure(name, caption)


def _measured(request: Request, found: Rows, metric: str) -> dict[str, tuple[float, tuple[float, float]]]:
    """Return each row's number and its interval, cut to 0 to 100 per cent; rows of each split are measured apart."""
    intervals = {}
    for digest in dict.fromkeys(results[0].split["digest"] for results in found.values()):
        rows = {
            label: [one for one in results if one.split["digest"] == digest]
            for label, results in found.items()
            if results[0].split["digest"] == digest
        }
        seeds = Seeds.of(request.results, next(iter(rows.values()))[0])
        for label, one in measuring.measured(rows, metric, seeds).items():
            judged = measuring.alone(one)
            half = float(np.nan_to_num(measuring.half_width(judged)))
            intervals[label] = judged.value, (max(0.0, judged.value - half), min(100.0, judged.value + half))
    return intervals


def _curves(dataset: str, found: Rows, drawn: dict[str, bytes]) -> str:
    """Draw the validation Recall of all models on one axis, and each loss on its own, as losses do not compare."""
    trained = {label: results[0].epochs for label, results in found.items() if results[0].epochs}
    if not trained:
        return "No neural model has a record yet, so there is no learning curve."
    shared, losses = [], []
    for label, epochs in trained.items():
        style = {"colour": figures.colour(label), "marker": figures.marker(label)}
        told = [one for one in epochs if "validation_recall" in one]
        if told:
            values = [one["epoch"] for one in told], [one["validation_recall"] for one in told]
            shared.append(figures.Line(label, *values, **style))
        told = [one for one in epochs if "loss" in one]
        if told:
            line = figures.Line("", [one["epoch"] for one in told], [one["loss"] for one in told], **style)
            losses.append(figures.Panel(f"{label}: loss", "", [line]))
    name = f"curves-{dataset}"
    drawn |= figures.curves(name, figures.Panel("Validation Recall@20", "per cent", shared, "epoch"), losses)
    best = ", ".join(
        f"{label} {found[label][0].best_epoch or f'{len(trained[label])} (its last)'}" for label in trained
    )
    caption = "Recall@20 on the validation part and, below, each model's mean training loss, by epoch"
    caption += " (the first seed's run). " if any(len(one) > 1 for one in found.values()) else ". "
    return pages.figure(
        name,
        caption + "A curve that is flat at its end was trained to its end; one still rising was not. Losses are of "
        f"different kinds: compare the shape, not the height. Epochs kept: {best}.",
    )
