"""Figures drawn from numbers, as the content of their files; the same numbers give the same bytes.

Only this module and the figures_* modules import matplotlib. A model has the same colour on every page.
Colour-blind readers can tell the colours apart (Okabe and Ito's palette; Tol's muted one for the controls); lines also
differ by marker, for print. For a model that is not listed here, both are derived from its label.
"""

from __future__ import annotations

import colorsys
import io
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib
import matplotlib.lines
import matplotlib.patches
import matplotlib.ticker
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase

COLOURS = {
    "POP": "#999999",
    "S-POP": "#E69F00",
    "Item-KNN": "#F0E442",
    "BPR-MF": "#CC79A7",
    "FPMC": "#56B4E9",
    "GRU-Rec": "#009E73",
    "Improved GRU-Rec": "#D55E00",
    "NARM": "#0072B2",
    "S-KNN": "#DDCC77",
    "V-SKNN": "#999933",
    "STAMP": "#AA4499",
    "SR-GNN": "#332288",
    "GRU4Rec (2018)": "#117733",
    "SR": "#CC6677",
    "STAMP (authors' code)": "#882255",
    "SASRec (softmax)": "#44AA99",
    "CORE": "#88CCEE",
    "GRU4Rec (tied, logQ)": "#661100",
}

OTHER = "#444444"  # for anything that is not a model
FAINT = "#888888"  # for a line shown only for comparison
NEAR = "#EEEEEE"  # for the band that is as good as zero
MARKERS: Mapping[str, Any] = dict(zip(COLOURS, "ovD^<P>shX*pd1234x", strict=True))
SPARE_MARKERS: Sequence[Any] = ("H", "8", (4, 1, 0), (6, 1, 0), (3, 1, 0))  # the last are stars
STYLE: Any = {
    "svg.hashsalt": "reproduce",  # ids inside an SVG are derived from this instead of drawn at random
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Bar:
    """A bar: a value, its interval and the published value, each of which may be absent."""

    label: str
    value: float | None
    published: float | None = None
    interval: tuple[float, float] | None = None
    colour: str = OTHER
    inner: tuple[float, float] | None = None  # a narrower interval, drawn thicker


@dataclass(frozen=True)
class Line:
    label: str
    x: Sequence[float]
    y: Sequence[float]
    band: Sequence[tuple[float, float]] | None = None
    colour: str = OTHER
    marker: Any = ""  # empty: chosen by its place among the lines
    faint: bool = False  # thin and grey, behind the others, without its band
    apart: bool = False  # the last point is of another kind: a dotted line leads to it, its band is a whisker


@dataclass(frozen=True)
class Panel:
    """One pair of axes; `label` is for the axis of the values: horizontal for bars, vertical for lines."""

    title: str
    label: str
    content: Sequence[Bar] | Sequence[Line]
    below: str = ""  # label of the horizontal axis, for lines
    ticks: Mapping[float, str] = field(default_factory=dict)  # of the horizontal axis, for lines; empty: whole numbers
    near: float = 0.0  # for bars: shade values this close to zero


def prefix_lengths(shares: Mapping[str, np.ndarray], name: str = "prefix-lengths") -> dict[str, bytes]:
    """Draw the share of test prefixes with 1, 2, ... clicks, in per cent, with a panel per data set.

    The last bar has all longer prefixes.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 1.0 + 1.7 * len(shares)), layout="constrained")
        panels = figure.subplots(len(shares), 1, sharex=True, squeeze=False)[:, 0]
        for panel, (title, share) in zip(panels, shares.items(), strict=True):
            place = np.arange(1, len(share) + 1)
            panel.bar(place, share, color="#33638d")
            panel.set_title(title, loc="left", fontsize=9)
            panel.set_ylabel("test prefixes, %")
            panel.set_xticks(place, [*map(str, place[:-1]), f">{len(share) - 1}"])
        panels[-1].set_xlabel("clicks in the prefix")
        return files(figure, name)


def colour(label: str) -> str:
    """Return the colour of a model; a row with other fields has that of its model: "NARM (hidden=50)" that of NARM."""
    if label in COLOURS:
        return COLOURS[label]
    model = label.partition(" (")[0]
    if model in COLOURS:
        return COLOURS[model]
    chance = zlib.crc32(model.encode()) / 2**32  # 0 to 1, the same for a label everywhere
    red, green, blue = colorsys.hls_to_rgb(chance, 0.45, 0.55)
    return "#" + "".join(f"{round(255 * part):02X}" for part in (red, green, blue))


def marker(label: str) -> Any:
    """Return the marker of a model, found in the same way as its colour."""
    model = label if label in MARKERS else label.partition(" (")[0]
    return MARKERS.get(model, SPARE_MARKERS[zlib.crc32(model.encode()) % len(SPARE_MARKERS)])


def bars(name: str, panels: Sequence[Panel], columns: int = 2) -> dict[str, bytes]:
    """Draw horizontal bars from zero, with a black diamond for the published value and a whisker for the interval.

    The panels side by side must have the same labels, which are written only to the left of the first.
    """
    rows = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    heights = [0.9 + 0.27 * max(len(one.content) for one in row) for row in rows]
    with matplotlib.rc_context(STYLE):
        figure = Figure((4.2 * columns, sum(heights) + 0.3), layout="constrained")
        axes = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights).ravel()
        for i, (ax, panel) in enumerate(zip(axes, panels, strict=False)):
            _bars(ax, panel, named=i % columns == 0)
        for ax in axes[len(panels) :]:
            ax.set_axis_off()
        handles = _handles(panels)
        if handles:
            figure.legend(handles=handles, loc="outside lower right", ncols=len(handles))
        return files(figure, name)


def _handles(panels: Sequence[Panel]) -> list[Any]:
    """Return the legend of what is drawn besides the bars."""
    drawn = [bar for panel in panels for bar in panel.content if isinstance(bar, Bar)]
    line = matplotlib.lines.Line2D
    diamond = line([], [], marker="D", color="black", markersize=4, linestyle="", label="the paper")
    known = [
        (any(one.interval for one in drawn), line([], [], color="black", linewidth=1.2, label="95 % interval")),
        (any(one.inner for one in drawn), line([], [], color="black", linewidth=3.6, label="90 % interval")),
        (any(one.near for one in panels), matplotlib.patches.Patch(color=NEAR, label="negligible")),
        (any(one.published is not None for one in drawn), diamond),
    ]
    return [handle for there, handle in known if there]


def _bars(ax: Axes, panel: Panel, *, named: bool) -> None:
    ax.set_title(panel.title, loc="left")
    ax.set_xlabel(panel.label)
    labels = [bar.label for bar in panel.content]
    ax.set_yticks(range(len(labels)), labels if named else [""] * len(labels))
    ax.set_ylim(len(labels) - 0.4, -0.6)  # the first on top; an axis without bars has some height too
    ax.tick_params(axis="y", length=0)
    ax.axvline(0, color="black", linewidth=0.8)
    if panel.near:
        ax.axvspan(-panel.near, panel.near, color=NEAR, linewidth=0, zorder=0)
    for place, bar in enumerate(panel.content):
        assert isinstance(bar, Bar)
        if bar.value is not None:
            ax.barh(place, bar.value, height=0.65, color=bar.colour, edgecolor="black", linewidth=0.4)
        for span, width in ((bar.interval, 1.2), (bar.inner, 3.6)):
            if span is not None:
                ax.plot(span, [place - 0.12] * 2, color="black", linewidth=width, solid_capstyle="butt")
        if bar.published is not None:  # below the whisker, which it would hide
            ax.plot(bar.published, place + 0.14, marker="D", color="black", markersize=4, markeredgecolor="white")


def lines(name: str, panels: Sequence[Panel]) -> dict[str, bytes]:
    """Draw panels side by side, with a band around each line that has one and a legend of the lines with a label."""
    with matplotlib.rc_context(STYLE):
        figure = Figure((4.2 * len(panels), 3.4), layout="constrained")
        handles: dict[str, Any] = {}
        for ax, panel in zip(figure.subplots(1, len(panels), squeeze=False).ravel(), panels, strict=True):
            handles |= _lines(ax, panel)
        _legend(figure, handles)
        return files(figure, name)


def curves(name: str, shared: Panel, own: Sequence[Panel], columns: int = 4) -> dict[str, bytes]:
    """Draw a wide panel above small ones, each with an axis of its own."""
    rows = -(-len(own) // columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure((8.4, 0.3 + 3.0 * bool(shared.content) + 1.7 * rows), layout="constrained")
        heights = [3.0] * bool(shared.content) + [1.7 * rows] * bool(own)
        parts = list(figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights).ravel())
        if shared.content:
            wide = parts.pop(0)
            _legend(wide, _lines(wide.subplots(), shared))
        if own:
            axes = parts[0].subplots(rows, columns, squeeze=False).ravel()
            for ax, panel in zip(axes, own, strict=False):
                _lines(ax, panel)
            for ax in axes[len(own) :]:
                ax.set_axis_off()
        return files(figure, name)


def _legend(figure: FigureBase, handles: Mapping[str, Any]) -> None:
    if handles:
        figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=min(len(handles), 6))


def _lines(ax: Axes, panel: Panel) -> dict[str, Any]:
    """Draw the lines of a panel; return their legend handles by label."""
    ax.set_title(panel.title, loc="left")
    ax.set_xlabel(panel.below)
    ax.set_ylabel(panel.label)
    ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator("auto", integer=True))
    if panel.ticks:
        ax.set_xticks(list(panel.ticks), list(panel.ticks.values()))
    handles = {}
    for i, line in enumerate(panel.content):
        assert isinstance(line, Line)
        style: dict[str, Any] = {"marker": line.marker or "osD^vP"[i % 6], "markersize": 4, "markeredgewidth": 0.3}
        style |= {"color": FAINT if line.faint else line.colour, "linewidth": 1.0 if line.faint else 1.5}
        style |= {"markeredgecolor": FAINT if line.faint else "black"}
        whole = len(line.x) - line.apart
        drawn = ax.plot(line.x[:whole], line.y[:whole], **style)[0]
        if line.apart:
            last = line.x[-1] + 0.25 * (i - (len(panel.content) - 1) / 2)  # side by side, or whiskers would overlap
            ax.plot([line.x[-2], last], line.y[-2:], **style | {"marker": "", "linestyle": ":", "linewidth": 0.8})
            ax.plot([last], line.y[-1:], **style)
        if line.label:
            handles[line.label] = drawn
        if line.band is not None and not line.faint:
            low, high = zip(*line.band, strict=True)
            ax.fill_between(line.x[:whole], low[:whole], high[:whole], color=line.colour, alpha=0.2, linewidth=0)
            if line.apart:
                ax.plot([last] * 2, [low[-1], high[-1]], color=line.colour, linewidth=1.2)
    return handles


def files(figure: Figure, name: str) -> dict[str, bytes]:
    """Return name.png and name.svg with their content, neither with a date in it."""
    FigureCanvasAgg(figure)
    made = {}
    with matplotlib.rc_context(STYLE):
        for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            content = io.BytesIO()
            figure.savefig(content, format=kind, dpi=150, metadata=metadata)
            made[f"{name}.{kind}"] = content.getvalue()
    return made


def version() -> str:
    """Return the version of the matplotlib that draws here."""
    return matplotlib.__version__


def drawn_with(svg: bytes) -> str:
    """Return the version of matplotlib that drew an SVG; "" where it does not say.

    Another version may draw the same numbers with other bytes.
    """
    found = re.search(rb"Matplotlib v([\w.+]+)", svg[:4000])
    return found[1].decode() if found else ""
