"""NARM against itself with a detail changed: the paper's Tables 4 and 2, and what published NARMs differ in."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean

from reproduce import catalog
from reproduce.evaluation import bootstrap
from reproduce.evaluation.bootstrap import Effect
from reproduce.paper import numbers
from reproduce.paper.numbers import Score
from reproduce.paper.rows import Row
from reproduce.reports import figures
from reproduce.reports import page as pages
from reproduce.reports.page import Shelf
from reproduce.reports.significance import METRICS
from reproduce.runs.record import Result
from reproduce.runs.request import Request

HELP = "NARM with a detail of it changed (the paper's Tables 4 and 2)"


@dataclass(frozen=True)
class Variant:
    """Fields of NARM that are set, what that does to it, and what the paper published."""

    told: str
    fields: Mapping[str, object] = field(default_factory=dict)
    published: Mapping[str, Score] = field(default_factory=dict)


VARIANTS = {
    "hybrid": Variant("the paper's NARM, 100 hidden units", {}, numbers.TABLE4["hybrid", 100]),
    "global-only": Variant("c_t = h_t", {"encoder": "global"}, numbers.TABLE4["global", 100]),
    "local-only": Variant("c_t = sum_j alpha_tj h_j", {"encoder": "local"}, numbers.TABLE4["local", 100]),
    "fc-decoder": Variant(
        "score = W c_t + b instead of emb B c_t", {"decoder": "fully-connected"}, numbers.TABLE2["fully connected"]
    ),
    "hybrid-50": Variant("50 hidden units", {"hidden": 50}, numbers.TABLE4["hybrid", 50]),
    "global-only-50": Variant(
        "c_t = h_t, 50 hidden units", {"encoder": "global", "hidden": 50}, numbers.TABLE4["global", 50]
    ),
    "local-only-50": Variant(
        "c_t = sum_j alpha_tj h_j, 50 hidden units", {"encoder": "local", "hidden": 50}, numbers.TABLE4["local", 50]
    ),
    "raw-attention": Variant("alpha as in eq. 7, without the authors' softmax", {"attention": "raw"}),
    "no-query": Variant("A_1 = 0: the attention does not see h_t", {"attention_query": "none"}),
    "hard-attention": Variant(
        "the attention's sigmoid hard, as in the authors' code; the gates smooth", {"attention_sigmoid": "hard"}
    ),
    "authors-cell": Variant(
        "reset gate before the product, hard sigmoids, as in the authors' code",
        {"cell": "authors", "attention_sigmoid": "hard"},
    ),
    "last-19": Variant("longer prefixes keep their last 19 clicks, not their first", {"truncation": "last"}),
    "no-truncation": Variant("longer prefixes keep all clicks", {"truncation": "none"}),
    "torch-init": Variant("torch's initial weights instead of the authors'", {"init": "torch"}),
    "session-validation": Variant("validation on whole sessions instead of prefixes", {"validation": "sessions"}),
    "no-dropout": Variant("neither of the two dropouts", {"embedding_dropout": 0.0, "session_dropout": 0.0}),
}
NARM_COLOUR = figures.colour("NARM")
PAPERS = ("hybrid", "global-only", "local-only", "fc-decoder")  # run where no variant is named


def arguments(parser: argparse.ArgumentParser) -> None:
    told = "; ".join(f"{name}: {one.told}" for name, one in VARIANTS.items())
    parser.add_argument(
        "--variant", nargs="+", default=[], metavar="NAME", help=f"{told}. Default: {', '.join(PAPERS)}"
    )


def rows(request: Request) -> list[Row]:
    return request.rows([_row(catalog.known("variant", name, VARIANTS)) for name in _asked(request)])


def page(request: Request, failed: Mapping[str, str]) -> str:
    own = Shelf.at(request.results)
    asked = pages.shown_datasets(request, own)
    title = "# Ablation: what NARM's details are worth"
    if asked == ["synthetic"]:
        title += ", on a synthetic log"
    return "\n\n".join([title, *(_section(request, own, dataset) for dataset in asked)]) + "\n"


def _asked(request: Request) -> Sequence[str]:
    return request.options.get("variant") or PAPERS


def _row(name: str) -> Row:
    return Row(name, "narm", VARIANTS[name].fields)


def _section(request: Request, own: Shelf, dataset: str) -> str:
    kept = {name: own.results(_row(name), dataset) for name in VARIANTS}
    shown = [name for name in VARIANTS if kept[name] or name in PAPERS or name in _asked(request)]
    text = [f"## {catalog.dataset(dataset).title}", _table(kept, shown, dataset)]
    drawn = _changes({name: kept[name] for name in shown if kept[name]}, own.remarks)
    if drawn:
        text.append("\n".join(_sentence(name, effects) for name, effects in drawn.items()))
        text.append(
            "Differences to the hybrid on the same test prefixes; intervals are of 95 %, by drawing test sessions, and "
            "over seeds where there are several. Another seed moves a number too, so from one run under "
            f"{bootstrap.ONE_RUN} points count as noise, whatever the interval."
        )
        text.append(_figure(request, dataset, drawn))
    missing = [name for name in VARIANTS if not kept[name]]
    if missing:
        command = pages.command("ablation", request, variant=" ".join(missing), dataset=dataset)
        text.append(f"Not run yet: {', '.join(missing)}. All of them: {command}")
    told = pages.about([one for name in shown for one in kept[name]])
    told.append(f"Made by {pages.command('ablation', request, variant=' '.join(shown), dataset=dataset)}.")
    text.append("\n".join(f"- {line}" for line in [*told, *own.remarks]))
    own.remarks.clear()
    return "\n\n".join(text)


def _table(kept: Mapping[str, Sequence[Result]], shown: Sequence[str], dataset: str) -> str:
    lines = []
    for name in shown:
        theirs = VARIANTS[name].published.get(numbers.PAPER_COLUMN.get(dataset, ""))
        line = [name, VARIANTS[name].told]
        for metric in ("recall", "mrr"):
            values = [getattr(one, metric)() for one in kept[name]]
            value = getattr(theirs, metric) if theirs else None
            full = mean(getattr(one, metric)() for one in kept["hybrid"]) if kept["hybrid"] else None
            line += [pages.number(values), pages.published(value), pages.difference(values, value)]
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


def _figure(request: Request, dataset: str, drawn: Mapping[str, Mapping[str, Effect]]) -> str:
    panels = []
    for metric, title in METRICS.items():
        content = []
        for name, effects in drawn.items():
            one = effects[metric]
            content.append(
                figures.Bar(name, one.value, _published(name, metric, dataset), (one.low, one.high), NARM_COLOUR)
            )
        panels.append(figures.Panel(title, "points to the hybrid", content))
    name = f"ablation-{dataset}"
    figures.bars(request.results / "figures", name, panels)
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
