"""A figure of all pairs of rows: the darker a cell, the larger the difference; grey means no more than noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import matplotlib
import matplotlib.colors
import matplotlib.patches
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reproduce.reports.figures import STYLE, files

Kind = Literal["different", "alike", "not judged"]
ALIKE, UNJUDGED, HATCH = "#D9D9D9", "#FFFFFF", "////"
DEEPEST = 0.75  # the end of the colour map in use, so that black numbers stay readable
PALEST = 0.12  # its start, so that the least difference beyond noise can be told from grey


@dataclass(frozen=True)
class Cell:
    """The difference between two rows, its text, and whether it is more than noise."""

    value: float
    text: str
    kind: Kind


@dataclass(frozen=True)
class Matrix:
    """The rows of one metric, the highest first, and for each pair (i, j), i < j, the difference row i minus row j."""

    title: str
    labels: Sequence[str]
    cells: Mapping[tuple[int, int], Cell]


def matrices(name: str, panels: Sequence[Matrix]) -> dict[str, bytes]:
    """Draw a panel per metric, one below the other, with all differences shaded on one scale."""
    most = max((abs(cell.value) for panel in panels for cell in panel.cells.values()), default=1.0)
    scale = matplotlib.colors.PowerNorm(0.4, 0.0, max(most, 1e-9))  # 1 point can be seen beside 50
    sizes = [0.4 + 0.04 * max(map(len, panel.labels)) + 0.25 * len(panel.labels) for panel in panels]  # tilted labels
    kinds = {cell.kind for panel in panels for cell in panel.cells.values()}
    with matplotlib.rc_context(STYLE):
        figure = Figure((8.4, sum(sizes) + 0.6), layout="constrained")
        axes = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": sizes})[:, 0]
        for ax, panel in zip(axes, panels, strict=True):
            _matrix(ax, panel, scale)
        figure.legend(handles=_legend(kinds), loc="outside lower center", ncols=3)
        return files(figure, name)


def _matrix(ax: Axes, panel: Matrix, scale: matplotlib.colors.Normalize) -> None:
    count = len(panel.labels)
    ax.set_title(panel.title, loc="left")
    for (i, j), cell in panel.cells.items():
        ax.add_patch(
            matplotlib.patches.Rectangle(
                (j - 1, i),
                1,
                1,
                facecolor=_colour(cell, scale),
                edgecolor="#BBBBBB" if cell.kind == "not judged" else "white",
                linewidth=0.5,
                hatch=HATCH if cell.kind == "not judged" else None,
            )
        )
        text = ax.text(
            j - 0.5,
            i + 0.5,
            cell.text,
            ha="center",
            va="center",
            fontsize=7,
            color="#555555" if cell.kind != "different" else "black",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8} if cell.kind == "not judged" else None,
        )
        text.set_in_layout(False)  # it is inside the axes: measuring it would double the time
    for i, label in enumerate(panel.labels):  # beside the row's first cell, so that the eye need not cross a gap
        ax.text(i - 0.15, i + 0.5, label, ha="right", va="center")
    ax.set(xlim=(0, count - 1), ylim=(count, 0))
    ax.set_yticks([])
    ax.set_xticks([j - 0.5 for j in range(1, count)], panel.labels[1:], rotation=40, ha="left", rotation_mode="anchor")
    ax.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.spines[:].set_visible(False)


def _colour(cell: Cell, scale: matplotlib.colors.Normalize) -> str | tuple[float, float, float, float]:
    if cell.kind != "different":
        return ALIKE if cell.kind == "alike" else UNJUDGED
    share = float(scale(abs(cell.value)))
    return matplotlib.colormaps["Blues"](PALEST + share * (DEEPEST - PALEST))


def _legend(kinds: set[Kind]) -> list[matplotlib.patches.Patch]:
    blue = matplotlib.colormaps["Blues"](DEEPEST)
    made: dict[Kind, matplotlib.patches.Patch] = {
        "different": matplotlib.patches.Patch(facecolor=blue, label="more than noise, the darker the more"),
        "alike": matplotlib.patches.Patch(facecolor=ALIKE, label="no more than noise"),
        "not judged": matplotlib.patches.Patch(
            facecolor=UNJUDGED, edgecolor="#BBBBBB", hatch=HATCH, label="one run: not judged"
        ),
    }
    return [handle for kind, handle in made.items() if kind in kinds]
