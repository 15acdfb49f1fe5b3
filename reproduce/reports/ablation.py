"""NARM against itself with a detail changed: the paper's Tables 4 and 2, and what published NARMs differ in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

from reproduce import catalog
from reproduce.errors import UsageError
from reproduce.evaluation import bootstrap
from reproduce.evaluation.bootstrap import Effect
from reproduce.names import known
from reproduce.paper import numbers
from reproduce.paper.rows import Row
from reproduce.paper.variants import PAPERS, VARIANTS
from reproduce.reports import figures
from reproduce.reports import page as pages
from reproduce.reports.description import AboutPage, Drawn, Option, Page
from reproduce.reports.shelf import Shelf
from reproduce.reports.significance import METRICS
from reproduce.runs.record import Result
from reproduce.runs.request import Request, set_fields

NARM_COLOUR = figures.colour("NARM")
ABOUT = AboutPage(
    "compares NARM with variants of it (the paper's Tables 4 and 2)",
    (
        Option(
            "--variant",
            "; ".join(f"{name}: {one.meaning}" for name, one in VARIANTS.items()) + f". Default: {', '.join(PAPERS)}",
            metavar="NAME",
            several=True,
            choices=tuple(VARIANTS),
        ),
    ),
    heeds=("dataset", "set"),
    runs=True,
)


def rows(request: Request) -> list[Row]:
    wrong = set(request.settings) - {"narm"}
    if wrong:
        raise UsageError(f"--set {sorted(wrong)[0]}.…: {sorted(wrong)[0]} is not among the models of this command")
    return [_row(request, known("variant", name, VARIANTS)) for name in _asked(request)]


def draw(request: Request, failed: Mapping[str, str]) -> Drawn:
    own = Shelf.at(request.results)
    asked = pages.shown_datasets(request, own)
    title = "# Ablation: what NARM's details are worth"
    if asked == ["synthetic"]:
        title += ", on a synthetic log"
    drawn: dict[str, bytes] = {}
    parts = [_section(request, own, dataset, failed, drawn) for dataset in asked]
    return Drawn("\n\n".join([title, *parts]) + "\n", drawn)


PAGE = Page(ABOUT, draw, rows)


def _asked(request: Request) -> Sequence[str]:
    return request.options.get("variant") or PAPERS


def _row(request: Request, name: str) -> Row:
    """A variant, with the fields that --set gives to all of them."""
    return set_fields(Row(name, "narm", VARIANTS[name].fields), request.settings.get("narm", {}))


def _section(request: Request, own: Shelf, dataset: str, failed: Mapping[str, str], drawn: dict[str, bytes]) -> str:
    rows = {name: _row(request, name) for name in VARIANTS}
    kept = {name: own.results(row, dataset) for name, row in rows.items()}
    reasons = {name: why for name, row in rows.items() if (why := pages.failure(request, row, dataset, failed))}
    shown = [name for name in VARIANTS if kept[name] or name in PAPERS or name in _asked(request)]
    text = [f"## {catalog.dataset(dataset).title}"]
    set_for_all = [f"narm.{key}={value}" for key, value in request.settings.get("narm", {}).items()]
    if set_for_all:
        text.append(f"Set for every variant: {', '.join(set_for_all)}.")
    text.append(_table(kept, shown, dataset, reasons))
    changes = _changes({name: kept[name] for name in shown if kept[name]}, own.remarks)
    if changes:
        text.append("\n".join(_sentence(name, effects) for name, effects in changes.items()))
        text.append(
            "Differences to the hybrid on the same test prefixes; intervals are of 95 %, by drawing test sessions, and "
            "over seeds where there are several. Another seed moves a number too, so from one run under "
            f"{bootstrap.ONE_RUN} points count as noise, whatever the interval."
        )
        text.append(_figure(dataset, changes, drawn))
    fields = {"set": " ".join(set_for_all)} if set_for_all else {}
    if reasons:
        command = pages.command("ablation", request, variant=" ".join(reasons), dataset=dataset, **fields)
        text.append("\n".join(f"- {name} failed: {why}" for name, why in reasons.items()) + f"\n\nAgain: {command}")
    missing = [name for name in VARIANTS if not kept[name] and name not in reasons]
    if missing:
        command = pages.command("ablation", request, variant=" ".join(missing), dataset=dataset, **fields)
        text.append(f"Not run yet: {', '.join(missing)}. All of them: {command}")
    told = pages.about([one for name in shown for one in kept[name]])
    told.append(f"Made by {pages.command('ablation', request, variant=' '.join(shown), dataset=dataset)}.")
    text.append("\n".join(f"- {line}" for line in [*told, *own.remarks]))
    own.remarks.clear()
    return "\n\n".join(text)


def _table(kept: Mapping[str, Sequence[Result]], shown: Sequence[str], dataset: str, failed: Mapping[str, str]) -> str:
    lines = []
    for name in shown:
        theirs = VARIANTS[name].published.get(numbers.PAPER_COLUMN.get(dataset, ""))
        line = [name, VARIANTS[name].meaning]
        for metric in ("recall", "mrr"):
            values = [getattr(one, metric)() for one in kept[name]]
            value = getattr(theirs, metric) if theirs else None
            full = mean(getattr(one, metric)() for one in kept["hybrid"]) if kept["hybrid"] else None
            line += [
                "failed" if name in failed and not values else pages.number(values),
                pages.published(value),
                pages.difference(values, value),
            ]
            line.append(pages.DASH if name == "hybrid" else pages.difference(values, full))
        lines.append(line)
    columns = ["paper", "Δ paper", "Δ hybrid"]
    return pages.table(["variant", "what it is", "Recall@20", *columns, "MRR@20", *columns], lines, names=2)


def _changes(rows: Mapping[str, list[Result]], remarks: list[str]) -> dict[str, dict[str, Effect]]:
    """Variant minus hybrid by variant and metric; nothing without a hybrid, nothing of another split."""
    if "hybrid" not in rows:
        return {}
    digest = rows["hybrid"][0].split["digest"]
    same = {name: results for name, results in rows.items() if {one.split["digest"] for one in results} == {digest}}
    remarks += [
        f"{name}: records of another split than the hybrid's; not compared." for name in rows if name not in same
    ]
    samples = {metric: pages.measured(same, metric) for metric in METRICS}
    return {
        name: {metric: bootstrap.effect((1, one[name]), (-1, one["hybrid"])) for metric, one in samples.items()}
        for name in same
        if name != "hybrid"
    }


def verdict(effect: Effect) -> str:
    """What a paired difference allows to say."""
    return {1: "better", -1: "worse", 0: "within noise"}[effect.side]


def _sentence(name: str, effects: Mapping[str, Effect]) -> str:
    told = [
        f"{METRICS[metric]} {one.value:+.2f} ({one.low:+.2f} to {one.high:+.2f}), **{verdict(one)}**"
        for metric, one in effects.items()
    ]
    return f"- {name}: {'; '.join(told)}."


def _figure(dataset: str, changes: Mapping[str, Mapping[str, Effect]], drawn: dict[str, bytes]) -> str:
    panels = []
    for metric, title in METRICS.items():
        content = []
        for name, effects in changes.items():
            one = effects[metric]
            content.append(
                figures.Bar(name, one.value, _published(name, metric, dataset), (one.low, one.high), NARM_COLOUR)
            )
        panels.append(figures.Panel(title, "points to the hybrid", content))
    name = f"ablation-{dataset}"
    drawn |= figures.bars(name, panels)
    return pages.figure(
        name,
        "What each change to NARM does to Recall@20 and MRR@20. A bar to the left of zero is a loss against the "
        "hybrid; where the whisker (95 %) crosses zero, the test sessions cannot tell. Diamonds: the difference "
        "between the paper's own numbers.",
    )


def _published(name: str, metric: str, dataset: str) -> float | None:
    """The paper's own difference to its hybrid."""
    column = numbers.PAPER_COLUMN.get(dataset, "")
    theirs, full = VARIANTS[name].published.get(column), VARIANTS["hybrid"].published.get(column)
    return getattr(theirs, metric) - getattr(full, metric) if theirs and full else None
