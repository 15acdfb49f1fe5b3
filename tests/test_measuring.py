"""The rows of a page and their noise, which is pooled from the right records and by which rows are marked."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reproduce import catalog
from reproduce.evaluation.uncertainty import Estimate, OneRun
from reproduce.paper.counting import Counting
from reproduce.reports import measuring
from reproduce.reports import page as pages
from reproduce.reports.measuring import Seeds, measured
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import Result, store

LENGTH = 40  # test prefixes, two a session


def record(model: str, hits: int, seed: int = 0, digest: str = "a" * 64) -> Result:
    """Make a record in which the first `hits` of the 40 prefixes have rank 1, the others rank 101."""
    made = Experiment.of("diginetica", model, {}, seed)
    return Result(
        experiment=made,
        identity=made.identity(digest),
        fields=catalog.identifying(made.recommender()),
        split={
            "digest": digest,
            "n_items": 1000,
            "provenance": {
                "source": "made up",
                "order": "time",
                "emulated": False,
                "files": {},
                "counts": {"test_sequences": LENGTH},
                "published": {},
                "note": "",
            },
        },
        epochs=[],
        environment={"device": "none", "threads": 1, "torch": "0", "commit": None, "dirty": None, "resumed": []},
        session=np.arange(LENGTH) // 2,
        length=np.arange(LENGTH) % 2 + 1,
        greater=np.where(np.arange(LENGTH) < hits, 0, 100),
        equal=np.zeros(LENGTH, dtype=np.int64),
    )


@pytest.fixture
def reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pages, "reference_folder", lambda: tmp_path / "reference")
    return tmp_path / "reference"


def test_the_noise_is_pooled_over_all_rows_with_several_seeds(tmp_path: Path, reference: Path) -> None:
    for seed, hits in enumerate((20, 22)):  # 50 and 55 %: one degree of freedom, residuals 2.5
        store(record("narm", hits, seed), tmp_path)
    for seed, hits in enumerate((10, 10, 16)):  # 25, 25 and 40 %: two degrees, residuals 5, 5, 10
        store(record("fpmc", hits, seed), tmp_path)
    store(record("gru4rec", 30), tmp_path)
    noise = Seeds.of(tmp_path, record("narm", 20)).noise("recall")
    assert noise is not None
    assert noise.df == 3
    assert noise.sigma == pytest.approx(math.sqrt((2 * 2.5**2 + 2 * 5.0**2 + 10.0**2) / 3))


def test_models_without_chance_and_other_splits_say_nothing_of_seeds(tmp_path: Path, reference: Path) -> None:
    for seed in (0, 1):
        store(record("item_knn", 20, seed), tmp_path)
        store(record("narm", 20 + seed, seed, digest="b" * 64), tmp_path)
    assert Seeds.of(tmp_path, record("narm", 20)).noise("recall") is None


def test_the_reference_tells_the_noise_of_ones_own_single_runs(tmp_path: Path, reference: Path) -> None:
    own = tmp_path / "own"
    store(record("narm", 20), own)
    for seed, hits in enumerate((20, 22)):  # the first is the same run as in the user's own folder
        store(record("narm", hits, seed), reference)
    noise = Seeds.of(own, record("narm", 20)).noise("recall")
    assert noise is not None
    assert noise.df == 1
    found = measured(
        {"NARM": [record("narm", 20)], "POP": [record("pop", 4)]}, "recall", Seeds.of(own, record("pop", 4))
    )
    assert isinstance(measuring.alone(found["NARM"]), Estimate)
    assert found["POP"].noise is None


def test_where_nothing_tells_the_noise_between_seeds_rows_are_not_judged(tmp_path: Path, reference: Path) -> None:
    rows = {"NARM": [record("narm", 30)], "FPMC": [record("fpmc", 10)], "POP": [record("pop", 5)]}
    found = measured(rows, "recall", Seeds.of(tmp_path, rows["NARM"][0]))
    assert isinstance(measuring.alone(found["NARM"]), OneRun)
    assert measuring.half_width(measuring.alone(found["NARM"])) > 0
    assert measuring.marks(found) == {"NARM": "highest", "FPMC": "not judged", "POP": "not judged"}


def test_the_highest_is_marked_and_what_may_be_as_good() -> None:
    alike = record("item_knn", 31)
    rows = {
        "Item-KNN": [alike],
        "S-KNN": [replace(alike, greater=np.roll(alike.greater, 2))],
        "POP": [record("pop", 2)],
    }
    found = measuring.marks(measured(rows, "recall", Seeds(())))
    assert found == {"Item-KNN": "highest", "S-KNN": "equal", "POP": "behind"}


def test_rows_of_another_split_are_left_out() -> None:
    rows = {"NARM": [record("narm", 3)], "POP": [], "FPMC": [record("fpmc", 3, digest="b" * 64)]}
    assert list(measuring.of_one_split(rows)) == ["NARM"]


def test_the_noise_is_told_with_its_degrees_of_freedom_and_what_shows_it() -> None:
    two, three = (
        [record("narm", hits, seed) for seed, hits in enumerate((20, 22))],
        [record("fpmc", 9, s) for s in (0, 1, 2)],
    )
    assert Seeds((tuple(two),)).told("recall") == (
        "Noise between seeds: a standard deviation of 3.54 points of Recall@20, 1 degree of freedom, from 1 row with "
        "several seeds."
    )
    told = Seeds((tuple(two), tuple(three))).told("mrr")
    assert "points of MRR@20, 3 degrees of freedom, from 2 rows with several seeds, their own from 0.00 to " in told
    assert told.endswith("those of the less steady ones too narrow.") and "(Bartlett's test: p < 0.0001)" in told
    alike = [record("gru4rec", hits, seed) for seed, hits in enumerate((8, 10, 12))]
    assert Seeds((tuple(two), tuple(alike))).told("recall").endswith("with several seeds, their own from 3.54 to 5.00.")
    assert Seeds(()).told("recall").startswith("Noise between seeds, Recall@20: not known")


def test_a_row_is_measured_by_the_rule_of_counting_asked_for() -> None:
    """Of 40 targets 10 are first, and 30 are tied with one item for places 20 and 21."""
    one = record("item_knn", 10)
    missed = one.greater > 0
    rows = {"Item-KNN": [replace(one, greater=np.where(missed, 19, 0), equal=np.where(missed, 1, 0))]}
    for ties, value in (("against", 25.0), ("at random", 62.5), ("in favour", 100.0)):
        rule = Counting(ties=ties)  # type: ignore[arg-type]
        assert measured(rows, "recall", Seeds(()), rule=rule)["Item-KNN"].value == pytest.approx(value)
