"""The heat map of attention, with a row per session and a column per click."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import matplotlib.patches
import numpy as np
from matplotlib.figure import Figure

from reproduce.fitting.attention import LONGEST
from reproduce.reports.figures import STYLE, files


@dataclass(frozen=True)
class Session:
    """A row of the heat map: the weights over the clicks, and which of these are on the item clicked next."""

    label: str
    weights: np.ndarray  # (T,)
    is_target: np.ndarray  # (T,) bool


def heat_map(name: str, sessions: Sequence[Session]) -> dict[str, bytes]:
    """Draw a row per session, darker for more weight; a click on the item clicked next has an orange frame."""
    width = max([LONGEST, *(len(one.weights) for one in sessions)])  # the same scale for every log
    depth = np.full((len(sessions), width), np.nan)
    for row, one in enumerate(sessions):
        depth[row, : len(one.weights)] = one.weights
    with matplotlib.rc_context(STYLE):
        figure = Figure((1.8 + 0.34 * width, 1.3 + 0.3 * len(sessions)), layout="constrained")
        ax = figure.subplots()
        image = ax.pcolormesh(depth, cmap="Blues", vmin=min(0.0, float(np.nanmin(depth))), edgecolor="white")
        for row, one in enumerate(sessions):
            for column in np.flatnonzero(one.is_target):
                frame = matplotlib.patches.Rectangle((column + 0.06, row + 0.06), 0.88, 0.88)
                frame.set(fill=False, edgecolor="#D55E00", linewidth=2)
                ax.add_patch(frame)
        ax.invert_yaxis()
        ax.set_yticks(np.arange(len(sessions)) + 0.5, [one.label for one in sessions])
        ax.set_xticks(np.arange(width) + 0.5, [str(i + 1) for i in range(width)])
        ax.tick_params(length=0)
        ax.set(xlabel="click of the session", ylabel="test session")
        ax.spines[:].set_visible(False)
        figure.colorbar(image, label="attention weight")
        return files(figure, name)
