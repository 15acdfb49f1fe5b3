"""Figures from numbers, as the content of their files; the same numbers give the same bytes.

Only this module imports matplotlib. A figure is as wide as a page of a code forge. A model has the same colour, marker
and line on every page; no difference is shown by colour alone.
"""

from __future__ import annotations

import colorsys
import io
import itertools
import math
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib
import matplotlib.ticker
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.transforms import blended_transform_factory

from reproduce.reports.document import signed
from reproduce.reports.measuring import Effect, Kind, ends, kind_of

WIDTH = 8.4  # inches: the 836 pixels of a page on a code forge
BAR = "#b9cbe0"
INK, GREY, PALE, STRIPE = "#1a1a1a", "#767676", "#ececec", "#f7f7f7"
DARK, MID, GREEN = "#08306b", "#c1440e", "#2b8c6b"  # apart in grey too
STYLE: Any = {
    "svg.hashsalt": "reproduce",  # ids inside an SVG are derived from this instead of drawn at random
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.8,
}
in_style = matplotlib.rc_context(STYLE)  # a decorator of the functions that draw


@dataclass(frozen=True)
class Look:
    """How a model is drawn on every page."""

    colour: str
    marker: str
    line: str = "-"


LOOKS = {
    "NARM": Look(DARK, "o"),
    "Improved GRU-Rec": Look(MID, "s"),
    "V-SKNN": Look(GREEN, "^", "--"),
    "GRU-Rec": Look("#b98300", "D"),
    "Item-KNN": Look(GREY, "v", ":"),
    "POP": Look("#a6a6a6", "x", ":"),
    "S-POP": Look("#8c8c8c", "+", ":"),
    "BPR-MF": Look("#9a5b96", "<", "--"),
    "FPMC": Look("#4f93b8", ">", "--"),
    "S-KNN": Look("#7d8b2f", "h", "--"),
    "STAMP": Look("#aa4499", "p"),
    "SR-GNN": Look("#332288", "P"),
    "GRU4Rec (2018)": Look("#117733", "d", ":"),
    "SASRec": Look("#5d3a9b", "X"),
    "CORE": Look("#00798c", "*"),
    "SR": Look("#cc6677", "8", "--"),
    "STAMP (authors' code)": Look("#882255", "H", ":"),
    "GRU4Rec (tied, logQ)": Look("#661100", "1", ":"),
}


def look(label: str) -> Look:
    """Return the look of a row: that of its model, as in "NARM (hidden=50)"; derived from the label where unknown."""
    model = label.partition(" (")[0]
    if known := LOOKS.get(label) or LOOKS.get(model):
        return known
    chance = zlib.crc32(model.encode()) / 2**32  # 0 to 1, the same for a label everywhere
    red, green, blue = colorsys.hls_to_rgb(chance, 0.4, 0.55)
    return Look("#" + "".join(f"{round(255 * part):02x}" for part in (red, green, blue)), "234"[int(3 * chance)], "-.")


def saved(name: str, figure: Figure) -> dict[str, bytes]:
    """Return name.png and name.svg, neither with a date in it."""
    FigureCanvasAgg(figure)
    content = {}
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        stream = io.BytesIO()
        figure.savefig(stream, format=kind, dpi=200, metadata=metadata)
        content[f"{name}.{kind}"] = stream.getvalue()
    return content


def version() -> str:
    """Return the version of the matplotlib that draws here."""
    return matplotlib.__version__


def drawn_with(svg: bytes) -> str:
    """Return the version of matplotlib that drew an SVG, which another version may draw with other bytes; or ""."""
    match = re.search(rb"Matplotlib v([\w.+]+)", svg[:4000])
    return match[1].decode() if match else ""


# Dots by row: differences with whiskers


@dataclass(frozen=True)
class Dots:
    """A kind of point, drawn with one shape and named in the key."""

    label: str
    colour: str
    marker: str = "o"
    hollow: bool = False


@dataclass(frozen=True)
class Dot:
    """A point in a row of a panel, with its interval; `offset` moves it down, in rows."""

    row: int
    value: float
    kind: Dots
    interval: tuple[float, float] | None = None
    offset: float = 0.0


BY_VERDICT: Mapping[Kind, Dots] = {
    "better": Dots("ahead", MID),
    "worse": Dots("behind", DARK),
    "undecided": Dots("undecided", INK, hollow=True),
    "not judged": Dots("not judged: interval over test sessions only", GREY, hollow=True),
}


def of_effects(effects: Mapping[str, Effect], labels: Sequence[str]) -> list[Dot]:
    """Return a point for each row less the reference, in the order of the labels, with its interval and its verdict."""
    found = [(i, effects[label]) for i, label in enumerate(labels) if label in effects]
    return [Dot(i, effect.value, BY_VERDICT[kind_of(effect)], ends(effect)) for i, effect in found]


@dataclass(frozen=True)
class DotPanel:
    """Points by row, with zero as a line; what lies beyond `reach` points is drawn at the edge, with its value."""

    title: str
    dots: Sequence[Dot]
    missing: Mapping[int, str] = field(default_factory=dict)  # row -> what stands there instead of a point
    values: bool = False  # write each value at the right of its row
    reach: float = 12.0
    whole: bool = False  # the axis is as long as its reach; otherwise as the intervals need

    @property
    def span(self) -> tuple[float, float]:
        if self.whole:
            return -self.reach, self.reach
        near = [dot for dot in self.dots if abs(dot.value) < self.reach]
        ends = [end for dot in near for end in (*(dot.interval or ()), dot.value) if math.isfinite(end)]
        return max(min([*ends, -1.0]), -self.reach) - 0.5, min(max([*ends, 1.0]), self.reach) + 0.5


@in_style
def dots(
    name: str,
    labels: Sequence[Sequence[str]],
    panels: Sequence[Sequence[DotPanel]],
    *,
    label: str = "",
    band: float = 0.0,
    row_height: float = 0.29,
) -> dict[str, bytes]:
    """Draw panels with a row for each label.

    Args:
        labels: the rows' labels, for each line of panels.
        panels: the panels of each line, side by side, from the same rows.
        label: of the axes, under the last line.
        band: shade what is closer to zero than this.
    """
    heights = [row_height * len(rows) + 0.75 for rows in labels]
    figure = Figure((WIDTH, sum(heights) + 0.35))
    grid = figure.subplots(len(panels), len(panels[0]), squeeze=False, height_ratios=heights, sharey="row")
    small = len(panels[0]) > 2
    for axes, rows, line in zip(grid, labels, panels, strict=True):
        for ax, panel in zip(axes, line, strict=True):
            _dot_panel(ax, rows, panel, label if line is panels[-1] else "", band, small=small)
    handles = _handles([panel for line in panels for panel in line])
    if band:
        handles.append(Rectangle((0, 0), 1, 1, color=PALE, label=f"within {band}"))
    figure.legend(handles=handles, ncols=4, loc="lower center", columnspacing=1.3, handletextpad=0.5)
    lines = -(-len(handles) // 4)
    figure.tight_layout(rect=(0, 0.24 * lines / figure.get_figheight(), 1, 1), w_pad=1.0 if small else 2.0)
    return saved(name, figure)


def _handles(panels: Sequence[DotPanel]) -> list[Any]:
    kinds = dict.fromkeys(dot.kind for panel in panels for dot in panel.dots)
    return [Line2D([], [], lw=1.4, ms=6, marker=kind.marker, label=kind.label, **_filled(kind)) for kind in kinds]


def _filled(kind: Dots) -> dict[str, Any]:
    return {"color": kind.colour, "mfc": "white" if kind.hollow else kind.colour, "mew": 1.4}


def _dot_panel(
    ax: Axes, labels: Sequence[str], panel: DotPanel, label: str, band: float = 0.0, *, small: bool = False
) -> None:
    low, high = panel.span
    if band:
        ax.axvspan(-band, band, color=PALE, lw=0, zorder=0)
    ax.axvline(0, color=INK, lw=1, zorder=1)
    for row in range(1, len(labels), 2):
        ax.axhspan(row - 0.5, row + 0.5, color=STRIPE, lw=0, zorder=-1)
    for dot in panel.dots:
        _dot(ax, dot, panel, small=small)
    for row, text in panel.missing.items():
        ax.text(high, row, text, ha="right", va="center", color=GREY, fontsize=8.5)
    ax.set_xlim(low, high)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.set_yticks(range(len(labels)), labels)
    ax.tick_params(axis="y", length=0, pad=7)
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4 if small else 6, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(lambda x, _: signed(x, 0 if float(x).is_integer() else 1))
    ax.set_title(panel.title, fontsize=9 if small else None)
    ax.set_xlabel(label, fontsize=8.5 if small else None)


def _dot(ax: Axes, dot: Dot, panel: DotPanel, *, small: bool) -> None:
    (low, high), y = panel.span, dot.row + dot.offset
    size, font = (4.2, 7.6) if small else (6.2, 8.5)
    style = {"ms": size, "ls": "", "zorder": 3, "clip_on": False, **_filled(dot.kind)}
    if low <= dot.value <= high:
        if dot.interval is not None and all(map(math.isfinite, dot.interval)):
            ends = [max(dot.interval[0], low), min(dot.interval[1], high)]
            ax.plot(ends, [y, y], color=dot.kind.colour, lw=1.5, solid_capstyle="butt", zorder=2)
        ax.plot(dot.value, y, marker=dot.kind.marker, **style)
        if panel.values:
            place = blended_transform_factory(ax.transAxes, ax.transData)
            text = signed(dot.value, 1 if abs(dot.value) >= 0.95 else 2)
            ax.text(1.01, y, text, transform=place, va="center", fontsize=font)
        return
    edge, marker, side, shift = (high, ">", "right", -7) if dot.value > high else (low, "<", "left", 7)
    ax.plot(edge, y, marker=marker, **style)
    words: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": font}
    ax.annotate(signed(dot.value, 1), (edge, y), xytext=(shift, 0), ha=side, color=dot.kind.colour, **words)


# Lines with their names at the end


@dataclass(frozen=True)
class Line:
    label: str
    x: Sequence[float]
    y: Sequence[float]
    ring: float | None = None  # the x of the point to draw a ring around


def _lines(ax: Axes, lines: Sequence[Line], *, markers: bool, gap: float) -> None:
    """Draw lines and write each name right of the longest; names that would overlap are pushed apart."""
    for line in lines:
        style = look(line.label)
        marker = style.marker if markers else ""
        ax.plot(line.x, line.y, color=style.colour, ls=style.line, lw=1.8, marker=marker, ms=5, clip_on=False)
        if line.ring is not None and line.ring in line.x:
            y = line.y[list(line.x).index(line.ring)]
            ax.plot(line.ring, y, "o", ms=6.5, mfc="white", mec=style.colour, mew=1.6, clip_on=False, zorder=4)
    bottom, top = ax.get_ylim()
    least, (left, right) = gap * (top - bottom), ax.get_xlim()
    lines = sorted(lines, key=lambda line: line.y[-1])
    places = [line.y[-1] for line in lines]
    for _ in range(50):
        for i in range(len(places) - 1):
            if (overlap := least - places[i + 1] + places[i]) > 0:
                places[i], places[i + 1] = places[i] - overlap / 2, places[i + 1] + overlap / 2
    beside = max((line.x[-1] for line in lines), default=0.0) + 0.03 * (right - left)
    for line, place in zip(lines, places, strict=True):
        ax.text(beside, place, line.label, color=look(line.label).colour, fontsize=8.8, va="center", clip_on=False)


@in_style
def by_bin(
    name: str, levels: Sequence[Line], bins: Sequence[str], counts: Sequence[str], differences: DotPanel, label: str
) -> dict[str, bytes]:
    """Draw levels by bin as lines on the left and, on the right, differences with whiskers, a row a bin."""
    figure = Figure((WIDTH, 3.9))
    left, right = figure.subplots(1, 2) if differences.dots else (figure.subplots(), None)
    _lines(left, levels, markers=True, gap=0.07)
    left.set(title="Recall@20, per cent", xlabel="clicks in the prefix; number of test prefixes")
    left.set_xticks(range(len(bins)), [f"{span}\n{count}" for span, count in zip(bins, counts, strict=True)])
    left.set_xlim(-0.3, len(bins) - 0.85)
    if right is not None:
        _dot_panel(right, bins, differences, label)
        right.legend(handles=_handles([differences]), loc="upper center", bbox_to_anchor=(0.45, -0.16), ncols=2)
    figure.tight_layout(w_pad=1)
    figure.subplots_adjust(left=0.045, right=0.985 if differences.dots else 0.75, wspace=0.55)
    return saved(name, figure)


@in_style
def curves(name: str, panels: Mapping[str, Sequence[Line]]) -> dict[str, bytes]:
    """Draw a panel of learning curves for each title, two beside each other."""
    rows = -(-len(panels) // 2)
    figure = Figure((WIDTH, 0.3 + 2.4 * rows))
    axes = figure.subplots(rows, 2, squeeze=False).ravel()
    longest = max((x for lines in panels.values() for line in lines for x in line.x), default=1.0)
    for ax, (title, lines) in zip(axes, panels.items(), strict=False):
        ax.set_xlim(0, 1.42 * longest)
        _lines(ax, lines, markers=False, gap=0.085)
        ax.set_title(title)
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(6, integer=True))
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    figure.tight_layout(w_pad=1.5)
    return saved(name, figure)


# Bars


@dataclass(frozen=True)
class Bar:
    label: str
    value: float
    half: float = math.nan  # of its interval
    paper: float | None = None


@in_style
def bars(name: str, panels: Mapping[str, Sequence[Bar]]) -> dict[str, bytes]:
    """Draw horizontal bars with whiskers, and a diamond for the paper's number; all panels have the same rows."""
    count = max(len(content) for content in panels.values())
    figure = Figure((WIDTH, 0.26 * count + 1.1))
    diamond: dict[str, Any] = {"ls": "", "marker": "D", "ms": 5.5, "mfc": "white", "mec": MID, "mew": 1.4}
    for ax, (title, content) in zip(figure.subplots(1, len(panels), sharey=True), panels.items(), strict=True):
        ax.set_title(f"{title}, per cent")
        ax.set_yticks(range(len(content)), [bar.label for bar in content])
        ax.set_ylim(len(content) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        for place, bar in enumerate(content):
            ax.barh(place, bar.value, height=0.62, color=BAR, zorder=1)
            if math.isfinite(bar.half):
                ends = [max(0.0, bar.value - bar.half), min(100.0, bar.value + bar.half)]
                ax.plot(ends, [place, place], color=DARK, lw=1.5, solid_capstyle="butt", zorder=2)
            if bar.paper is not None:
                ax.plot(bar.paper, place, zorder=3, **diamond)
    handles: list[Any] = [Rectangle((0, 0), 1, 1, color=BAR, label="ours")]
    handles.append(Line2D([], [], color=DARK, lw=1.5, label="95 % interval"))
    if any(bar.paper is not None for content in panels.values() for bar in content):
        handles.append(Line2D([], [], label="paper", **diamond))
    figure.legend(handles=handles, ncols=3, loc="lower center")
    figure.tight_layout(rect=(0, 0.26 / figure.get_figheight(), 1, 1), w_pad=1.5)
    return saved(name, figure)


# Attention


@in_style
def heat_maps(name: str, label: str, panels: Mapping[str, Sequence[tuple[np.ndarray, np.ndarray]]]) -> dict[str, bytes]:
    """Draw a map for each title: a row a session, oldest click left, in multiples of an even share on one scale.

    A session is its weights, which sum to 1, and which of its clicks are on the item that is clicked next.
    """
    rows = max(len(content) for content in panels.values())
    figure = Figure((WIDTH, 1.35 + 0.185 * rows))
    for ax, (title, content) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        clicks = max(len(weights) for weights, _ in content)
        shares = np.full((len(content), clicks), np.nan)
        for i, (weights, is_target) in enumerate(content):
            shares[i, : len(weights)] = weights.astype(float) * len(weights)
            for j in np.flatnonzero(is_target):
                ax.plot(j + 0.5, i + 0.5, "o", ms=4, mfc="white", mec=INK, mew=1)
        image = ax.pcolormesh(shares, cmap="Blues", vmin=0, vmax=4, edgecolors="#c9c9c9", lw=0.8)
        ax.set_ylim(rows, 0)
        ax.set_title(title, fontsize=9.3)
        ax.set_xticks([0.5, clicks - 0.5] if clicks > 1 else [0.5], ["first click", "last"][: min(clicks, 2)])
        ax.set_yticks([])
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
    figure.axes[0].set_ylabel(label)
    height = figure.get_figheight()
    figure.tight_layout(rect=(0, 0.5 / height, 1, 1), w_pad=1)
    place = figure.add_axes((0.17, 0.34 / height, 0.36, 0.11 / height))
    scale = figure.colorbar(image, cax=place, orientation="horizontal", extend="max")
    scale.outline.set_visible(False)
    scale.set_ticks([0, 1, 2, 3, 4], labels=["0", "even share", "2×", "3×", "4×"])
    figure.text(0.6, 0.34 / height, "○  a click on the item that is clicked next", fontsize=9)
    return saved(name, figure)


@in_style
def from_last(name: str, lines: Mapping[str, Sequence[float]]) -> dict[str, bytes]:
    """Draw mean attention by the number of clicks before the last, in multiples of an even share."""
    figure = Figure((WIDTH, 2.9))
    ax = figure.subplots()
    longest = max(map(len, lines.values()))
    styles = itertools.cycle([(DARK, "o-"), (MID, "s-"), ("#b98300", "D--"), (GREEN, "^-"), (GREY, "v:")])
    for (label, values), (colour, style) in zip(lines.items(), styles, strict=False):
        ax.plot(range(len(values)), values, style, color=colour, ms=5.5, lw=1.7, label=label)
    ax.axhline(1, color=INK, lw=1)
    ax.text(longest - 0.9, 1, "even share", va="center", fontsize=8.8)
    ax.set_xlim(-0.2, longest - 0.95)
    ax.set_ylim(0)
    ax.set_xticks(range(longest), ["last", *map(str, range(1, longest))])
    ax.set_xlabel("clicks before the last one")
    ax.set_title("Mean attention, as a multiple of an even share")
    ax.legend(loc="upper right")
    figure.tight_layout()
    return saved(name, figure)
