"""All models over data sets and metrics as bars (the paper's Figure 5), and the learning curves of the neural ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

from reproduce import catalog
from reproduce.paper import controls, numbers
from reproduce.paper.rows import ROWS
from reproduce.reports import figures
from reproduce.reports import page as pages
from reproduce.reports.description import AboutPage, Drawn, Page
from reproduce.reports.shelf import Shelf
from reproduce.runs.record import Result
from reproduce.runs.request import Request

ABOUT = AboutPage(
    "draws all models as bars (the paper's Figure 5) and their learning curves", heeds=("dataset", "model", "set")
)

Found = Mapping[str, Sequence[Result]]  # label -> its records on one data set


def draw(request: Request, failed: Mapping[str, str]) -> Drawn:
    own = Shelf.at(request.results)
    datasets = pages.viewed_datasets(request, own)
    shown = request.rows([*ROWS, *controls.ROWS, *own.others(*datasets)])
    found = {dataset: {row.label: own.results(row, dataset) for row in shown} for dataset in datasets}
    text = ["# Figure 5: all models, and how they learned", *dict.fromkeys(own.remarks)]
    drawn: dict[str, bytes] = {}
    with_records = {dataset: kept for dataset, kept in found.items() if any(kept.values())}
    if with_records:
        text.append(_bars(with_records, drawn))
    if not datasets:
        text.append(pages.no_records(request))
    for dataset in datasets:
        text.append(f"## {catalog.dataset(dataset).title}")
        text.append(_curves(dataset, found[dataset], drawn))
        missing = [row for row in shown if not found[dataset][row.label] and row in ROWS]
        if missing:
            models = " ".join(row.model for row in missing)
            text.append(f"Not run yet: {pages.command('table2', request, dataset=dataset, model=models)}")
    text.append(f"Drawn by {pages.command('figure5', request)}.")
    return Drawn("\n\n".join(text) + "\n", drawn)


PAGE = Page(ABOUT, draw)


def _bars(found: Mapping[str, Found], drawn: dict[str, bytes]) -> str:
    labels = [label for label in next(iter(found.values())) if any(kept[label] for kept in found.values())]
    panels = []
    for dataset, kept in found.items():
        for metric, title in (("recall", "Recall@20"), ("mrr", "MRR@20")):
            content = []
            for label in labels:
                values = [getattr(one, metric)() for one in kept[label]]
                theirs = numbers.published(numbers.TABLE3, label, dataset)
                published = getattr(theirs, metric) if theirs else None
                value = mean(values) if values else None
                content.append(figures.Bar(label, value, published, None, figures.colour(label)))
            panels.append(figures.Panel(catalog.dataset(dataset).title, f"{title}, per cent", content))
    drawn |= figures.bars("figure5", panels)
    return pages.figure(
        "figure5",
        "Recall@20 and MRR@20 of every model with a record. Diamonds are the paper's numbers: a diamond at the end of "
        "its bar is a reproduced one; a diamond without a bar waits for its run.",
    )


def _curves(dataset: str, kept: Found, drawn: dict[str, bytes]) -> str:
    trained = {label: results[0].epochs for label, results in kept.items() if results and results[0].epochs}
    if not trained:
        return "No neural model has a record yet, so there is no learning curve."
    panels = []
    for key, title, label in (
        ("loss", "Training loss", "mean loss (each model's own)"),
        ("validation_recall", "Validation Recall@20", "per cent"),
    ):
        content = []
        for model, epochs in trained.items():
            told = [one for one in epochs if key in one]
            line = [one["epoch"] for one in told], [one[key] for one in told]
            content.append(figures.Line(model, *line, colour=figures.colour(model), marker=figures.marker(model)))
        panels.append(figures.Panel(title, label, content, "epoch"))
    name = f"curves-{dataset}"
    drawn |= figures.lines(name, panels)
    best = ", ".join(f"{label} {kept[label][0].best_epoch or f'{len(trained[label])} (its last)'}" for label in trained)
    return pages.figure(
        name,
        "Loss on the training part and Recall@20 on the validation part, by epoch. A curve that is flat at its end "
        f"was trained to its end; one still rising was not. Epochs kept: {best}.",
    )
