"""A run that is killed goes on where it was and ends as if nothing had happened; no checkpoint is trusted blindly."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from reproduce import catalog
from reproduce.errors import InputError
from reproduce.files import replacing
from reproduce.fitting.neural import Neural
from reproduce.fitting.pairwise import Pairwise
from reproduce.fitting.recommender import Journal
from reproduce.runs import record, runner, state_file
from reproduce.runs.checkpoint import RunJournal
from reproduce.runs.experiment import Experiment

HERE = Path(__file__).resolve().parent


def killed_and_resumed(*words: str) -> tuple[dict, list[dict]]:
    told = subprocess.run(
        [sys.executable, HERE / "kill_driver.py", *words],
        env={**os.environ, "PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    whole, *disturbed = [json.loads(line) for line in told.stdout.splitlines()]
    return whole, disturbed


def check(*words: str) -> list[dict]:
    """Kill and resume runs, assert that each ends as the undisturbed run did, and return what came of them."""
    whole, disturbed = killed_and_resumed(*words)
    assert whole["resumed"] == []
    for one in disturbed:
        assert one["signal"] == 9 or one["deadly"] == 0, one["moment"]  # a timed kill may come after the run's end
        assert one["ranks"] == whole["ranks"], one["moment"]
        assert one["epochs"] == whole["epochs"], one["moment"]
        assert one["left"] == whole["left"], "nothing half-written is left behind"
        goes_on = one["kept"] and not one["recorded"]
        assert one["resumed"] == ([one["kept"]] if goes_on else []), "goes on after the last whole epoch"
        finished = whole["moments"][: one["deadly"] or None].count("replaced .checkpoint")
        assert one["kept"] == finished or one["deadly"] == 0 or one["recorded"]
    in_files = [one for one in disturbed if one["moment"].startswith(("writ", "replaced ", "unlink"))]
    assert in_files, "some kills hit a change of files"
    return disturbed


def test_a_run_killed_at_any_of_5_moments_ends_bitwise_as_the_undisturbed_one():
    assert len(check("--kills", "5", "--seed", "6")) == 5


@pytest.mark.slow
def test_a_run_killed_at_any_of_100_moments_ends_bitwise_as_the_undisturbed_one():
    assert len(check("--kills", "100", "--seed", str(int.from_bytes(os.urandom(4), "big")))) == 100


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", sorted(name for name, kind in catalog.recommenders().items() if issubclass(kind, Neural | Pairwise))
)
def test_a_run_killed_at_every_write_rename_and_unlink_ends_as_the_undisturbed_one(model: str):
    hit = {one["moment"] for one in check("--model", model)}
    for suffix in (".npz", ".json", ".checkpoint"):
        assert {f"write {suffix}", f"written {suffix}", f"replaced {suffix}"} <= hit
    assert {"unlink .checkpoint", "unlinked .checkpoint", "unlink .lock", "unlinked .lock"} <= hit


class Stop(Exception):
    """Stands in for a kill in tests that need no real one."""


SMALL = Experiment.of("cycle", "narm", {"embedding": 4, "hidden": 4, "epochs": 2, "batch": 256})


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkpoint of a run that stopped after its first epoch."""
    save = RunJournal.save

    def save_and_stop(self: RunJournal, state: dict) -> None:
        save(self, state)
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(RunJournal, "save", save_and_stop)
        with pytest.raises(Stop):
            run(tmp_path)
    return tmp_path / f"{SMALL.path}.checkpoint"


def run(results: Path, **options: bool) -> record.Result:
    how = runner.RunOptions(data=Path(), results=results, device="cpu", quiet=True, **options)
    return runner.run_with(how, SMALL)


def rewrite(checkpoint: Path, **values: object) -> None:
    """Write other values, with a checksum that fits."""
    kept = state_file.read(checkpoint, "checkpoint", "")
    state_file.write(checkpoint, "checkpoint", {**kept, **values})


def refused(checkpoint: Path, why: str, results: Path) -> None:
    """Assert that a line names the file, why, and --fresh as the remedy, that the file is kept, and --fresh works."""
    before = checkpoint.read_bytes()
    with pytest.raises(InputError) as told:
        run(results)
    line = str(told.value)
    assert str(checkpoint) in line and why in line and "--fresh" in line and "\n" not in line
    assert checkpoint.read_bytes() == before
    assert not list(results.rglob("*.json"))
    assert run(results, fresh=True).environment["resumed"] == []


def test_an_interrupted_run_goes_on_with_the_same_command_also_under_force(begun: Path, tmp_path: Path):
    assert [one["epochs"] for one in run(tmp_path, force=True).environment["resumed"]] == [1]


@pytest.mark.parametrize("force", [False, True])
def test_a_run_killed_between_its_record_and_clearing_up_is_done_and_cleared_up(
    begun: Path, tmp_path: Path, force: bool
):
    finished = begun.read_bytes()
    run(tmp_path)
    begun.write_bytes(finished)
    os.utime(begun, (0, 0))  # written before the record
    again = run(tmp_path, force=force)
    assert len(again.environment["resumed"]) == (0 if force else 1)  # trained anew if forced, else the earlier record
    assert not list(tmp_path.rglob("*.checkpoint")) and not list(tmp_path.rglob("*.lock"))


def test_the_checkpoint_of_a_run_made_again_is_kept_beside_the_old_record(begun: Path, tmp_path: Path):
    under_way = begun.read_bytes()
    run(tmp_path)
    begun.write_bytes(under_way)
    os.utime(begun)  # newer than the record
    run(tmp_path)
    assert begun.read_bytes() == under_way


def test_a_truncated_checkpoint_is_named_and_not_used(begun: Path, tmp_path: Path):
    begun.write_bytes(begun.read_bytes()[:-1000])
    refused(begun, "not a whole checkpoint", tmp_path)


def test_a_flipped_bit_is_found(begun: Path, tmp_path: Path):
    raw = bytearray(begun.read_bytes())
    raw[len(raw) // 2] ^= 1
    begun.write_bytes(raw)
    refused(begun, "not a whole checkpoint", tmp_path)


def test_a_checkpoint_of_another_identity_is_named_and_not_used(begun: Path, tmp_path: Path):
    rewrite(begun, identity="0" * 64)
    refused(begun, "another split, other fields or another schema", tmp_path)


@pytest.mark.parametrize(("version", "told"), [("1.0.0", "1.0.0"), ("\n# x", r"\n# x")])
def test_a_checkpoint_of_another_torch_is_named_and_not_used(begun: Path, tmp_path: Path, version: str, told: str):
    rewrite(begun, torch=version)
    refused(begun, f"written by torch {told}, this is", tmp_path)


def test_a_checkpoint_whose_weights_do_not_fit_is_not_used(begun: Path, tmp_path: Path):
    rewrite(begun, state={"epoch": 1, "best": {}, "network": {}, "optimiser": {}})
    refused(begun, "does not fit narm", tmp_path)


def test_a_packed_checkpoint_is_not_unpacked(begun: Path, tmp_path: Path):
    whole, packed = io.BytesIO(begun.read_bytes().partition(b"\n")[2]), io.BytesIO()
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as other:
        for name in archive.namelist():
            other.writestr(name, archive.read(name))
    begun.write_bytes(state_file._head("checkpoint", packed.getvalue()) + packed.getvalue())
    refused(begun, "not a checkpoint of this suite", tmp_path)


@pytest.mark.parametrize("model", ["gru4rec", "sr_gnn", "stamp", "improved_gru_rec", "bpr_mf", "fpmc"])
def test_what_every_trained_model_saves_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str):
    cell = Experiment.of("cycle", model, {"epochs": 2, "batch": 64})
    save = RunJournal.save

    def save_and_stop(self: RunJournal, state: dict) -> None:
        save(self, state)
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(RunJournal, "save", save_and_stop)
        with pytest.raises(Stop):
            runner.run(cell, data=".", results=tmp_path / "a", device="cpu")
    went_on = runner.run(cell, data=".", results=tmp_path / "a", device="cpu")
    assert [one["epochs"] for one in went_on.environment["resumed"]] == [1]
    whole = runner.run(cell, data=".", results=tmp_path / "b", device="cpu")
    assert (went_on.ranks() == whole.ranks()).all()


class Hostile:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("hostile-code-ran"),)


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_the_code_in_a_hostile_checkpoint_is_never_run(
    begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
):
    monkeypatch.chdir(tmp_path)
    if form == "torch":
        rewrite(begun, state=Hostile())
    else:
        begun.write_bytes(pickle.dumps(Hostile()))
    refused(begun, "not a checkpoint of this suite", tmp_path)
    assert not Path("hostile-code-ran").exists()


def test_a_write_that_fails_leaves_the_old_file_and_says_so_in_a_line(tmp_path: Path):
    kept = tmp_path / "kept"
    kept.write_text("old")
    with pytest.raises(InputError, match="kept: cannot be written"), replacing(kept) as temporary:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")
    assert kept.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]


def test_the_quiet_journal_keeps_nothing(tmp_path: Path):
    journal = Journal()
    journal.save({"epoch": 1})
    assert journal.restore() is None
    RunJournal().save({"epoch": 1})  # a run journal without a place keeps nothing either
    assert RunJournal().restore() is None
