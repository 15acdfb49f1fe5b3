"""Hits, Recall and MRR by the length of the prefix (the paper's Table 5), from stored ranks: no model is run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from reproduce import catalog
from reproduce.evaluation.metrics import RECALL
from reproduce.evaluation.uncertainty import Judged, OneRun, relative_gain
from reproduce.paper import controls, numbers
from reproduce.paper.rows import ROWS
from reproduce.reports import Drawn, Page, figures, measuring
from reproduce.reports import page as pages
from reproduce.reports.measuring import METRICS, Seeds
from reproduce.reports.shelf import Shelf
from reproduce.runs.record import Result
from reproduce.runs.request import Request

LONGEST = 19  # clicks in the paper's longest prefixes
OVER = "over 19"
BINS = {"1-3": (1, 3), "4-17": (4, 17), "18-19": (18, 19), OVER: (20, np.iinfo(np.int64).max)}
STRONG = ("NARM", "Improved GRU-Rec", "GRU-Rec", "Item-KNN", "S-POP")  # rows of the paper that are drawn first
LINES = 6  # per panel: more could not be told apart
APART = LONGEST + 2.0  # where the figure puts all longer prefixes

Rows = Mapping[str, Sequence[Result]]  # label -> its records, a seed each, all of one split


def draw(request: Request, failed: Mapping[str, str]) -> Drawn:
    own = Shelf.of(request)
    title = (
        "# Table 5: short sessions and long ones\n\n"
        "How good is each model after how many clicks, and where does NARM gain on Improved GRU-Rec? "
        "Per cent of the test prefixes; ± is half of a 95 % interval."
    )
    drawn: dict[str, bytes] = {}
    parts = [_section(request, own, one, drawn) for one in pages.viewed_datasets(request, own)]
    return Drawn("\n\n".join([title, *(parts or [pages.no_records(request)])]) + "\n", drawn)


PAGE = Page(draw)


def hits(result: Result) -> dict[int, int]:
    """Count the targets ranked among the first 20, by the number of clicks before them."""
    lengths = result.length[result.ranks() <= RECALL.k]
    return {int(n): int(count) for n, count in zip(*np.unique(lengths, return_counts=True), strict=True)}


def _section(request: Request, own: Shelf, dataset: str, drawn: dict[str, bytes]) -> str:
    head = f"## {catalog.dataset(dataset).title}"
    shown = request.rows([*ROWS, *controls.ROWS, *own.others(dataset)])
    found = {row.label: own.results(row, dataset) for row in shown}
    rows = measuring.of_one_split(found)
    if not rows:
        command = pages.command("table2", request, dataset=dataset)
        return "\n\n".join([head, f"No record yet: {command} makes them.", *own.remarks])
    seeds = Seeds.of(request.results, next(iter(rows.values()))[0])
    binned = {name: _measured(rows, seeds, *ends) for name, ends in BINS.items()}
    strong = [row.label for row in own.others(dataset)]
    text = [head, _summary(binned)]
    dropped = [label for label, results in found.items() if len(results) > len(rows.get(label, ()))]
    if dropped:
        text.append(f"Left out, their records are of another split: {', '.join(dropped)}.")
    text.append(_figure(rows, seeds, binned[OVER], strong, dataset, drawn))
    if "NARM" in rows and "Improved GRU-Rec" in rows:
        text.append(_gains(rows, seeds, dataset))
    counts = {name: int(measuring.of_lengths(*ends)(next(iter(rows.values()))[0]).sum()) for name, ends in BINS.items()}
    text.append(pages.folded("Recall@20 and MRR@20 by length, every model", *_binned(rows, binned, counts)))
    text.append(pages.folded("Hits by length, every model", _hit_table(rows, dataset)))
    told = [_noise(binned), *pages.about([one for results in rows.values() for one in results])]
    told.append(f"Drawn by {pages.command('lengths', request, dataset=dataset)}.")
    text.append(pages.folded("Details", "\n".join(f"- {line}" for line in [*told, *own.remarks])))
    own.remarks.clear()
    return "\n\n".join(text)


def _measured(rows: Rows, seeds: Seeds, low: int, high: int) -> dict[str, dict[str, Judged]]:
    """Measure each metric of each row over the prefixes of low to high clicks; empty where there is no such prefix."""
    where = measuring.of_lengths(low, high)
    if not where(next(iter(rows.values()))[0]).any():
        return {}
    found = {metric: measuring.measured(rows, metric, seeds, where) for metric in METRICS}
    return {metric: {label: measuring.alone(one) for label, one in all.items()} for metric, all in found.items()}


Binned = Mapping[str, Mapping[str, Mapping[str, Judged]]]


def _with_half(one: Judged, places: int) -> str:
    half = min(100.0, measuring.half_width(one))  # of two or three sessions an interval can exceed 100 %
    return f"{one.value:.{places}f}" + ("" if math.isnan(half) else f" ±{half:.1f}")


def _summary(binned: Binned) -> str:
    """Give the Recall@20 of NARM from short to long prefixes, and the row that beats it on the longest, if any.

    Without NARM, the row that is the highest on the shortest prefixes takes its place.
    """
    recalls = {name: found["recall"] for name, found in binned.items() if found}
    first, last = (list(recalls.values())[i] for i in (0, -1))
    label = "NARM" if "NARM" in first else max(first, key=lambda one: first[one].value)
    told = [f"{_with_half(found[label], 1)} ({name} clicks)" for name, found in recalls.items()]
    sentence = f"Recall@20 of {label}: {', '.join(told)}."
    highest = max(last, key=lambda one: last[one].value)
    if last[highest].value > last[label].value:
        sentence += f" The highest of the longest is {highest}: {_with_half(last[highest], 1)}."
    return sentence


def _drawn_lines(rows: Rows, overall: Mapping[str, float], own: Sequence[str]) -> list[str]:
    """Choose at most LINES rows: NARM, a user's own models, the others in STRONG, then the highest of the rest."""
    first = [label for label in [*STRONG[:1], *own, *STRONG[1:]] if label in rows]
    rest = sorted((label for label in rows if label not in first), key=lambda label: -overall[label])
    return [*first, *rest][:LINES]


def _figure(
    rows: Rows,
    seeds: Seeds,
    longer: dict[str, dict[str, Judged]],
    own: Sequence[str],
    dataset: str,
    drawn: dict[str, bytes],
) -> str:
    overall = {label: float(np.mean([one.recall() for one in results])) for label, results in rows.items()}
    chosen = _drawn_lines(rows, overall, own)
    faint = [label for label in chosen if len(rows) > LINES and label not in (*STRONG, *own)]
    some = {label: rows[label] for label in chosen}
    points = {float(n): found for n in range(1, LONGEST + 1) if (found := _measured(some, seeds, n, n))}
    points |= {APART: longer} if longer else {}
    ticks = {float(n): str(n) for n in range(1, LONGEST + 1, 2)} | ({APART: f">{LONGEST}"} if longer else {})
    panels = []
    for metric, title in METRICS.items():
        content = [
            figures.Line(
                label,
                list(points),
                [found[metric][label].value for found in points.values()],
                [_band(found[metric][label]) for found in points.values()],
                figures.colour(label),
                figures.marker(label),
                faint=label in faint,
                apart=bool(longer) and len(points) > 1,
            )
            for label in chosen
        ]
        panels.append(figures.Panel(title, "per cent", content, "clicks in the prefix", ticks))
    name = f"lengths-{dataset}"
    drawn |= figures.lines(name, panels)
    caption = "Recall@20 and MRR@20 by the number of clicks before the target. Bands are 95 % intervals"
    caption += f"; the last point takes all prefixes of more than {LONGEST} clicks together." if longer else "."
    if faint:
        caption += f" Grey: the highest of the others, {' and '.join(faint)}."
    if len(rows) > len(chosen):
        caption += " The models that are not drawn are in the tables."
    return pages.figure(name, caption)


def _band(one: Judged) -> tuple[float, float]:
    half = np.nan_to_num(measuring.half_width(one))
    return max(0.0, one.value - half), min(100.0, one.value + half)


def _gains(rows: Rows, seeds: Seeds, dataset: str) -> str:
    """Return a table for the paper's claim that NARM's gain in hits, in per cent, is largest at 4 to 17 clicks."""
    with_paper = dataset in numbers.PAPER_COLUMN
    lines = []
    for name, (low, high) in BINS.items():
        where = measuring.of_lengths(low, high)
        here = pages.DASH
        if where(rows["NARM"][0]).any():
            pair = {label: rows[label] for label in ("NARM", "Improved GRU-Rec")}
            gain = relative_gain(*measuring.measured(pair, "recall", seeds, where).values())
            half = measuring.half_width(gain)
            here = pages.DASH if math.isnan(gain.value) else f"{gain.value:+.1f}"
            here += "" if math.isnan(half) else f" ±{half:.1f}"
        theirs = [sum(pair[i] for n, pair in numbers.TABLE5.items() if low <= n <= high) for i in (0, 1)]
        printed = f"{100 * (theirs[1] / theirs[0] - 1):+.1f}" if theirs[0] else pages.DASH
        lines.append([name, here, *([printed] if with_paper else [])])
    head = ["clicks", "here", *(["the paper, on DIGINETICA"] if with_paper else [])]
    return "Gain in hits of NARM over Improved GRU-Rec, in per cent:\n\n" + pages.table(head, lines)


def _binned(rows: Rows, binned: Binned, counts: Mapping[str, int]) -> list[str]:
    head = [f"{name} ({n:,})" for name, n in counts.items() if n]
    text = ["In brackets: the number of test prefixes of that length."]
    for metric, title in METRICS.items():
        lines = [
            [label, *(_with_half(found[metric][label], 2) for found in binned.values() if found)] for label in rows
        ]
        text.append(pages.table([title, *head], lines))
    return text


def _noise(binned: Binned) -> str:
    judged = [one for found in binned.values() for all in found.values() for one in all.values()]
    if any(isinstance(one, OneRun) for one in judged):
        return (
            "Intervals: over test sessions and seeds, except where the noise between seeds of a model is not known; "
            "there over test sessions only."
        )
    return "Intervals: over test sessions and seeds."


def _hit_table(rows: Rows, dataset: str) -> str:
    """Return the table as the paper prints it, a line per length: its two models beside its counts, then all others."""
    results = [one for some in rows.values() for one in some]
    published = dict(zip(("Improved GRU-Rec", "NARM"), zip(*numbers.TABLE5.values(), strict=True), strict=True))
    if numbers.PAPER_COLUMN.get(dataset) != "DIGINETICA" or not pages.papers_task(dataset, results):
        published = {}
    columns = [*published, *(label for label in rows if label not in published)]
    examples = np.bincount(results[0].length, minlength=LONGEST + 2)
    spans = {str(n): (n, n) for n in range(1, LONGEST + 1)} | {OVER: BINS[OVER], "all": (1, BINS[OVER][1])}
    counts = {label: [hits(one) for one in some] for label, some in rows.items()}
    head = ["clicks", "prefixes"]
    for label in columns:
        head += [label, "the paper"] if label in published else [label]
    lines = []
    for name, (low, high) in spans.items():
        line = [name, f"{int(examples[low : high + 1 if high <= LONGEST else None].sum()):,}"]
        for label in columns:
            line.append(f"{_mean_hits(counts[label], low, high):,.0f}" if label in counts else pages.DASH)
            if label in published:
                theirs = sum(published[label][low - 1 : high])
                line.append(f"{theirs:,}" if theirs else pages.DASH)
        lines.append(line)
    said = "Targets among the first 20" + (", a mean over seeds" if len(results) > len(rows) else "") + ":"
    return said + "\n\n" + pages.table(head, lines)


def _mean_hits(counts: Sequence[Mapping[int, int]], low: int, high: int) -> float:
    return sum(count for one in counts for n, count in one.items() if low <= n <= high) / len(counts)
