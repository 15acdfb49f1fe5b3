"""Hits, Recall and MRR by the length of the prefix (the paper's Table 5), from stored ranks: no model is run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reproduce import catalog
from reproduce.evaluation import bootstrap, ranking
from reproduce.evaluation.bootstrap import Sample
from reproduce.paper import controls, numbers
from reproduce.paper.rows import ROWS
from reproduce.reports import figures
from reproduce.reports import page as pages
from reproduce.reports.description import AboutPage, Drawn, Page
from reproduce.reports.shelf import Shelf
from reproduce.runs.record import Result
from reproduce.runs.request import Request

ABOUT = AboutPage(
    "shows hits, Recall and MRR by length of the prefix (the paper's Table 5)", heeds=("dataset", "model", "set")
)

LONGEST = 19
BINS = {"1-3": (1, 3), "4-17": (4, 17), "18-19": (18, 19), "over 19": (20, np.iinfo(np.int64).max)}


def draw(request: Request, failed: Mapping[str, str]) -> Drawn:
    own = Shelf.at(request.results)
    title = (
        "# Table 5: by the length of the session\n\n"
        "The paper counts hits, targets among the first 20, which depend on how many prefixes of a length there are. "
        "Beside them stand Recall@20 and MRR@20 of each length, in per cent, with 95 % intervals by drawing test "
        "sessions."
    )
    drawn: dict[str, bytes] = {}
    parts = [_section(request, own, one, drawn) for one in pages.viewed_datasets(request, own)]
    return Drawn("\n\n".join([title, *(parts or [pages.no_records(request)])]) + "\n", drawn)


PAGE = Page(ABOUT, draw)


def hits(result: Result) -> dict[int, int]:
    """Targets among the first 20, by the number of clicks before them."""
    lengths = result.length[ranking.hit(result.ranks())]
    return {int(n): int(count) for n, count in zip(*np.unique(lengths, return_counts=True), strict=True)}


def _section(request: Request, own: Shelf, dataset: str, drawn: dict[str, bytes]) -> str:
    head = f"## {catalog.dataset(dataset).title}"
    shown = request.rows([*ROWS, *controls.ROWS, *own.others(dataset)])
    found = [(row.label, own.results(row, dataset)) for row in shown]
    first = {label: results[0] for label, results in found if results}  # one seed: a hit is a count
    if not first:
        command = pages.command("table2", request, dataset=dataset)
        return "\n\n".join([head, f"No record yet: {command} makes them.", *own.remarks])
    text = [head]
    by_split: dict[str, list[str]] = {}
    for label, result in first.items():
        by_split.setdefault(result.split["digest"], []).append(label)
    kept = max(by_split.values(), key=len)
    dropped = [label for label in first if label not in kept]
    if dropped:
        text.append(f"Left out, their records are of another split: {', '.join(dropped)}.")
    first = {label: first[label] for label in kept}
    text += [_hit_table(first, dataset), *_binned(first)]
    text.append(_figure(first, dataset, drawn))
    if "NARM" in first and "Improved GRU-Rec" in first:
        text.append(_claim(first["NARM"], first["Improved GRU-Rec"]))
    told = pages.about(list(first.values()))
    told.append(f"Drawn by {pages.command('lengths', request, dataset=dataset)}.")
    text.append("\n".join(f"- {line}" for line in [*told, *own.remarks]))
    own.remarks.clear()
    return "\n\n".join(text)


def _hit_table(first: Mapping[str, Result], dataset: str) -> str:
    """As the paper prints it: a line a length, its two models beside the published counts, then all others."""
    published = dict(zip(("Improved GRU-Rec", "NARM"), zip(*numbers.TABLE5.values(), strict=True), strict=True))
    if numbers.PAPER_COLUMN.get(dataset) != "DIGINETICA":
        published = {}
    columns = [label for label in first if label not in published]
    counts = {label: hits(result) for label, result in first.items()}
    examples = np.bincount(next(iter(first.values())).length)
    head = ["clicks", "examples"]
    for label in published:
        head += [label, "paper"]
    lines = []
    for n in range(1, LONGEST + 1):
        line = [str(n), f"{examples[n] if n < len(examples) else 0:,}"]
        for label, theirs in published.items():
            line += [f"{counts[label].get(n, 0):,}" if label in counts else pages.DASH, f"{theirs[n - 1]:,}"]
        lines.append(line + [f"{counts[label].get(n, 0):,}" for label in columns])
    over: list[list[int]] = [[n for n in counts[label] if n > LONGEST] for label in counts]
    line = [f"over {LONGEST}", f"{int(examples[LONGEST + 1 :].sum()):,}"]
    longer = {label: sum(counts[label][n] for n in ns) for label, ns in zip(counts, over, strict=True)}
    for label in published:
        line += [f"{longer[label]:,}" if label in longer else pages.DASH, pages.DASH]
    lines.append(line + [f"{longer[label]:,}" for label in columns])
    line = ["all", f"{int(examples.sum()):,}"]
    for label, theirs in published.items():
        line += [f"{sum(counts[label].values()):,}" if label in counts else pages.DASH, f"{sum(theirs):,}"]
    lines.append(line + [f"{sum(counts[label].values()):,}" for label in columns])
    return "Hits by the number of clicks in the prefix:\n\n" + pages.table([*head, *columns], lines)


def _by(first: Mapping[str, Result], low: int, high: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Prefixes of low to high clicks: how many, each model's Recall and MRR (models, 2), their intervals (.., 2)."""
    one = next(iter(first.values()))
    inside = (one.length >= low) & (one.length <= high)
    if not inside.any():
        nothing = np.full((len(first), 2), np.nan)
        return 0, nothing, np.stack([nothing, nothing], -1)
    values = np.concatenate([per_prefix(result)[inside] for result in first.values()], 1)  # (n, models * 2)
    _, owner = np.unique(one.session[inside], return_inverse=True)  # only sessions with such a prefix are drawn
    totals = np.stack([np.bincount(owner, column) for column in values.T], 1)  # (sessions, models * 2)
    drawn = bootstrap.resampled_means(totals, np.bincount(owner)[:, None].astype(float))
    means = values.mean(0)
    effects = [
        bootstrap.effect((1, Sample(means[i : i + 1], drawn[:, i : i + 1], len(totals)))) for i in range(len(means))
    ]
    spans = np.clip([(effect.low, effect.high) for effect in effects], 0.0, 100.0)  # of few sessions they are wide
    return int(inside.sum()), means.reshape(-1, 2), spans.reshape(-1, 2, 2)


def per_prefix(result: Result) -> np.ndarray:
    """What Recall@20 and MRR@20 are means of, in per cent: (n, 2)."""
    ranks = result.ranks()
    return 100.0 * np.stack([metric(ranks) for metric in ranking.METRICS.values()], 1)


def _binned(first: Mapping[str, Result]) -> list[str]:
    parts = {name: _by(first, low, high) for name, (low, high) in BINS.items()}
    text = []
    for m, metric in enumerate(("Recall@20", "MRR@20")):
        lines = []
        for i, label in enumerate(first):
            line = [label]
            for n, means, spans in parts.values():
                low, high = spans[i, m]
                line.append(f"{means[i, m]:.2f} ({low:.2f}-{high:.2f})" if n else pages.DASH)
            lines.append(line)
        head = [metric, *(f"{name} ({n:,})" for name, (n, _, _) in parts.items())]
        text.append(f"{metric} by length, with the number of examples:\n\n" + pages.table(head, lines))
    return text


def _figure(first: Mapping[str, Result], dataset: str, drawn: dict[str, bytes]) -> str:
    points = {n: found for n in range(1, LONGEST + 1) if (found := _by(first, n, n))[0]}
    panels = []
    for m, metric in enumerate(("Recall@20", "MRR@20")):
        content = [
            figures.Line(
                label,
                list(points),
                [float(means[i, m]) for _, means, _ in points.values()],
                [(float(spans[i, m, 0]), float(spans[i, m, 1])) for _, _, spans in points.values()],
                figures.colour(label),
                figures.marker(label),
            )
            for i, label in enumerate(first)
        ]
        panels.append(figures.Panel(metric, "per cent", content, "clicks in the prefix"))
    name = f"lengths-{dataset}"
    drawn |= figures.lines(name, panels)
    return pages.figure(
        name,
        "Recall@20 and MRR@20 by the number of clicks a model has seen. Compare the heights of the lines at one "
        "length; where bands (95 %) overlap widely the few long sessions decide nothing.",
    )


def _claim(narm: Result, improved: Result) -> str:
    """The paper's claim on lengths: the gain in hits over Improved GRU-Rec, largest at 4 to 17 clicks."""
    ours, theirs = hits(narm), hits(improved)
    lines = []
    for name, (low, high) in BINS.items():
        sums = [_total(counts, low, high) for counts in (ours, theirs)]
        printed = [_total({n: pair[i] for n, pair in numbers.TABLE5.items()}, low, high) for i in (1, 0)]
        lines.append([name, *(_gain(*pair) for pair in (sums, printed))])
    return "Gain in hits of NARM over Improved GRU-Rec, in per cent:\n\n" + pages.table(
        ["clicks", "here", "paper (DIGINETICA)"], lines
    )


def _total(counts: Mapping[int, int], low: int, high: int) -> int:
    return sum(count for n, count in counts.items() if low <= n <= high)


def _gain(*pair: int) -> str:
    ours, theirs = pair
    return f"{100 * (ours / theirs - 1):+.1f}" if theirs else pages.DASH
