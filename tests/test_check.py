"""`check` finds every way in which a record may say what its arrays do not."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reproduce.__main__ import main
from reproduce.errors import InputError
from reproduce.reports import check
from reproduce.runs import record_shape, runner
from reproduce.runs.experiment import Experiment

NARM = Experiment.of("cycle", "narm", {"epochs": 2, "hidden": 4, "embedding": 4})


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for one in (NARM, Experiment.of("cycle", "pop")):
        runner.run(one, data=".", results=tmp_path, device="cpu")
    assert main(["table2", "--dataset", "cycle", "--model", "pop", "--results", str(tmp_path), "--quiet"]) == 0
    return tmp_path


def record_file(results: Path) -> Path:
    return results / f"{NARM.path}.json"


def change(results: Path, edit: Callable[[dict], None]) -> None:
    """Edit the record and remove its digest, as someone who knows of the digest would.

    A record without a digest counts as one from before there were digests.
    """
    content = json.loads(record_file(results).read_text())
    edit(content)
    del content["digest"]
    record_file(results).write_text(json.dumps(content))


def change_arrays(results: Path, edit: Callable[[dict], None]) -> None:
    file = record_file(results).with_suffix(".npz")
    with np.load(file) as kept:
        arrays = dict(kept)
    edit(arrays)
    np.savez_compressed(file, **arrays)
    change(results, lambda content: content.update(arrays_sha256=hashlib.sha256(file.read_bytes()).hexdigest()))


def refused(results: Path, *words: str) -> None:
    with pytest.raises(InputError) as told:
        check.report(results)
    for word in words:
        assert word in str(told.value)


def test_what_a_run_stored_is_sound(results: Path) -> None:
    assert "2 records and 1 page are sound" in check.report(results)


def test_a_metric_that_its_ranks_do_not_give_is_named(results: Path) -> None:
    change(results, lambda content: content.update(mrr_at_20=99.0))
    refused(results, NARM.path, "mrr_at_20 is said to be 99.0")


def test_a_record_of_a_newer_schema_is_named(results: Path) -> None:
    change(results, lambda content: content.update(schema=99))
    refused(results, "schema 99")


def test_a_changed_field_does_not_fit_the_identity(results: Path) -> None:
    change(results, lambda content: content["fields"].update(batch=64))
    refused(results, "its identity does not follow")


def test_an_epoch_not_chosen_on_validation_is_named(results: Path) -> None:
    def edit(content: dict) -> None:
        for one, recall in zip(content["epochs"], (100.0, 50.0), strict=True):
            one["validation_recall"] = recall

    change(results, edit)
    refused(results, "epoch 2 was kept, validation says 1")


def test_ranks_outside_the_catalogue_are_named(results: Path) -> None:
    change_arrays(results, lambda arrays: arrays["greater"].__setitem__(0, 12))
    refused(results, "a rank outside 1 to 12")


def test_an_older_record_is_held_to_the_list_of_those_without_a_digest(results: Path) -> None:
    def without(content: dict) -> None:
        """Only remove the digest."""

    change(results, without)
    listed = results / "older-records.sha256"
    name = record_file(results).relative_to(results)
    listed.write_text(f"{hashlib.sha256(record_file(results).read_bytes()).hexdigest()}  {name}\n")
    assert "2 records and 1 page are sound" in check.report(results)
    content = json.loads(record_file(results).read_text())
    content["split"]["provenance"]["note"] = "from elsewhere"  # nothing else depends on it
    record_file(results).write_text(json.dumps(content))
    refused(results, f"{name}: changed after it was written: its sha256 is not in older-records.sha256")


def test_missing_prefixes_are_named(results: Path) -> None:
    change_arrays(results, lambda a: a.update({key: a[key][1:] for key in record_shape.ARRAYS}))
    refused(results, "179 prefixes where 180 are due", "59 test sessions where 60 are due")


def test_prefixes_that_skip_a_length_are_named(results: Path) -> None:
    change_arrays(results, lambda arrays: arrays["length"].__setitem__(-1, 9))
    refused(results, "the prefixes of a session do not count 1, 2, 3")


def test_a_truncated_record_is_named_and_the_others_are_still_checked(results: Path) -> None:
    record_file(results).write_text(record_file(results).read_text()[:100])
    (results / "table2.md").write_text("old")
    refused(results, NARM.path, "broken record", "table2.md: not what its records give")


def test_a_record_under_anothers_name_is_named(results: Path) -> None:
    for ending in (".json", ".npz"):
        shutil.copy(results / f"{NARM.path}{ending}", results / f"runs/cycle/narm-seed7{ending}")
    refused(results, "narm-seed7.json: is a record of")


def test_the_command_exits_0_on_sound_records_and_3_otherwise(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--results", str(results)]) == 0
    change(results, lambda content: content.update(recall_at_20=1.0))
    assert main(["check", "--results", str(results)]) == 3
    assert "recall_at_20" in capsys.readouterr().err
    assert main(["check", "--results", str(results / "nothing")]) == 3
