"""What NARM attends to (the paper's Figure 6), from the weights stored with its run: no model is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

import numpy as np

from reproduce import catalog
from reproduce.errors import UsageError
from reproduce.fitting.attention import Attention
from reproduce.paper.rows import NARM
from reproduce.reports import figures
from reproduce.reports.document import Block, Bullets, Document, Figure, Section, Table
from reproduce.reports.study import Page, Study, title_of

CLICKS = 8  # that NARM reads of a sampled session: of one length, so that no cell of the map is empty
DRAWN = 10  # sessions in the sample
DISTANCES = 10  # clicks from the end that are drawn
SLIGHT = 0.1  # ours: a weight within a tenth of an even share counts as even
EVEN = "neither favoured nor neglected"


def draw(study: Study) -> Document:
    attended = [_Attended(study, name) for name in study.viewed]
    shown = [data for data in attended if not data.lacking]
    parts: list[Block] = []
    if shown:
        maps = {data.title: [data.attention.of_session(i) for i in data.sessions] for data in shown}
        chosen = study.request.options.get("session")
        files = figures.heat_maps(
            "attention", "test sessions" if chosen else f"{DRAWN} test sessions of {CLICKS} clicks", maps
        )
        caption = (
            "Weights over the clicks that NARM reads of a test session, in multiples of an even share; first seed."
        )
        parts.append(Figure("attention", "Attention weights of test sessions", caption, files))
        files = figures.from_last("attention-means", {data.title: data.by_distance() for data in shown})
        caption = "Mean weight over all test prefixes of two clicks or more, by distance from the end; over all seeds."
        parts.append(Figure("attention-means", "Mean attention by distance from the last click", caption, files))
    return Document(
        "Figure 6: what NARM attends to",
        [f"**{data.title}.** {summary(data.means)}" for data in shown][:4],
        f"A weight within {100 * SLIGHT:.0f} % of an even share counts as even.",
        [
            *parts,
            *(section for data in shown for section in data.in_own_ids()),
            Bullets([f"{data.title}: {note}" for data in attended if (note := data.lacking or data.saturated())]),
        ],
    )


PAGE = Page(draw)


class _Attended:
    """The attention of NARM's records on one data set. Raises UsageError for a --session that it does not have."""

    def __init__(self, study: Study, dataset: str) -> None:
        self.study, self.dataset, self.title = study, dataset, title_of(dataset)
        row = next((row for row in study.request.rows([NARM]) if row.model == "narm"), NARM)
        runs = study.records.results(row, dataset)
        self.kept = [(run, stored) for run in runs if (stored := run.attention) is not None and stored.weights.any()]
        self.means = [stored.means for _, stored in self.kept]
        self.lacking = ""  # why there is nothing to draw
        if not self.kept:
            self.lacking = (
                f"no record with attention yet; {study.command('table2', dataset, models=['narm'])} makes one."
            )
        elif not any(self.means[0]["examples"][1:]):
            self.lacking = "no test prefix has more than one click, so there is nothing to choose from."
        if self.lacking:
            return
        _, self.attention = self.kept[0]
        last, chosen = len(self.attention.lengths) - 1, study.request.options.get("session")
        self.sessions = list(dict.fromkeys(chosen or sample(self.attention)))
        for i in self.sessions:
            if not 0 <= i <= last:
                raise UsageError(f"--session {i}: {dataset} has the test sessions 0 to {last}")

    def by_distance(self) -> list[float]:
        """Return the mean weight over seeds by the number of clicks that follow, as a multiple of an even share."""
        values = [from_the_end(seed["examples"], seed["weight"]) for seed in self.means]
        return [mean(column) for column in zip(*values, strict=True)][:DISTANCES]

    def saturated(self) -> str:
        shares = [seed["saturated"] for seed in self.means if "saturated" in seed]  # older records lack it
        text = "of the units inside the attention's sigmoid are saturated (|x| ≥ 2.5)."
        return f"{100 * mean(shares):.1f} % {text}" if shares else ""

    def in_own_ids(self) -> list[Section]:
        """Return the drawn sessions of a user's own log in the log's item ids; nothing for the suite's data sets."""
        if self.dataset not in catalog.current().data:
            return []
        split, (result, _) = catalog.load_split(self.dataset, self.study.request.data), self.kept[0]
        if split.vocabulary is None or split.digest != result.split["digest"]:
            return []
        prefixes, targets = split.test.prefixes()
        ends = np.flatnonzero(np.diff(split.test.prefix_owner(), append=-1))  # the longest prefix of every session
        lines = []
        for i in self.sessions:
            weights, _ = self.attention.of_session(i)
            clicks = prefixes[ends[i]]
            read = clicks[-len(weights) :] if result.fields.get("truncation") == "last" else clicks[: len(weights)]
            words = [f"{_id(split.vocabulary[item])} {weight:.2f}" for item, weight in zip(read, weights, strict=True)]
            target = _id(split.vocabulary[targets[ends[i]]])
            line = {"session": str(i), "clicks, oldest first, with their weights": " → ".join(words)}
            lines.append({**line, "clicked next": target})
        return [Section(self.title, [Table(lines, "The sessions drawn", labels=3)], self.dataset)]


def summary(means: Sequence[Mapping[str, Any]]) -> str:
    """Say how much weight the last click and clicks on the item clicked next hold, over all seeds."""
    last = mean(from_the_end(seed["examples"], seed["weight"])[0] for seed in means)
    words = f"The last click has {last:.2f} times an even share: it is {_favoured(last)}."
    repeat = means[0]["repeat"]
    if not repeat["examples"]:
        return f"{words} In no test prefix is the item clicked next already there."
    weights, even = [100 * seed["repeat"]["weight"] for seed in means], 100 * repeat["even"]
    span = f" ({min(weights):.1f} to {max(weights):.1f} over {len(weights)} seeds)" if len(weights) > 1 else ""
    share = mean(weights) / even
    return (
        f"{words} Where the item clicked next is already there ({repeat['examples']:,} prefixes), clicks on it have "
        f"{mean(weights):.1f} %{span} of the weight; uniform weights would give {even:.1f} %: {_favoured(share)}."
    )


def _favoured(share: float) -> str:
    """Put a weight, given as a multiple of an even share, into words."""
    return "favoured" if share > 1 + SLIGHT else "neglected" if share < 1 - SLIGHT else EVEN


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
        commonest = np.bincount(longer).argmax() if len(longer) else 1
        fit = np.flatnonzero(attention.lengths == commonest)
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
