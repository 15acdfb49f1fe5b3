"""Results -> figures. Nothing else imports matplotlib; the same numbers give the same bytes, PNG and SVG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reproduce.journal import replacing

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "reproduce",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def save(figure: Figure, folder: Path, name: str) -> None:
    """folder/name.png and folder/name.svg, without a date in either."""
    FigureCanvasAgg(figure)
    with rc_context(STYLE):
        for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            with replacing(folder / f"{name}.{kind}") as temporary:
                figure.savefig(temporary, format=kind, dpi=150, metadata=metadata)


def prefix_lengths(shares: Mapping[str, np.ndarray], folder: Path, name: str = "prefix-lengths") -> None:
    """A panel per data set: the share of test prefixes, in per cent, of 1, 2, ... clicks, the last bar all longer."""
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 1.0 + 1.7 * len(shares)), layout="constrained")
        panels = figure.subplots(len(shares), 1, sharex=True, squeeze=False)[:, 0]
        for panel, (title, share) in zip(panels, shares.items(), strict=True):
            place = np.arange(1, len(share) + 1)
            panel.bar(place, share, color="#33638d")
            panel.set_title(title, loc="left", fontsize=9)
            panel.set_ylabel("test prefixes, %")
            panel.set_xticks(place, [*map(str, place[:-1]), f">{len(share) - 1}"])
        panels[-1].set_xlabel("clicks in the prefix")
    save(figure, folder, name)
