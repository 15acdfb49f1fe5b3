"""The figure of the main table: the paper's number, what public code predicts and ours, for every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reproduce.evaluation.uncertainty import Measurement
from reproduce.reports import measuring
from reproduce.reports.figures import STYLE, colour, files


@dataclass(frozen=True)
class Dot:
    """Recall@20 of a row in per cent: the paper's, the predicted, and ours with its interval; any may be absent."""

    label: str
    paper: float | None
    original: float | None
    ours: float | None
    half: float = 0.0  # half the width of the interval


def of(label: str, paper: float | None, original: float | None, ours: Measurement | None) -> Dot:
    """Make a dot from what the main table has on a row."""
    if ours is None:
        return Dot(label, paper, original, None)
    return Dot(label, paper, original, ours.value, measuring.half_width(measuring.alone(ours)))


def overview(panels: Mapping[str, Sequence[Dot]], name: str = "table2") -> dict[str, bytes]:
    """Draw a panel per data set with a line per row; nothing where there is no data set."""
    if not panels:
        return {}
    with matplotlib.rc_context(STYLE):
        tallest = max(map(len, panels.values()))
        figure = Figure((1.4 + 3.6 * len(panels), 1.1 + 0.3 * tallest), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False, sharey=True).ravel()
        for ax, (title, dots) in zip(axes, panels.items(), strict=True):
            _panel(ax, title, dots)
        handles, labels = axes[0].get_legend_handles_labels()
        once = dict(zip(labels, handles, strict=True))
        figure.legend(list(once.values()), list(once), loc="outside lower center", ncols=3)
        return files(figure, name)


def _panel(ax: Axes, title: str, dots: Sequence[Dot]) -> None:
    ax.set_title(title, loc="left")
    ax.set_xlabel("Recall@20, per cent")
    ax.set_yticks(range(len(dots)), [one.label for one in dots])
    ax.set_ylim(len(dots) - 0.5, -0.5)
    ax.set_xlim(0, 100 * -(-max(_all(dots), default=100) // 100) if max(_all(dots), default=0) > 80 else 80)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    for place, one in enumerate(dots):
        if one.ours is not None:
            ax.plot([one.ours - one.half, one.ours + one.half], [place, place], color="black", linewidth=1.0)
            ax.plot(one.ours, place, "o", color=colour(one.label), markeredgecolor="black", markersize=7, label="ours")
        if one.original is not None:
            style = {"markerfacecolor": "none", "markeredgecolor": "black", "markersize": 11, "label": "predicted"}
            ax.plot(one.original, place, "o", **style)  # type: ignore[arg-type]
        if one.paper is not None:
            style = {"color": "black", "markeredgecolor": "white", "markersize": 5, "label": "paper"}
            ax.plot(one.paper, place, "D", **style)  # type: ignore[arg-type]
        if one.ours is None:
            ax.annotate("not run", (1, place), va="center", color="#777777")


def _all(dots: Sequence[Dot]) -> list[float]:
    return [value for one in dots for value in (one.paper, one.original, one.ours) if value is not None]
