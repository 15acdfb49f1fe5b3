"""What NARM attends to (the paper's Figure 6), from the weights stored with its run: no model is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

import numpy as np

from reproduce import catalog
from reproduce.errors import UsageError
from reproduce.fitting.attention import Attention
from reproduce.paper.rows import Row
from reproduce.reports import Page, figures
from reproduce.reports import page as pages
from reproduce.reports.document import Block, Bullets, Document, Figure, Section, Table
from reproduce.reports.records import Records
from reproduce.runs.record import Result
from reproduce.runs.request import Request

CLICKS = 8  # that NARM reads of a sampled session: of one length, so that no cell of the map is empty
DRAWN = 10  # sessions in the sample
DISTANCES = 10  # clicks from the end that are drawn
SLIGHT = 0.1  # ours: a weight within a tenth of an even share counts as even
EVEN = "neither favoured nor neglected"


def draw(request: Request, failed: Mapping[str, str]) -> Document:
    """Draw the page; sessions that do not exist become its `error`, and the others are drawn."""
    records = Records.of_request(request)
    datasets = pages.viewed_datasets(request, records)
    answer, notes, wrong = [], [], []
    maps: dict[str, list[figures.Attended]] = {}
    means: dict[str, list[float]] = {}
    tables: list[Block] = []
    for dataset in datasets:
        title = pages.title_of(dataset)
        row = request.rows([Row("NARM", "narm")])[0]
        runs = [(run, run.attention) for run in records.results(row, dataset)]
        kept = [(run, one) for run, one in runs if one is not None and one.weights.any()]
        notes += records.remarks(dataset)
        if not kept:
            command = pages.command("table2", request, dataset=dataset, model="narm")
            notes.append(f"{title}: no record with attention yet; {command} makes one.")
            continue
        first, attention = kept[0]
        over_seeds = [one.means for run, one in kept if run.split["digest"] == first.split["digest"]]
        if not any(over_seeds[0]["examples"][1:]):
            notes.append(f"{title}: no test prefix has more than one click, so there is nothing to choose from.")
            continue
        answer.append(f"**{title}.** {summary(over_seeds)}")
        notes += _saturated(title, over_seeds)
        chosen = list(dict.fromkeys(request.options.get("session") or sample(attention)))
        there = [i for i in chosen if 0 <= i < len(attention.lengths)]
        sessions = len(attention.lengths)
        wrong += [
            f"--session {i}: {dataset} has the test sessions 0 to {sessions - 1}" for i in chosen if i not in there
        ]
        if there:
            maps[title] = [figures.Attended(*attention.of_session(i)) for i in there]
            tables += _in_own_ids(request, dataset, first, there)
        values = [from_the_end(one["examples"], one["weight"]) for one in over_seeds]
        means[title] = [mean(column) for column in zip(*values, strict=True)][:DISTANCES]
    if not datasets:
        notes.append(pages.no_records(request))
    return Document(
        "Figure 6: what NARM attends to",
        answer[:4],
        f"A weight within {100 * SLIGHT:.0f} % of an even share counts as even.",
        [*_figures(maps, means, bool(request.options.get("session"))), *tables, *([Bullets(notes)] if notes else [])],
        pages.foot("attention", request),
        pages.data(records),
        error=UsageError("; ".join(wrong)) if wrong else None,
    )


PAGE = Page(draw)


def _figures(
    maps: Mapping[str, Sequence[figures.Attended]], means: Mapping[str, list[float]], chosen: bool
) -> list[Block]:
    parts: list[Block] = []
    if maps:
        label = "test sessions" if chosen else f"{DRAWN} test sessions of {CLICKS} clicks"
        caption = (
            "Weights over the clicks that NARM reads of a test session, in multiples of an even share; first seed."
        )
        alt = "Attention weights of test sessions"
        parts.append(Figure("attention", alt, caption, figures.heat_maps("attention", label, maps)))
    if means:
        caption = "Mean weight over all test prefixes of two clicks or more, by distance from the end; over all seeds."
        files = figures.from_last("attention-means", means)
        parts.append(Figure("attention-means", "Mean attention by distance from the last click", caption, files))
    return parts


def summary(means: Sequence[Mapping[str, Any]]) -> str:
    """Say how much weight the last click and clicks on the item clicked next hold, over all seeds."""
    last = mean(from_the_end(one["examples"], one["weight"])[0] for one in means)
    words = f"The last click has {last:.2f} times an even share: it is {_favoured(last)}."
    repeat = means[0]["repeat"]
    if not repeat["examples"]:
        return f"{words} In no test prefix is the item clicked next already there."
    weights, even = [100 * one["repeat"]["weight"] for one in means], 100 * repeat["even"]
    span = f" ({min(weights):.1f} to {max(weights):.1f} over {len(weights)} seeds)" if len(weights) > 1 else ""
    share = mean(weights) / even
    verdict = "next to nothing" if _favoured(share) == EVEN else _favoured(share)
    return (
        f"{words} Where the item clicked next is already there ({repeat['examples']:,} prefixes), clicks on it have "
        f"{mean(weights):.1f} %{span} of the weight; even weights would give {even:.1f} %: {verdict}."
    )


def _favoured(share: float) -> str:
    """Put a weight, given as a multiple of an even share, into words."""
    return "favoured" if share > 1 + SLIGHT else "neglected" if share < 1 - SLIGHT else EVEN


def _saturated(title: str, means: Sequence[Mapping[str, Any]]) -> list[str]:
    shares = [one["saturated"] for one in means if "saturated" in one]  # older records lack it
    if not shares:
        return []
    return [
        f"{title}: {100 * mean(shares):.1f} % of the units inside the attention's sigmoid are saturated (|x| ≥ 2.5)."
    ]


def _in_own_ids(request: Request, dataset: str, result: Result, sessions: Sequence[int]) -> list[Block]:
    """Return the drawn sessions of a user's own log in the log's item ids; nothing for the suite's data sets."""
    if dataset not in catalog.current().data:
        return []
    split = catalog.load_split(dataset, request.data)
    if split.vocabulary is None or split.digest != result.split["digest"]:
        return []
    prefixes, targets = split.test.prefixes()
    ends = np.flatnonzero(np.diff(split.test.prefix_owner(), append=-1))  # the longest prefix of every session
    rows = []
    for i in sessions:
        assert result.attention is not None
        weights, _ = result.attention.of_session(i)
        clicks = prefixes[ends[i]]
        read = clicks[-len(weights) :] if result.fields.get("truncation") == "last" else clicks[: len(weights)]
        words = [f"{_id(split.vocabulary[item])} {weight:.2f}" for item, weight in zip(read, weights, strict=True)]
        rows.append([str(i), " → ".join(words), _id(split.vocabulary[targets[ends[i]]])])
    head = ["session", "clicks, oldest first, with their weights", "clicked next"]
    return [Section(pages.title_of(dataset), [Table(head, rows, "The sessions drawn", labels=3)], dataset)]


def _id(item: object) -> str:
    """Return an item's id for a table cell: at most 40 characters."""
    text = str(item)
    return text if len(text) <= 40 else f"{text[:37]}..."


def sample(attention: Attention) -> list[int]:
    """Draw up to DRAWN test sessions with CLICKS clicks, with a fixed seed, in ascending order.

    If there are none of that length, the sessions of the commonest length of two or more are used.
    """
    fit = np.flatnonzero(attention.lengths == CLICKS)
    if not len(fit):
        longer = attention.lengths[attention.lengths > 1]
        fit = (
            np.flatnonzero(attention.lengths == np.bincount(longer).argmax())
            if len(longer)
            else np.arange(len(attention.lengths))
        )
    rng = np.random.default_rng(0)
    return sorted(int(i) for i in rng.choice(fit, min(DRAWN, len(fit)), replace=False))


def from_the_end(examples: Sequence[int], weight: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean weight, as a multiple of an even share, by the number of clicks that follow.

    The multiple is the weight times the number of clicks; the mean is over prefixes of two clicks or more.

    Args:
        examples: how many prefixes have 1, 2, ... kept clicks.
        weight: for each of these lengths, the mean weight at each position.
    """
    shares = []
    for distance in range(len(examples)):
        lengths = [n for n in range(max(2, distance + 1), len(examples) + 1) if examples[n - 1]]
        total = sum(examples[n - 1] for n in lengths)
        if total:
            shares.append(sum(examples[n - 1] * n * weight[n - 1][n - 1 - distance] for n in lengths) / total)
    return shares
