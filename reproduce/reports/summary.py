"""The main table in two lines per data set: how close it comes to the paper, and what is better than NARM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from reproduce.evaluation import comparisons
from reproduce.evaluation.comparisons import Pair
from reproduce.evaluation.uncertainty import ALPHA
from reproduce.evaluation.verdicts import MARGIN
from reproduce.reports import page as pages
from reproduce.reports.comparison import Cells, Line
from reproduce.reports.measuring import METRICS

NARM = "NARM"


def told(
    title: str,
    dataset: str,
    lines: Sequence[Line],
    cells: Mapping[str, Cells],
    unseen: np.ndarray | None,
    folder: Path,
) -> list[str]:
    """Return the lines for a data set that the paper has.

    Args:
        title: the data set's title, as shown.
        dataset: its name.
        lines: the rows of the main table.
        cells: their measurements, by metric.
        unseen: (n,) bool, the targets that train lacks; None if not known.
        folder: the results folder of the page; causes are links if it contains findings.md.
    """
    papers = [line for line in lines if line.theirs and line.prediction and line.label != "POP"]
    return [f"**{title}.** {_nearness(dataset, papers, unseen, folder)}", *_above_narm(title, cells)]


def _nearness(dataset: str, papers: Sequence[Line], unseen: np.ndarray | None, folder: Path) -> str:
    near, total, off, absent = 0, 0, [], []
    for line in papers:
        if not line.predicted_runs:
            absent.append(line.label)
            continue
        gaps = []
        for metric, name in METRICS.items():
            value = line.predicted(metric, dataset, unseen)
            assert value is not None
            gap = value - getattr(line.theirs, metric)
            total += 1
            near += abs(gap) <= MARGIN
            if abs(gap) > MARGIN:
                gaps.append(f"{name} {gap:+.1f}")
        if gaps:
            why = pages.cause(dataset, line.label, folder)
            off.append(f"{line.label} {', '.join(gaps)}" + f" ({why})" * bool(why))
    text = f"Of the {total} numbers that public code predicts, {near} lie within {MARGIN} points of the paper's"
    text += " (POP, whose numbers are small, is left out)"
    text += f"; not {'; '.join(off)}." if off else "."
    return text + (f" Not run: {', '.join(absent)}." if absent else "")


def _above_narm(title: str, cells: Mapping[str, Cells]) -> list[str]:
    """Name the rows that are above NARM by more than noise, with intervals that hold for all pairs at once."""
    if not all(NARM in one.measured and len(one.measured) > 1 for one in cells.values()):
        return []
    above, unjudged = [], []
    for metric, one in cells.items():
        against_narm = {
            pair[0]: effect for pair, effect in comparisons.pairwise(one.measured).items() if pair[1] == NARM
        }
        for better, effect in against_narm.items():
            if isinstance(effect, Pair) and effect.p < ALPHA:
                interval = f"{effect.low:+.1f} to {effect.high:+.1f}"
                above.append(f"{better} in {METRICS[metric]} ({effect.value:+.1f}, {interval})")
        if not all(isinstance(effect, Pair) for effect in against_narm.values()):
            unjudged.append(METRICS[metric])
    told = "; ".join(above) or ("Nothing beyond noise" if len(unjudged) < len(cells) else "")
    if unjudged:
        where = " and ".join(unjudged)
        told += f"{'; not' if told else 'Not'} judged in {where}: single runs, and no row has several seeds"
    return [f"**{title}, better than NARM.** {told}."]
