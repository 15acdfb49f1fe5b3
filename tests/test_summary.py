"""The lines above the main table: which rows are better than NARM, and in which metric that is not judged."""

from __future__ import annotations

import numpy as np

from reproduce.evaluation.uncertainty import Measurement, measure, with_noise
from reproduce.reports import summary
from reproduce.reports.comparison import Cells

SESSIONS = np.arange(4000)


def row(hits: int, *, seeds: int = 1, deterministic: bool = False) -> Measurement:
    """Measure a row that hits the target in the first `hits` of 4,000 sessions, one more or less by seed."""
    values = [np.where(hits + seed > SESSIONS, 100.0, 0.0) for seed in range(seeds)]
    return measure(np.array(values), SESSIONS, deterministic=deterministic)


def told(recall: dict[str, Measurement], mrr: dict[str, Measurement]) -> str:
    cells = {name: Cells(name, with_noise(rows), {}) for name, rows in (("recall", recall), ("mrr", mrr))}
    (line,) = summary._above_narm("A log", cells)
    return line.removeprefix("**A log, better than NARM.** ")


def test_a_row_above_narm_is_named_and_a_metric_without_noise_between_seeds_is_not_judged() -> None:
    judged = {"NARM": row(1000, seeds=2), "V-SKNN": row(2000, deterministic=True)}
    single = {"NARM": row(1000), "V-SKNN": row(2000, deterministic=True)}
    behind = {"NARM": row(2000, seeds=2), "V-SKNN": row(1000, deterministic=True)}
    why = "single runs, and no row has several seeds."
    assert told(judged, behind).startswith("V-SKNN in Recall@20 (+25.0, ")
    assert told(judged, single).startswith("V-SKNN in Recall@20 (+25.0, ")
    assert told(judged, single).endswith(f"; not judged in MRR@20: {why}")
    assert told(behind, single) == f"Nothing beyond noise; not judged in MRR@20: {why}"
    assert told(single, single) == f"Not judged in Recall@20 and MRR@20: {why}"
    assert told(behind, behind) == "Nothing beyond noise."
