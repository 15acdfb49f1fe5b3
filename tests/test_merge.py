"""`merge`: records of several machines are checked first; equal ones are kept once, different ones refused by name."""

from __future__ import annotations

import dataclasses
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from reproduce.__main__ import main
from reproduce.errors import InputError
from reproduce.runs import merge as merging
from reproduce.runs.experiment import Experiment
from reproduce.runs.merge import merge
from reproduce.runs.record import load, store
from reproduce.runs.runner import run

POP, S_POP = (Experiment.of("cycle", name) for name in ("pop", "s_pop"))


def made(folder: Path, *experiments: Experiment, keep_model: bool = False) -> Path:
    for one in experiments:
        run(one, data=".", results=folder, device="cpu", keep_model=keep_model)
    return folder


def changed(folder: Path, **values: object) -> None:
    """Change values of POP's record, which stays a sound record."""
    found = load(POP, folder)
    assert found is not None
    store(dataclasses.replace(found, **values), folder)  # type: ignore[arg-type]


def files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_records_are_brought_in_as_they_are_and_equal_ones_are_kept_once(tmp_path: Path) -> None:
    one, two = made(tmp_path / "one", POP), made(tmp_path / "two", POP, S_POP)
    into = made(tmp_path / "into", POP)
    before = (into / f"{POP.path}.json").read_bytes()
    there, brought = "cycle/pop-seed0: there already, with equal ranks", "cycle/s_pop-seed0: brought in"
    assert merge([one, two], into) == [there, there, brought]
    assert (into / f"{POP.path}.json").read_bytes() == before
    for ending in (".json", ".npz"):
        assert (into / f"{S_POP.path}{ending}").read_bytes() == (two / f"{S_POP.path}{ending}").read_bytes()
    assert len(files(into)) == 4
    assert not any("brought in" in line for line in merge([one, two], into))


def test_the_same_run_with_different_ranks_is_refused_and_both_are_named(tmp_path: Path) -> None:
    one, two = made(tmp_path / "one", POP), made(tmp_path / "two", S_POP, POP)
    found = load(POP, two)
    assert found is not None
    greater = np.where(np.arange(len(found.greater)) == 0, (found.greater + 1) % 3, found.greater)
    changed(two, greater=greater, equal=np.zeros_like(found.equal))
    with pytest.raises(InputError, match="with different ranks") as error:
        merge([one, two], tmp_path / "into")
    assert str(one / f"{POP.path}.json") in str(error.value)
    assert str(two / f"{POP.path}.json") in str(error.value)
    assert not (tmp_path / "into").exists(), "nothing is brought in"


def test_records_of_one_name_and_another_cause_are_refused(tmp_path: Path) -> None:
    one, two = made(tmp_path / "one", POP), made(tmp_path / "two", POP)
    changed(two, identity="0" * 64)
    with pytest.raises(InputError, match="one experiment, and not one run"):
        merge([two], one)


def test_a_broken_record_is_refused_before_anything_is_brought_in(tmp_path: Path) -> None:
    one, two = made(tmp_path / "one", POP), made(tmp_path / "two", S_POP)
    (two / f"{S_POP.path}.npz").write_bytes(b"")
    with pytest.raises(InputError, match="s_pop-seed0"):
        merge([one, two], tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_fitted_models_come_with_their_records_and_to_those_that_lack_theirs(tmp_path: Path) -> None:
    one, into = made(tmp_path / "one", POP, S_POP, keep_model=True), made(tmp_path / "into", POP)
    model = "its fitted model brought in"
    assert merge([one], into) == [
        "cycle/pop-seed0: there already, with equal ranks",
        f"cycle/pop-seed0: {model}",
        "cycle/s_pop-seed0: brought in",
        f"cycle/s_pop-seed0: {model}",
    ]
    for path in (POP.path, S_POP.path):
        assert (into / f"{path}.model").read_bytes() == (one / f"{path}.model").read_bytes()
    assert not any(model in line for line in merge([one], into))


def test_a_model_of_another_run_stays_behind_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    one = made(tmp_path / "one", POP, S_POP, keep_model=True)
    (one / f"{POP.path}.model").write_bytes((one / f"{S_POP.path}.model").read_bytes())
    lines = merge([one], tmp_path / "into")
    assert next(line for line in lines if "model" in line) == "cycle/s_pop-seed0: its fitted model brought in"
    assert not (tmp_path / "into" / f"{POP.path}.model").exists()
    (one / f"{S_POP.path}.model").write_bytes(b"half")
    with pytest.raises(InputError, match=r"s_pop-seed0\.model: not a model of this suite"):
        merge([one], tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_command_says_what_it_brought_and_a_folder_without_records_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, into = made(tmp_path / "one", POP), tmp_path / "into"
    assert main(["merge", str(one), "--results", str(into)]) == 0
    assert capsys.readouterr().out == "cycle/pop-seed0: brought in\n"
    assert main(["merge", str(tmp_path / "absent"), "--results", str(into)]) == 3
    assert "absent: holds no records" in capsys.readouterr().err
    assert main(["merge"]) == 2


def test_a_run_that_ends_during_the_merge_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, into = made(tmp_path / "one", POP), tmp_path / "into"
    only_one = merging.only_one

    def meanwhile(lock: Path) -> AbstractContextManager[None]:
        made(into, POP)
        found = load(POP, into)
        assert found is not None
        store(dataclasses.replace(found, greater=found.greater * 0, equal=found.equal * 0), into)
        return only_one(lock)

    monkeypatch.setattr(merging, "only_one", meanwhile)
    with pytest.raises(InputError, match="the same run with different ranks"):
        merge([one], into)
    found = load(POP, into)
    assert found is not None and not found.greater.any()


def test_a_broken_kept_model_gives_way_to_a_sound_one(tmp_path: Path) -> None:
    one, into = made(tmp_path / "one", POP, S_POP, keep_model=True), made(tmp_path / "into", POP, keep_model=True)
    model = into / f"{POP.path}.model"
    sound = model.read_bytes()
    model.write_bytes(b"broken")
    assert "cycle/pop-seed0: its fitted model brought in" in merge([one], into)
    assert model.read_bytes() == sound


def test_files_that_are_left_behind_are_named(tmp_path: Path) -> None:
    one = made(tmp_path / "one", POP, S_POP, keep_model=True)
    model = one / f"{POP.path}.model"
    model.write_bytes((one / f"{S_POP.path}.model").read_bytes())
    half = one / "runs/cycle/narm-seed0.checkpoint"
    half.write_bytes(b"")
    left = [line for line in merge([one], tmp_path / "into") if "brought in" not in line]
    assert left == [f"{file}: left behind, part of no whole run" for file in (half, model)]
