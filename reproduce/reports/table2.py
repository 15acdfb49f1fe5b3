"""The comparison of all recommenders (the paper's Table 3), followed by the comparison of decoders (its Table 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reproduce import catalog
from reproduce.errors import InputError
from reproduce.fitting.user_model import asked_for_as
from reproduce.paper import controls, numbers
from reproduce.paper.numbers import Score
from reproduce.paper.rows import DECODERS, ROWS, Row
from reproduce.reports import page as pages
from reproduce.reports.description import AboutPage, Drawn, Option, Page
from reproduce.reports.page import DASH
from reproduce.reports.shelf import Shelf
from reproduce.runs import stored_search
from reproduce.runs.record import Result
from reproduce.runs.request import Request, same
from reproduce.runs.stored_search import Found

SEARCHED = (
    "The settings that `python -m reproduce search` found, each then fitted to all of train and run on test once. The "
    "tables above have the defaults, published ones where there are any. Recall@20 / MRR@20 on the held-out sessions:"
)
ABOUT = AboutPage(
    "compares the recommenders (the paper's Table 3) and the decoders (its Table 2)",
    (
        Option(
            "--beyond", f"also the strong controls the paper lacked: {', '.join(row.label for row in controls.ROWS)}"
        ),
    ),
    heeds=("dataset", "model", "set"),
    runs=True,
)


def rows(request: Request) -> list[Row]:
    return request.rows([*ROWS, *(controls.ROWS if request.options.get("beyond") else ())], extra=controls.ROWS)


def draw(request: Request, failed: Mapping[str, str]) -> Drawn:
    """The page of every data set with records here, and of those just asked for."""
    own = Shelf.at(request.results)
    shown = pages.shown_datasets(request, own)
    title = "# Table 2: comparison of recommenders, comparison of decoders"
    if shown == ["synthetic"]:
        title += ", on a synthetic log"
    parts = [
        title,
        "Recall@20 and MRR@20 in per cent over the full catalogue. The paper prints the comparison of recommenders as "
        "its Table 3 and the comparison of decoders as its Table 2; this page has both.",
    ]
    for dataset in shown:
        parts.append(_section(request, own, dataset, failed))
    return Drawn("\n\n".join(parts) + "\n")


PAGE = Page(ABOUT, draw, rows)


def _section(request: Request, own: Shelf, dataset: str, failed: Mapping[str, str]) -> str:
    beyond = [row.at(dataset) for row in controls.ROWS if request.options.get("beyond") or own.results(row, dataset)]
    own.remarks.clear()  # each row's are made again where the row is shown
    searches = _searches(request, own, dataset)
    shown = list(ROWS)
    for row in [*(one.at(dataset) for one in rows(request)), *own.others(dataset)]:
        if not any(same(row, one) for one in [*shown, *beyond, *(one.row for one in searches)]):
            shown.append(row)
    text = [f"## {catalog.dataset(dataset).title}"]
    comparison, records, missing = comparison_table(request, own, dataset, shown, numbers.TABLE3, failed)
    text.append(comparison)
    decoders, decoder_records, _ = comparison_table(request, own, dataset, DECODERS, numbers.TABLE2, failed)
    if decoder_records:
        text += ["Decoders of NARM (the paper's Table 2):", decoders]
    if beyond:
        later, records_beyond, missing_beyond = comparison_table(
            request, own, dataset, beyond, controls.PUBLISHED, failed, source="published"
        )
        text += [f"### Beyond the paper: {catalog.dataset(dataset).title}", controls.note(dataset), later]
        records, missing = records + records_beyond, missing + missing_beyond
    if searches:
        better = [one.row for one in searches if one.better]
        published = {one.row.label: _published(one) for one in searches}
        text.append(f"### Searched: {catalog.dataset(dataset).title}")
        text.append(SEARCHED + "\n\n" + "\n".join(f"- {_told(one)}" for one in searches))
        if better:
            table, records_searched, missing_searched = comparison_table(
                request, own, dataset, better, published, failed, source="published"
            )
            text.append(table)
            records, missing = records + records_searched, missing + missing_searched
    if missing:
        text.append("Not run yet:\n\n" + "\n".join(f"- {line}" for line in missing))
    text.append(_foot(request, own, dataset, records, decoder_records, beyond=bool(beyond)))
    written = pages.findings(dataset)
    return "\n\n".join([*text, written] if written else text)


def _searches(request: Request, own: Shelf, dataset: str) -> list[Found]:
    try:
        return stored_search.found(request.results, dataset)
    except InputError as error:
        own.remarks.append(str(error))
        return []


def _foot(
    request: Request, own: Shelf, dataset: str, records: list[Result], decoders: list[Result], *, beyond: bool
) -> str:
    """How the numbers came about, the command that makes them, and what could not be used."""
    told = pages.about([*records, *(one for one in decoders if one not in records)])
    if records:
        told.insert(0, pages.legend(records))
    flags = {"beyond": ""} if beyond else {}
    told.append(f"Made by {pages.command('table2', request, dataset=dataset, **flags)}.")
    text = "\n".join(f"- {line}" for line in [*told, *own.remarks])
    own.remarks.clear()
    return text


def _published(one: Found) -> Mapping[str, Score]:
    label = one.base.label
    return numbers.TABLE3.get(label) or controls.PUBLISHED.get(label, {})


def _told(one: Found) -> str:
    first, best = (f"{trial.recall or 0:.2f} / {trial.mrr or 0:.2f}" for trial in (one.defaults, one.best))
    if one.refits:
        best += " and anew {:.2f} / {:.2f}".format(*one.reached)
    outcome = f"the defaults had {first}, the best {best}" if one.better else f"the defaults, {first}, won"
    return f"{one.base.label}: {one.protocol}, scored on {one.scored_on}; {outcome}."


def comparison_table(
    request: Request,
    own: Shelf,
    dataset: str,
    shown: Sequence[Row],
    table: Mapping[str, Mapping[str, Score]],
    failed: Mapping[str, str],
    source: str = "paper",
) -> tuple[str, list[Result], list[str]]:
    """A table of rows against the paper, the records in it, and what is missing with the command that fills it."""
    reference = pages.reference(request)
    lines, records, missing = [], [], []
    made = {row.label: results for row in shown if (results := own.results(row, dataset))}
    cells = {metric: pages.with_noise(made, metric) for metric in ("recall", "mrr")}
    for row in shown:
        results = made.get(row.label, [])
        records += results
        theirs = numbers.published(table, row.label, dataset)
        line = [row.label]
        for metric in ("recall", "mrr"):
            values = [getattr(one, metric)() for one in results]
            value = getattr(theirs, metric) if theirs else None
            line += [cells[metric].get(row.label, DASH), pages.published(value), pages.difference(values, value)]
            if reference is not None:
                kept = [getattr(one, metric)() for one in reference.results(row, dataset)]
                line.insert(-1, pages.number(kept))
        lines.append(line)
        if not results:
            missing.append(_why_missing(request, row, dataset, failed))
            if pages.failure(request, row, dataset, failed):
                line[1] = "failed"
    if reference is None:
        head = ["model", "Recall@20", source, "Δ", "MRR@20", source, "Δ"]
    else:
        head = ["model", "Recall@20", source, "reference", "Δ", "MRR@20", source, "reference", "Δ"]
    return pages.table(head, lines), records, missing


def _why_missing(request: Request, row: Row, dataset: str, failed: Mapping[str, str]) -> str:
    if row.model not in catalog.recommenders():
        return f"{row.label}: {DASH} the suite has no model `{row.model}` yet."
    reason = pages.failure(request, row, dataset, failed)
    fields = {"set": " ".join(f"{row.model}.{key}={value}" for key, value in row.fields.items())} if row.fields else {}
    command = pages.command("table2", request, dataset=dataset, model=asked_for_as(row.model), **fields)
    return f"{row.label}: " + (f"failed, {reason}; again with {command}" if reason else command)
