"""The rows of a page and their noise, which is pooled from the right records and by which rows are marked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reproduce import catalog
from reproduce.evaluation.uncertainty import Estimate, Noise, OneRun, contrast
from reproduce.paper.counting import OURS, Counting
from reproduce.reports import measuring, records
from reproduce.reports.measuring import Seeds, measured
from reproduce.reports.records import Records
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import Result, store

LENGTH = 40  # test prefixes, two a session


def record(model: str, hits: int, seed: int = 0, digest: str = "a" * 64, dataset: str = "diginetica") -> Result:
    """Make a record in which the first `hits` of the 40 prefixes have rank 1, the others rank 101."""
    made = Experiment.of(dataset, model, {}, seed)
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
    monkeypatch.setattr(records, "reference_folder", lambda: tmp_path / "reference")
    return tmp_path / "reference"


def noise(seeds: Seeds, sessions: int = LENGTH // 2) -> dict[str, Noise]:
    """Return the noise of Recall@20 for rows with so many test sessions."""
    return seeds.noise("recall", sessions, measuring.every_prefix, OURS)


def test_the_noise_is_pooled_over_the_rows_of_a_family_with_several_seeds(tmp_path: Path, reference: Path) -> None:
    for seed, hits in enumerate((20, 22)):  # 50 and 55 %: one degree of freedom, residuals 2.5
        store(record("bpr_mf", hits, seed), tmp_path)
    for seed, hits in enumerate((10, 10, 16)):  # 25, 25 and 40 %: two degrees, residuals 5, 5, 10
        store(record("fpmc", hits, seed), tmp_path)
    for seed, hits in enumerate((20, 24)):  # 50 and 60 %, residuals 5
        store(record("narm", hits, seed), tmp_path)
    store(record("gru4rec", 30), tmp_path)
    found = noise(Seeds.of(Records(tmp_path), record("narm", 20)))
    assert {name: one.df for name, one in found.items()} == {"sampled": 3, "softmax": 1}
    assert found["sampled"].variance == pytest.approx((2 * 2.5**2 + 2 * 5.0**2 + 10.0**2) / 3)
    assert found["softmax"].variance == pytest.approx(2 * 5.0**2)


def test_models_without_chance_and_other_splits_say_nothing_of_seeds(tmp_path: Path, reference: Path) -> None:
    for seed in (0, 1):
        store(record("item_knn", 20, seed), tmp_path)
        store(record("narm", 20 + seed, seed, digest="b" * 64), tmp_path)
    assert noise(Seeds.of(Records(tmp_path), record("narm", 20))) == {}


def test_the_reference_tells_the_noise_of_ones_own_single_runs(tmp_path: Path, reference: Path) -> None:
    own = tmp_path / "own"
    store(record("narm", 20), own)
    for seed, hits in enumerate((20, 22)):  # the first is the same run as in the user's own folder
        store(record("narm", hits, seed), reference)
    assert noise(Seeds.of(Records(own), record("narm", 20)))["softmax"].df == 1
    found = measured(
        {"NARM": [record("narm", 20)], "POP": [record("pop", 4)]},
        "recall",
        Seeds.of(Records(own), record("pop", 4)),
    )
    assert isinstance(contrast([(1.0, found["NARM"])]), Estimate)
    assert found["POP"].noise is None


def test_a_family_without_several_seeds_borrows_from_the_data_set_that_knows_most(
    tmp_path: Path, reference: Path
) -> None:
    for dataset, seeds in (("yoochoose1_64", (20, 22, 24)), ("yoochoose1_4", (20, 30)), ("diginetica", (20,))):
        for seed, hits in enumerate(seeds):
            store(record("narm", hits, seed, dataset=dataset, digest=dataset[-1] * 64), reference)
    store(record("fpmc", 20, digest="a" * 64), reference)
    rows = {"NARM": [record("narm", 20, digest="a" * 64)], "FPMC": [record("fpmc", 20, digest="a" * 64)]}
    seeds = Seeds.of(Records(reference), rows["NARM"][0])
    assert seeds.lenders == {"softmax": "yoochoose1_64"}
    found = measured(rows, "recall", seeds)
    part = found["NARM"].by_seed
    assert part is not None
    assert (part.single, part.df, part.lender) == (pytest.approx(2 * 5.0**2 / 2), 2, "yoochoose1_64")
    assert found["FPMC"].unknown  # sampled models have several seeds nowhere
    told = seeds.note([rows["NARM"][0], rows["FPMC"][0]])
    borrowed = "networks trained by a softmax over all items (borrowed from YOOCHOOSE 1/64 with 2 degrees of freedom)"
    assert f"5.00 / 5.00 for {borrowed}" in told
    # With a quarter of the test sessions, the noise is taken to have four times the variance.
    assert noise(seeds, LENGTH // 8)["softmax"].variance == pytest.approx(4 * 25.0)
    assert noise(seeds, LENGTH)["softmax"].variance == pytest.approx(25.0)


def test_where_nothing_tells_the_noise_between_seeds_rows_are_not_judged(tmp_path: Path, reference: Path) -> None:
    rows = {"NARM": [record("narm", 30)], "FPMC": [record("fpmc", 10)], "POP": [record("pop", 5)]}
    found = measured(rows, "recall", Seeds.of(Records(tmp_path), rows["NARM"][0]))
    assert isinstance(contrast([(1.0, found["NARM"])]), OneRun)
    assert measuring.half_width(found["NARM"]) > 0
    assert measuring.marks(found) == {"NARM": "highest", "FPMC": "not judged", "POP": "not judged"}


def test_the_highest_is_marked_and_what_may_be_as_good() -> None:
    alike = record("item_knn", 31)
    rows = {
        "Item-KNN": [alike],
        "S-KNN": [replace(alike, greater=np.roll(alike.greater, 2))],
        "POP": [record("pop", 2)],
    }
    found = measuring.marks(measured(rows, "recall", Seeds({})))
    assert found == {"Item-KNN": "highest", "S-KNN": "equal", "POP": "behind"}


def test_the_noise_is_told_by_family_with_its_degrees_of_freedom() -> None:
    two = tuple(record("narm", hits, seed) for seed, hits in enumerate((20, 22)))
    alike = tuple(record("gru4rec", hits, seed) for seed, hits in enumerate((8, 10, 12)))
    assert Seeds(measuring.several([two, alike])).note([*two, *alike]) == (
        "Standard deviation between seeds, Recall@20 / MRR@20 in points: 3.54 / 3.54 for networks trained by a softmax "
        "over all items (1 row with several seeds, 1 degree of freedom); 5.00 / 5.00 for models trained by pairs or "
        "sampled items (1 row with several seeds, 2 degrees of freedom)."
    )
    assert "3.54" not in Seeds(measuring.several([two, alike])).note(alike)
    assert Seeds({}).note(two).startswith("Noise between seeds is not known")


def test_a_row_is_measured_by_the_rule_of_counting_asked_for() -> None:
    """Of 40 targets 10 are first, and 30 are tied with one item for places 20 and 21."""
    one = record("item_knn", 10)
    missed = one.greater > 0
    rows = {"Item-KNN": [replace(one, greater=np.where(missed, 19, 0), equal=np.where(missed, 1, 0))]}
    for ties, value in (("against", 25.0), ("at random", 62.5), ("in favour", 100.0)):
        rule = Counting(ties=ties)  # type: ignore[arg-type]
        assert measured(rows, "recall", Seeds({}), rule=rule)["Item-KNN"].value == pytest.approx(value)
