"""What NARM attends to (the paper's Figure 6), from the weights stored with its run: no model is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reproduce import catalog
from reproduce.errors import UsageError
from reproduce.fitting.attention import Attention
from reproduce.paper.rows import Row
from reproduce.reading import own_data
from reproduce.reports import figures
from reproduce.reports import page as pages
from reproduce.reports.description import AboutPage, Drawn, Option, Page
from reproduce.reports.shelf import Shelf
from reproduce.runs.record import Result
from reproduce.runs.request import Request

ABOUT = AboutPage(
    "shows what NARM attends to (the paper's Figure 6)",
    (Option("--session", "test sessions, from 0 (default: a sample)", metavar="N", type=int, several=True),),
    heeds=("dataset", "set"),
)

DRAWN = 12  # sessions of the sample
LENGTHS = (4, 19)  # clicks of a session that is drawn: shorter ones show no pattern
SHOWN = (2, 4, 8, 16)  # lengths whose mean weights are drawn by position


def draw(request: Request, failed: Mapping[str, str]) -> Drawn:
    """Sessions that are not there are its error; the others are drawn."""
    own = Shelf.at(request.results)
    title = "# Figure 6: what NARM attends to"
    wrong: list[str] = []
    drawn: dict[str, bytes] = {}
    parts = [_section(request, own, dataset, drawn, wrong) for dataset in pages.viewed_datasets(request, own)]
    text = "\n\n".join([title, *(parts or [pages.no_records(request)])]) + "\n"
    return Drawn(text, drawn, error=UsageError("; ".join(wrong)) if wrong else None)


PAGE = Page(ABOUT, draw)


def _section(request: Request, own: Shelf, dataset: str, drawn: dict[str, bytes], wrong: list[str]) -> str:
    text = [f"## {catalog.dataset(dataset).title}"]
    row = request.rows([Row("NARM", "narm")])[0]
    results = [one for one in own.results(row, dataset) if one.attention is not None and one.attention.weights.any()]
    if not results:
        command = pages.command("table2", request, dataset=dataset, model="narm")
        text.append(f"No record with attention yet: {command} makes one.")
    else:
        text += _heat_map(request, dataset, results[0], drawn, wrong)
        told = [*pages.about(results[:1]), f"Drawn by {pages.command('attention', request, dataset=dataset)}."]
        text.append("\n".join(f"- {line}" for line in told))
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
        drawn |= figures.heat_map(name, [figures.Session(str(i), *attention.of_session(i)) for i in there])
        text.append(
            pages.figure(
                name,
                "Weights over the clicks that NARM reads of test sessions, oldest left; the session's last click, "
                "the one to be predicted, is not drawn. Darker: more weight. "
                "An orange frame: this click is on the very item clicked next.",
            )
        )
        text += _in_own_ids(request, dataset, result, there)
    return [*text, *_means(dataset, attention, drawn)]


def _in_own_ids(request: Request, dataset: str, result: Result, sessions: Sequence[int]) -> list[str]:
    """The drawn sessions of one's own log, click by click as the log calls them; nothing for the suite's data sets."""
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
    """An item's id in a cell of a table."""
    text = str(item) if len(str(item)) <= 40 else f"{str(item)[:37]}..."
    return text.replace("|", "\\|")


def sample(attention: Attention) -> list[int]:
    """Test sessions drawn by a fixed seed, in their order, among those of some length."""
    low, high = LENGTHS
    fit = np.flatnonzero((attention.lengths >= low) & (attention.lengths <= high))
    if not len(fit):
        fit = np.arange(len(attention.lengths))
    rng = np.random.default_rng(0)
    return sorted(int(i) for i in rng.choice(fit, min(DRAWN, len(fit)), replace=False))


def _means(dataset: str, attention: Attention, drawn: dict[str, bytes]) -> list[str]:
    examples, weight = attention.means["examples"], attention.means["weight"]
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
            "By distance from the end, times the length",
            "mean weight × clicks",
            [figures.Line("", range(len(by_distance)), by_distance, colour=blue)],
            "clicks after this one",
        ),
    ]
    name = f"attention-means-{dataset}"
    drawn |= figures.lines(name, panels)
    caption = (
        "Mean weights over all test prefixes of up to 19 kept clicks. Left: by position, for some lengths. Right: by "
        "distance from the end, each weight times the number of clicks, so that 1 is an even share and above 1 is "
        "favoured."
    )
    repeat = attention.means["repeat"]
    told = (
        f"In {repeat['examples']:,} test prefixes the item clicked next is already there: clicks on it hold "
        f"{100 * repeat['weight']:.1f} % of the weight; even weights would give them {100 * repeat['even']:.1f} %."
    )
    if "saturated" in attention.means:  # records of before this was counted lack it
        told += (
            f" Of the units inside the attention's sigmoid {100 * attention.means['saturated']:.1f} % are saturated "
            "(|x| of 2.5 or more)."
        )
    return [pages.figure(name, caption), told]


def from_the_end(examples: Sequence[int], weight: Sequence[Sequence[float]]) -> list[float]:
    """Mean over prefixes of weight times clicks, by the number of clicks that follow; of prefixes of two or more."""
    shares = []
    for distance in range(len(examples)):
        lengths = [n for n in range(max(2, distance + 1), len(examples) + 1) if examples[n - 1]]
        total = sum(examples[n - 1] for n in lengths)
        if total:
            shares.append(sum(examples[n - 1] * n * weight[n - 1][n - 1 - distance] for n in lengths) / total)
    return shares
