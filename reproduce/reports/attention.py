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
from reproduce.reading import own_data
from reproduce.reports import Drawn, Page, figures, figures_heat
from reproduce.reports import page as pages
from reproduce.reports.shelf import Shelf
from reproduce.runs.record import Result
from reproduce.runs.request import Request

DRAWN = 12  # sessions in the sample
LENGTHS = (4, 19)  # fewest and most clicks of a sampled session: shorter ones show no pattern
SHOWN = (2, 4, 8, 16)  # lengths whose mean weights are drawn by position
SLIGHT = 0.1  # ours: a weight within a tenth of an even share counts as even


def draw(request: Request, failed: Mapping[str, str]) -> Drawn:
    """Draw the page; sessions that do not exist become its `error`, and the others are drawn."""
    own = Shelf.at(request.results, request.digests)
    title = (
        "# Figure 6: what NARM attends to\n\n"
        "Which clicks of a session does NARM give more than an even share of its attention, and are they on the item "
        f"that is clicked next? A share within {100 * SLIGHT:.0f} % of an even one counts as even here."
    )
    wrong: list[str] = []
    drawn: dict[str, bytes] = {}
    parts = [_section(request, own, dataset, drawn, wrong) for dataset in pages.viewed_datasets(request, own)]
    text = "\n\n".join([title, *(parts or [pages.no_records(request)])]) + "\n"
    return Drawn(text, drawn, error=UsageError("; ".join(wrong)) if wrong else None)


PAGE = Page(draw)


def _section(request: Request, own: Shelf, dataset: str, drawn: dict[str, bytes], wrong: list[str]) -> str:
    text = [f"## {catalog.dataset(dataset).title}"]
    row = request.rows([Row("NARM", "narm")])[0]
    results = [one for one in own.results(row, dataset) if one.attention is not None and one.attention.weights.any()]
    if not results:
        command = pages.command("table2", request, dataset=dataset, model="narm")
        text.append(f"No record with attention yet: {command} makes one.")
    else:
        kept = [one for one in results if one.split["digest"] == results[0].split["digest"]]
        means = [one.attention.means for one in kept if one.attention is not None]
        if any(means[0]["examples"][1:]):
            text.append(_summary(means))
            text += _heat_map(request, dataset, results[0], drawn, wrong)
            text.append(_means(dataset, means[0], drawn))
        else:
            text.append("No test prefix has more than one click, so there is nothing to attend to but that click.")
        told = [*_saturated(means), *pages.about(kept)]
        if len(kept) > 1:
            told.insert(0, f"The figures are of seed {kept[0].experiment.seed}; the sentence is over all seeds.")
        told.append(f"Drawn by {pages.command('attention', request, dataset=dataset)}.")
        text.append(pages.folded("Details", "\n".join(f"- {line}" for line in told)))
    text += own.remarks
    own.remarks.clear()
    return "\n\n".join(text)


def _heat_map(request: Request, dataset: str, result: Result, drawn: dict[str, bytes], wrong: list[str]) -> list[str]:
    attention = result.attention
    assert attention is not None
    chosen = list(dict.fromkeys(request.options.get("session") or sample(attention)))
    there = [i for i in chosen if 0 <= i < len(attention.lengths)]
    for i in chosen:
        if i not in there:
            wrong.append(f"--session {i}: {dataset} has the test sessions 0 to {len(attention.lengths) - 1}")
    text = []
    if there:
        name = f"attention-{dataset}"
        drawn |= figures_heat.heat_map(name, [figures_heat.Session(str(i), *attention.of_session(i)) for i in there])
        text.append(
            pages.figure(
                name,
                "Weights over the clicks that NARM reads of test sessions, oldest left; the session's last click, "
                "the one to be predicted, is not drawn. Darker: more weight. "
                "An orange frame: this click is on the very item clicked next. " + _strongest(attention, there),
            )
        )
        text += _in_own_ids(request, dataset, result, there)
    return text


def _summary(means: Sequence[Mapping[str, Any]]) -> str:
    """Say how much weight the last click and clicks on the item clicked next hold, over all seeds."""
    last = mean(from_the_end(one["examples"], one["weight"])[0] for one in means)
    told = f"The last click holds {last:.2f} times an even share: it is {_favoured(last)}."
    repeat = means[0]["repeat"]
    if not repeat["examples"]:
        return f"{told} In no test prefix is the item clicked next already there."
    weights, even = [100 * one["repeat"]["weight"] for one in means], 100 * repeat["even"]
    span = f" ({min(weights):.1f} to {max(weights):.1f} over {len(weights)} seeds)" if len(weights) > 1 else ""
    verdict = _favoured(mean(weights) / even)
    return (
        f"{told} In {repeat['examples']:,} test prefixes the item clicked next is already there: clicks on it hold "
        f"{mean(weights):.1f} % of the weight{span}, where even weights would give them {even:.1f} %: "
        + (f"they are {verdict}, for the item or for their place." if verdict != EVEN else "that is next to nothing.")
    )


EVEN = "neither favoured nor neglected"


def _favoured(share: float) -> str:
    """Put a weight, given as a multiple of an even share, into words."""
    return "favoured" if share > 1 + SLIGHT else "neglected" if share < 1 - SLIGHT else EVEN


def _strongest(attention: Attention, sessions: Sequence[int]) -> str:
    """Say how uneven the weights in the rows of the heat map are."""
    weights = [attention.of_session(i)[0].astype(np.float64) for i in sessions]
    most = mean(float(one.max()) * len(one) for one in weights)
    return f"The darkest click of a session holds {most:.1f} times an even share, in the mean over those drawn."


def _saturated(means: Sequence[Mapping[str, Any]]) -> list[str]:
    told = [one["saturated"] for one in means if "saturated" in one]  # older records lack it
    if not told:
        return []
    return [f"Units inside the attention's sigmoid that are saturated (|x| of 2.5 or more): {100 * mean(told):.1f} %."]


def _in_own_ids(request: Request, dataset: str, result: Result, sessions: Sequence[int]) -> list[str]:
    """Return the drawn sessions of a user's own log in the log's item ids; nothing for the suite's data sets."""
    if dataset not in own_data.TAKEN:
        return []
    split = catalog.load_split(dataset, request.data)
    if split.vocabulary is None or split.digest != result.split["digest"]:
        return []
    prefixes, targets = split.test.prefixes()
    ends = np.flatnonzero(np.diff(split.test.prefix_owner(), append=-1))  # the longest prefix of every session
    lines = []
    for i in sessions:
        assert result.attention is not None
        weights, _ = result.attention.of_session(i)
        clicks = prefixes[ends[i]]
        read = clicks[-len(weights) :] if result.fields.get("truncation") == "last" else clicks[: len(weights)]
        told = (f"{_id(split.vocabulary[item])} {weight:.2f}" for item, weight in zip(read, weights, strict=True))
        lines.append([str(i), " → ".join(told), _id(split.vocabulary[targets[ends[i]]])])
    return [pages.table(["session", "clicks, oldest first, with their weights", "clicked next"], lines, names=3)]


def _id(item: object) -> str:
    """Return an item's id for a table cell: at most 40 characters, with | escaped."""
    text = str(item) if len(str(item)) <= 40 else f"{str(item)[:37]}..."
    return text.replace("|", "\\|")


def sample(attention: Attention) -> list[int]:
    """Draw up to DRAWN test sessions with a fixed seed, in ascending order.

    Sessions whose length lies outside LENGTHS are drawn only where there are no others.
    """
    low, high = LENGTHS
    fit = np.flatnonzero((attention.lengths >= low) & (attention.lengths <= high))
    if not len(fit):
        fit = np.arange(len(attention.lengths))
    rng = np.random.default_rng(0)
    return sorted(int(i) for i in rng.choice(fit, min(DRAWN, len(fit)), replace=False))


def _means(dataset: str, means: Mapping[str, Any], drawn: dict[str, bytes]) -> str:
    examples, weight = means["examples"], means["weight"]
    by_distance = from_the_end(examples, weight)
    by_position = [
        figures.Line(f"{n} clicks", range(1, n + 1), weight[n - 1], colour=colour)
        for n, colour in zip(SHOWN, ("#9ecae1", "#6baed6", "#2171b5", "#08306b"), strict=True)
        if examples[n - 1]
    ]
    blue = figures.COLOURS["NARM"]
    panels = [
        figures.Panel("By position", "mean weight", by_position, "position of the click"),
        figures.Panel(
            "By distance from the end",
            "times an even share",
            [figures.Line("", range(len(by_distance)), by_distance, colour=blue)],
            "clicks after this one",
        ),
    ]
    name = f"attention-means-{dataset}"
    drawn |= figures.lines(name, panels)
    return pages.figure(
        name,
        "Mean weights over all test prefixes of up to 19 kept clicks. Left: by position, for some lengths. Right: by "
        "distance from the end, as a multiple of an even share; above 1 is favoured.",
    )


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
