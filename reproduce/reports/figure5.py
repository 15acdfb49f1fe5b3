"""Bars of all models by data set and metric (the paper's Figure 5), and the learning curves of the neural models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reproduce.paper import controls, numbers
from reproduce.paper.rows import ROWS
from reproduce.reports import Page, figures, measuring
from reproduce.reports import page as pages
from reproduce.reports.document import Block, Bullets, Document, Figure, Section
from reproduce.reports.measuring import METRICS, Seeds, View
from reproduce.reports.records import Records, papers_task
from reproduce.runs.record import Result
from reproduce.runs.request import Request

Rows = Mapping[str, Sequence[Result]]  # label -> its records on one data set, at least one


def draw(request: Request, failed: Mapping[str, str]) -> Document:
    records = Records.of_request(request)
    found: dict[str, dict[str, list[Result]]] = {}
    notes: list[str] = []
    for dataset in pages.viewed_datasets(request, records):
        shown = request.rows([*ROWS, *controls.ROWS, *records.others(dataset)])
        rows = {row.label: runs for row in shown if (runs := records.results(row, dataset))}
        if rows:
            found[dataset] = rows
        if missing := [row.model for row in shown if row.label not in rows and row in ROWS]:
            command = pages.command("table2", request, dataset=dataset, model=" ".join(missing))
            notes.append(f"{pages.title_of(dataset)}, not run yet: {command}")
        notes += records.remarks(dataset)
    if not found:
        notes = [*notes, pages.no_records(request)]
    view = View.of(request.options)
    papers = [name for name, rows in found.items() if papers_task(name, _runs(rows))]
    parts: list[Block] = [_curves(found)] if any(run.epochs for rows in found.values() for run in _runs(rows)) else []
    parts += [
        Section(pages.title_of(name), [_bars(name, found[name], records, view)], name) for name in papers or found
    ]
    return Document(
        "Figure 5: all models, and how they learned",
        _answer(found),
        view.told,
        [*parts, Bullets(notes)] if notes else parts,
        pages.foot("figure5", request),
        pages.data(records),
    )


PAGE = Page(draw)


def _runs(rows: Rows) -> list[Result]:
    return [run for runs in rows.values() for run in runs]


def _answer(found: Mapping[str, Rows]) -> list[str]:
    """Say which models kept the last epoch that they were allowed, so that more training may help them."""
    trained = {label for rows in found.values() for label, runs in rows.items() if runs[0].best_epoch is not None}
    unfinished = [
        f"{label} on {pages.title_of(dataset)} ({last} of {len(runs)} runs)"
        for dataset, rows in found.items()
        for label, runs in rows.items()
        if (last := sum(run.unfinished for run in runs))
    ]
    if not trained:
        return []
    if not unfinished:
        return ["Every model was trained to its end: no run was still improving at the last epoch allowed."]
    return [
        f"**Still improving at the last epoch allowed**, so that more epochs may help: {'; '.join(unfinished)}. All "
        "other runs ended by themselves."
    ]


def _curves(found: Mapping[str, Rows]) -> Figure:
    panels: dict[str, list[figures.Line]] = {}
    for dataset, rows in found.items():
        lines = []
        for label, runs in rows.items():
            epochs = [epoch for epoch in runs[0].epochs if "validation_recall" in epoch]
            if epochs:
                x, y = [epoch["epoch"] for epoch in epochs], [epoch["validation_recall"] for epoch in epochs]
                lines.append(figures.Line(label, x, y, ring=runs[0].best_epoch))
        if lines:
            panels[pages.title_of(dataset)] = lines
    caption = "Recall@20 on the validation part, per cent, by epoch; first seed. Ring: the epoch that was kept."
    return Figure("curves", "Learning curves by data set", caption, figures.curves("curves", panels) if panels else {})


def _bars(dataset: str, rows: Rows, records: Records, view: View) -> Figure:
    seeds = Seeds.of(records, next(iter(rows.values()))[0])
    panels: dict[str, list[figures.Bar]] = {}
    for metric, title in METRICS.items():
        measured = measuring.measured(rows, metric, seeds, view.where, view.rule)
        panels[title] = []
        for label, one in measured.items():
            theirs = numbers.published(numbers.TABLE3, label, dataset) if papers_task(dataset, rows[label]) else None
            half = measuring.half_width(measuring.alone(one))
            panels[title].append(figures.Bar(label, one.value, half, getattr(theirs, metric) if theirs else None))
    name = f"figure5-{dataset}"
    title = pages.title_of(dataset)
    caption = "Every model with a record; whiskers are 95 % intervals over test sessions and, where known, seeds."
    return Figure(name, f"{title}: Recall@20 and MRR@20 of every model", caption, figures.bars(name, panels))
