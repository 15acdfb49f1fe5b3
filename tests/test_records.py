"""The records of a folder are found by what they say of themselves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reproduce.paper.rows import Row
from reproduce.reports import records
from reproduce.reports.records import Records
from reproduce.runs.experiment import Experiment
from reproduce.runs.runner import run

FIELDS = {"neighbours": 3}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for model, fields, seed in (("pop", {}, 0), ("item_knn", FIELDS, 0), ("item_knn", FIELDS, 4), ("item_knn", {}, 2)):
        run(Experiment("cycle", model, fields, seed), data=".", results=tmp_path, device="cpu")  # type: ignore[arg-type]
    return tmp_path


def test_every_record_is_read_as_one_of_the_experiment_it_says_it_is_of(results: Path) -> None:
    own = Records(results)
    assert [result.experiment for result in own.readable("cycle")] == [
        Experiment("cycle", "item_knn", FIELDS),
        Experiment("cycle", "item_knn", FIELDS, 4),
        Experiment("cycle", "item_knn", {}, 2),
        Experiment("cycle", "pop"),
    ]
    assert own.readable("diginetica") == []


def test_a_row_gets_the_records_of_its_model_and_fields_only(results: Path) -> None:
    own = Records(results)
    assert [one.experiment.seed for one in own.results(Row("", "item_knn", FIELDS), "cycle")] == [0, 4]
    assert [one.experiment.seed for one in own.results(Row("", "item_knn"), "cycle")] == [2]
    assert own.remarks() == []


def test_a_renamed_and_a_broken_record_are_said_once_and_left_out(results: Path) -> None:
    place = results / "runs/cycle"
    for ending in (".json", ".npz"):
        (place / f"pop-seed0{ending}").rename(place / f"pop-seed1{ending}")
    (place / "item_knn-seed2.json").write_text("[]")
    own = Records(results)
    assert own.results(Row("", "pop"), "cycle") == own.results(Row("", "item_knn"), "cycle") == []
    assert sorted(line.partition(" (")[0] for line in own.remarks()) == [
        "item_knn-seed2.json: broken record",
        "pop-seed1.json: is a record of runs/cycle/pop-seed0, not of its own name",
    ]


def test_a_file_is_read_once_until_it_changes(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    load_file = records.load_file
    monkeypatch.setattr(records, "load_file", lambda file: reads.append(file.name) or load_file(file))
    assert len(Records(results).of("cycle")) == 4 and len(reads) == 4
    assert len(Records(results).of("cycle")) == 4 and len(reads) == 4
    os.utime(results / "runs/cycle/pop-seed0.json", ns=(1, 1))
    assert len(Records(results).of("cycle")) == 4 and reads[4:] == ["pop-seed0.json"]
