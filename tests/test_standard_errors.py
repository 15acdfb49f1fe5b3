"""Standard errors from influences are those of the bootstrap over whole sessions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reproduce.evaluation.uncertainty import (
    Estimate,
    Judged,
    contrast,
    difference,
    gain_difference,
    measure,
    relative_gain,
)

REFERENCE = Path(__file__).resolve().parent.parent / "results" / "runs" / "yoochoose1_64"


def log(seed: int, sessions: int = 30) -> tuple[np.random.Generator, np.ndarray]:
    """Return a generator and the session of each prefix: 1 to about 15 prefixes a session, in mixed order."""
    rng = np.random.default_rng(seed)
    return rng, rng.permutation(np.repeat(np.arange(sessions), rng.geometric(0.3, sessions)))


def judged(one: Judged) -> Estimate:
    assert isinstance(one, Estimate)
    return one


def resampled_sd(statistic: Callable[[np.ndarray], np.ndarray], sessions: int, replicates: int = 20_000) -> float:
    """Return the bootstrap's standard error of a statistic of how often sessions are drawn, (replicates, sessions)."""
    rng = np.random.default_rng(0)
    drawn = [
        statistic(rng.multinomial(sessions, np.full(sessions, 1 / sessions), 1_000)) for _ in range(replicates // 1_000)
    ]
    return float(np.concatenate(drawn).std())


def test_the_standard_error_of_a_difference_is_the_bootstraps():
    rng, session = log(3, 300)
    ease = rng.random(300)[session]
    a, b = (100.0 * (rng.random((2, len(session))) < ease) for _ in range(2))
    found = judged(difference(*(measure(one.mean(0)[None], session, deterministic=True) for one in (a, b))))
    totals, counts = np.bincount(session, a.mean(0) - b.mean(0)), np.bincount(session)
    expected = resampled_sd(lambda times: times @ totals / (times @ counts), 300)
    assert np.sqrt(found.session_variance) == pytest.approx(expected, rel=0.02)


def test_the_standard_error_of_a_gain_and_of_a_difference_of_gains_is_the_bootstraps():
    rng, session = log(4, 300)
    ease, short = rng.uniform(0.3, 0.9, 300)[session], rng.random(len(session)) < 0.6
    hits = [100.0 * (rng.random((2, len(session))) < ease + shift) for shift in (0.08, 0.0)]
    rows = {
        (i, key): measure(hits[i].mean(0)[None], session, where, deterministic=True)
        for i in range(2)
        for key, where in (("all", None), ("short", short), ("long", ~short))
    }
    totals = {
        (i, key): np.bincount(session[where], hits[i].mean(0)[where], 300)
        for i in range(2)
        for key, where in (("all", np.ones(len(session), bool)), ("short", short), ("long", ~short))
    }

    def gain(times: np.ndarray, key: str) -> np.ndarray:
        return 100 * ((times @ totals[0, key]) / (times @ totals[1, key]) - 1)

    once = np.ones((1, 300))
    found = judged(relative_gain(rows[0, "all"], rows[1, "all"]))
    assert found.value == pytest.approx(gain(once, "all")[0])
    assert np.sqrt(found.session_variance) == pytest.approx(resampled_sd(lambda t: gain(t, "all"), 300), rel=0.02)
    both = judged(gain_difference((rows[0, "long"], rows[1, "long"]), (rows[0, "short"], rows[1, "short"])))
    assert both.value == pytest.approx(gain(once, "long")[0] - gain(once, "short")[0])
    expected = resampled_sd(lambda t: gain(t, "long") - gain(t, "short"), 300)
    assert np.sqrt(both.session_variance) == pytest.approx(expected, rel=0.03)


@pytest.mark.skipif(not (REFERENCE / "narm-seed0.npz").is_file(), reason="the committed records are not here")
def test_on_the_reference_records_the_standard_error_is_the_bootstraps():
    kept = {name: np.load(REFERENCE / f"{name}-seed0.npz") for name in ("narm", "improved_gru_rec", "item_knn")}
    session = kept["narm"]["session"].astype(np.int64)
    hits = {name: 100.0 * (one["greater"] + one["equal"] < 20) for name, one in kept.items()}
    rows = {name: measure(one[None], session, deterministic=True) for name, one in hits.items()}
    columns = [hits["narm"], hits["narm"] - hits["improved_gru_rec"], hits["narm"] - hits["item_knn"]]
    totals, counts = np.stack([np.bincount(session, one) for one in columns], 1), np.bincount(session).astype(float)
    rng = np.random.default_rng(0)
    times = (rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), 100) for _ in range(20))
    drawn = np.concatenate([one @ totals / (one @ counts)[:, None] for one in times])  # (replicates, columns)
    found = [
        judged(contrast([(1, rows["narm"])])),
        judged(difference(rows["narm"], rows["improved_gru_rec"])),
        judged(difference(rows["narm"], rows["item_knn"])),
    ]
    assert [one.s for one in found] == pytest.approx(list(drawn.std(0)), abs=0.01)
