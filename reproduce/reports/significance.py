"""Which differences between recommenders are more than noise: every pair of rows on the same test prefixes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from reproduce import catalog
from reproduce.evaluation import bootstrap
from reproduce.evaluation.bootstrap import Effect, Sample
from reproduce.paper.rows import ROWS, Row
from reproduce.reports import page as pages
from reproduce.reports.description import AboutPage, Drawn, Page
from reproduce.reports.shelf import Shelf
from reproduce.runs.record import Result
from reproduce.runs.request import Request

ABOUT = AboutPage(
    "compares every pair of recommenders: difference, interval, p-value", heeds=("dataset", "model", "set")
)
METRICS = {"recall": "Recall@20", "mrr": "MRR@20"}


def draw(request: Request, failed: Mapping[str, str]) -> Drawn:
    own = Shelf.at(request.results)
    asked = [name for name in pages.viewed_datasets(request, own) if (own.folder / "runs" / name).is_dir()]
    parts = [
        "# Which differences are more than noise",
        "Row minus row on the same test prefixes, in points, with the 95 % interval of a bootstrap over whole sessions "
        "(and over seeds where there are several; with one seed a difference is about these runs, not about the "
        f"models: under {bootstrap.ONE_RUN} points it decides nothing). p-values are Holm's, over all pairs of a "
        "metric on a data set.",
    ]
    parts += [_section(request, own, dataset) for dataset in asked]
    if not asked:
        parts.append(f"No records yet: {pages.command('table2', request)}.")
    return Drawn("\n\n".join(parts) + "\n")


PAGE = Page(ABOUT, draw)


def recorded(own: Shelf, dataset: str, rows: Sequence[Row] = ROWS) -> dict[str, list[Result]]:
    """The rows that have records of one split, by label."""
    found: dict[str, list[Result]] = {}
    for row in rows:
        results = own.results(row, dataset)
        digests = {one.split["digest"] for one in [*results, *(found[key][0] for key in found)]}
        if len(digests) > 1:
            own.remarks.append(f"{row.label}: records of another split; left out.")
        elif results:
            found[row.label] = results
    return found


def pairs(samples: Mapping[str, Sample]) -> dict[tuple[str, str], tuple[Effect, float]]:
    """Of every pair the better row first: the effect, and Holm's p-value over all pairs."""
    named = {}
    for a, b in combinations(samples, 2):
        better, worse = (a, b) if samples[a].value >= samples[b].value else (b, a)
        named[better, worse] = bootstrap.effect((1, samples[better]), (-1, samples[worse]))
    adjusted = bootstrap.holm([one.p for one in named.values()])
    return {key: (effect, p) for (key, effect), p in zip(named.items(), adjusted, strict=True)}


def _section(request: Request, own: Shelf, dataset: str) -> str:
    full = Row("NARM, fully connected decoder", "narm", {"decoder": "fully-connected"})
    found = recorded(own, dataset, request.rows([*ROWS, full, *own.others(dataset)]))
    text = [f"## {catalog.dataset(dataset).title}"]
    if len(found) > 1:
        for metric, title in METRICS.items():
            lines = [
                [f"{a} − {b}", f"{e.value:+.2f}", f"{e.low:+.2f} to {e.high:+.2f}", _p(p)]
                for (a, b), (e, p) in pairs(pages.measured(found, metric)).items()
            ]
            text.append(pages.table([title, "difference", "95 % interval", "p (Holm)"], lines))
    else:
        text.append("Fewer than two rows have records.")
    told = pages.about([one for results in found.values() for one in results])
    told.append(f"Made by {pages.command('significance', request, dataset=dataset)}.")
    text.append("\n".join(f"- {line}" for line in [*told, *own.remarks]))
    own.remarks.clear()
    return "\n\n".join(text)


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.05 / 10 else f"{p:.4f}"
