"""What the main table comes to, in two lines a data set: how near the paper, and what is better than NARM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import numpy as np

from reproduce.evaluation import comparisons
from reproduce.evaluation.comparisons import Pair
from reproduce.evaluation.uncertainty import ALPHA
from reproduce.evaluation.verdicts import MARGIN
from reproduce.paper.counting import NARM_CODE
from reproduce.reports import page as pages
from reproduce.reports.comparison import Cells, Line, counted
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
    """The lines for one data set that the paper has; `folder` is the page's, with the findings that it links to."""
    papers = [line for line in lines if line.theirs and _papers(line)]
    return [f"**{title}.** {_nearness(dataset, papers, unseen, folder)}", *_above_narm(title, cells)]


def _papers(line: Line) -> bool:
    return line.original is not None or line.label.startswith(f"{NARM}, ")


def _nearness(dataset: str, papers: Sequence[Line], unseen: np.ndarray | None, folder: Path) -> str:
    near, total, off, absent = 0, 0, [], []
    for line in papers:
        runs = line.original_runs if line.original else line.results
        if not runs:
            absent.append(line.label)
            continue
        gaps = []
        for metric, name in METRICS.items():
            rule = line.original.counted(dataset) if line.original else NARM_CODE
            gap = mean(counted(one, metric, rule, unseen) for one in runs) - getattr(line.theirs, metric)
            total += 1
            near += abs(gap) <= MARGIN
            if abs(gap) > MARGIN:
                gaps.append(f"{name} {gap:+.1f}")
        if gaps:
            why = pages.cause(dataset, line.label, folder)
            off.append(f"{line.label} {', '.join(gaps)}" + f" ({why})" * bool(why))
    text = f"As published, {near} of {total} numbers lie within {MARGIN} points of the paper's"
    text += f"; not {'; '.join(off)}." if off else "."
    return text + (f" Not run: {', '.join(absent)}." if absent else "")


def _above_narm(title: str, cells: Mapping[str, Cells]) -> list[str]:
    """What lies above NARM beyond noise, with intervals that are right for all pairs of the table together."""
    if not all(NARM in one.measured and len(one.measured) > 1 for one in cells.values()):
        return []
    above, unjudged = [], False
    for metric, one in cells.items():
        for (better, worse), pair in comparisons.pairwise(one.measured).items():
            if worse != NARM:
                continue
            if isinstance(pair, Pair) and pair.p < ALPHA:
                above.append(f"{better} in {METRICS[metric]} ({pair.value:+.1f}, {pair.low:+.1f} to {pair.high:+.1f})")
            unjudged |= not isinstance(pair, Pair)
    if unjudged and not above:
        return [f"**{title}, better than NARM.** Not judged: single runs, and no row has several seeds."]
    return [f"**{title}, better than NARM.** {'; '.join(above) if above else 'Nothing beyond noise'}."]
