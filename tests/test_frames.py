"""A data frame of clicks is split as the file with the same clicks is, and its own ids come back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import reproduce
from reproduce.errors import UsageError

RULES = {"test_share": 0.3, "min_support": 1}


def clicks() -> pd.DataFrame:
    """40 sessions of two to six clicks on nine items, called v0, v1, ..., with columns of unusual names."""
    rng = np.random.default_rng(0)
    rows = [
        (f"v{session}", f"item {rng.integers(9)}", 1_500_000_000 + 1000 * session + click)
        for session in range(40)
        for click in range(rng.integers(2, 7))
    ]
    return pd.DataFrame(rows, columns=["visit", "thing", "moment"])


def test_a_frame_gives_the_split_of_its_file(tmp_path: Path) -> None:
    clicks().to_csv(tmp_path / "clicks.csv", index=False)
    names = {"session": "visit", "item": "thing", "time": "moment"}
    framed = reproduce.load_split(clicks(), **names, rules=RULES)
    filed = reproduce.load_split(tmp_path / "clicks.csv", **names, rules=RULES)
    assert framed.digest == filed.digest and framed.name == f"frame-{framed.digest[:8]}"
    assert framed.train.lists() == filed.train.lists() and framed.test.lists() == filed.test.lists()


def test_ranks_of_a_frames_split_name_its_own_sessions() -> None:
    split = reproduce.load_split(clicks(), session="visit", item="thing", time="moment", rules=RULES)
    assert split.test_sessions is not None and set(split.test_sessions) <= {f"v{i}" for i in range(28, 40)}
    lengths = split.test.prefixes()[0].lengths
    ranks = pd.DataFrame({"session": split.test_sessions[split.test.prefix_owner()], "length": lengths, "rank": 2})
    found = reproduce.compare(split, {"second": ranks, "first": ranks.assign(rank=1)}, metric=["mrr@20"])
    assert found["MRR@20", "value"].tolist() == [50.0, 100.0]


def test_columns_and_rules_are_for_a_log_of_ones_own() -> None:
    with pytest.raises(UsageError, match="cycle: columns are for a log of your own"):
        reproduce.load_split("cycle", item="thing")
    with pytest.raises(UsageError, match="cycle: test_days are for a log of your own"):
        reproduce.load_split("cycle", rules={"test_days": 2})


def test_columns_may_be_named_both_ways() -> None:
    frame = pd.DataFrame({"visit": ["a", "a"] * 9, "product": [1, 2] * 9, "time": range(18)})
    frame["visit"] += (frame.index // 2).astype(str)
    for item in (["item=product"], "item=product", {"item": "product"}):
        split = reproduce.load_split(frame, session="visit", rules={"columns": item, "test_share": 0.2})
        assert split.train.n_items == 2
