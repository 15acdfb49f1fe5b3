"""Records: made once, used again, and never trusted when incomplete."""

from __future__ import annotations

import json
import subprocess
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pytest
import torch

import reproduce
from reproduce import catalog
from reproduce.errors import InputError, UsageError
from reproduce.evaluation import metrics
from reproduce.fitting import neural
from reproduce.fitting.recommender import Recommender, setting
from reproduce.reading.sessions import Split
from reproduce.runs import environment, experiment, record_shape
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import OtherData, Result, current, load
from reproduce.runs.runner import RunOptions, run, run_with

NARM = {"epochs": 2, "embedding": 4, "hidden": 4}


def make(results: Path, model: str = "item_knn", fields: dict[str, object] | None = None, **options: object) -> Result:
    return run(Experiment("cycle", model, fields or {}), data="nowhere", results=results, device="cpu", **options)  # type: ignore[arg-type]


def test_a_stored_run_is_used_again_and_nothing_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make(tmp_path, "narm", NARM)
    monkeypatch.setattr(catalog.recommender("narm"), "fit", lambda *a, **k: pytest.fail("trained again"))
    second = make(tmp_path, "narm", NARM)
    assert (first.greater == second.greater).all()
    assert first.environment == second.environment
    assert first.attention is not None
    assert second.attention is not None
    assert (first.attention.weights == second.attention.weights).all()


def test_of_two_runs_within_a_second_the_later_is_told_by_its_record() -> None:
    first, second = (environment.circumstances(torch.device("cpu"), 10)["started"] for _ in range(2))
    assert first < second


def test_force_runs_again_and_gives_the_same_ranks(tmp_path: Path) -> None:
    first = make(tmp_path, "narm", NARM)
    place = tmp_path / (first.experiment.path + ".json")
    place.write_text(place.read_text().replace(first.environment["started"], "long ago"))
    second = make(tmp_path, "narm", NARM, force=True)
    assert second.environment["started"] != "long ago"
    for name in record_shape.ARRAYS:
        assert (getattr(first, name) == getattr(second, name)).all()


@pytest.mark.parametrize("model", ["pop", "bpr_mf", "narm"])
def test_a_record_says_what_was_in_force_while_its_model_was_fitted_and_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    fields = {"epochs": 2} if model == "bpr_mf" else NARM if model == "narm" else {}
    kept = make(tmp_path, model, fields).environment
    assert (kept["deterministic_algorithms"], kept["tf32"]) == (True, False)
    fit = catalog.recommender(model).fit

    def careless(self: Recommender, *args: object, **options: object) -> None:
        fit(self, *args, **options)  # type: ignore[arg-type]
        torch.use_deterministic_algorithms(False)
        torch.backends.cuda.matmul.allow_tf32 = True

    monkeypatch.setattr(catalog.recommender(model), "fit", careless)
    kept = make(tmp_path, model, fields, force=True).environment
    assert (kept["deterministic_algorithms"], kept["tf32"]) == (False, True)
    assert not torch.backends.cuda.matmul.allow_tf32  # as it was before the run


def test_what_is_in_force_is_looked_at_inside_the_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neural, "deterministic", nullcontext)
    epoch = neural.Neural._epoch

    def careless(self: neural.Neural, *args: object) -> dict[str, float]:
        torch.use_deterministic_algorithms(args[3] != 1)  # off in the first epoch only
        return epoch(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(neural.Neural, "_epoch", careless)
    assert make(tmp_path, "narm", NARM).environment["deterministic_algorithms"] is False


def test_metrics_are_recomputed_from_the_stored_ranks(tmp_path: Path) -> None:
    made = make(tmp_path)
    kept = load(made.experiment, tmp_path)
    assert kept is not None
    ranks = kept.greater + kept.equal + 1
    assert kept.recall(3) == metrics.parse("recall@3").of_ranks(ranks)
    assert kept.mrr(3) == metrics.parse("mrr@3").of_ranks(ranks)
    split = catalog.load_split("cycle", "nowhere")
    assert kept.length.tolist() == split.test.prefixes()[0].lengths.tolist()
    assert kept.session.tolist() == split.test.prefix_owner().tolist()


def test_the_path_is_the_name_and_default_values_do_not_show_in_it() -> None:
    assert Experiment.of("cycle", "narm", {"hidden": "100"}).path == "runs/cycle/narm-seed0"
    one = Experiment.of("cycle", "narm", {"hidden": 50, "encoder": "global"}, seed=7)
    assert one.path == "runs/cycle/narm,encoder=global,hidden=50-seed7"


def test_the_identity_depends_on_split_fields_and_seed(tmp_path: Path) -> None:
    base = Experiment.of("cycle", "narm")
    others = [
        Experiment.of("cycle", "narm", {"hidden": 50}).identity("a"),
        Experiment.of("cycle", "narm", seed=1).identity("a"),
        Experiment.of("cycle", "pop").identity("a"),
        base.identity("b"),
    ]
    assert len({base.identity("a"), *others}) == 5
    assert Experiment.of("cycle", "narm", {"hidden": 100}).identity("a") == base.identity("a")


def test_a_field_added_later_leaves_the_identity_of_older_records_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(kw_only=True)
    class Old(Recommender):
        name: ClassVar[str] = "grows"
        label: ClassVar[str] = "grows"
        size: int = setting(3)
        fit = score = None  # type: ignore[assignment]

    @dataclass(kw_only=True)
    class New(Old):
        shape: Literal["round", "square"] = setting("square", before="round")

    identities = []
    for kind, fields in ((Old, {}), (New, {"shape": "round"}), (New, {"shape": "square"})):
        monkeypatch.setattr(catalog, "recommenders", lambda kind=kind: {"grows": kind})
        identities.append(Experiment.of("cycle", "grows", fields).identity("a"))
    assert identities[0] == identities[1] != identities[2]


@pytest.mark.parametrize("force", [False, True])
def test_a_record_of_other_data_is_neither_used_nor_replaced(tmp_path: Path, force: bool) -> None:
    made = make(tmp_path)
    split = catalog.load_split("cycle", "nowhere")
    other = Split("cycle", split.train, split.test.take(slice(0, 3)), split.provenance)
    options = RunOptions(data=tmp_path, results=tmp_path, force=force)
    with pytest.raises(OtherData, match="made from other data called cycle"):
        run_with(options, made.experiment, other)
    again = load(made.experiment, tmp_path)
    assert again is not None and again.identity == made.identity


@pytest.mark.parametrize("damage", ["cut json", "no arrays", "other arrays", "other schema", "missing key"])
def test_a_damaged_record_is_named_with_a_remedy(tmp_path: Path, damage: str) -> None:
    made = make(tmp_path)
    table, arrays = (tmp_path / f"{made.experiment.path}.{ending}" for ending in ("json", "npz"))
    content = json.loads(table.read_text())
    if damage == "cut json":
        table.write_text(table.read_text()[:100])
    elif damage == "no arrays":
        arrays.unlink()
    elif damage == "other arrays":
        np.savez(arrays, greater=np.zeros(3))
    elif damage == "other schema":
        table.write_text(json.dumps({**content, "schema": 99}))
    else:
        table.write_text(json.dumps({key: value for key, value in content.items() if key != "fields"}))
    with pytest.raises(InputError, match=r"item_knn-seed0\.(json|npz).*(--force|the suite that wrote it)"):
        load(made.experiment, tmp_path)


def test_arrays_without_a_json_are_no_record(tmp_path: Path) -> None:
    made = make(tmp_path)
    (tmp_path / f"{made.experiment.path}.json").unlink()
    assert load(made.experiment, tmp_path) is None


def test_a_record_made_with_other_defaults_is_outdated(tmp_path: Path) -> None:
    made = make(tmp_path)
    assert current(made)
    table = tmp_path / f"{made.experiment.path}.json"
    content = json.loads(table.read_text())
    content["fields"]["neighbours"] = 7
    content["identity"] = experiment.identity(made.split["digest"], "item_knn", content["fields"], 0, None)
    del content["digest"]
    table.write_text(json.dumps(content))
    kept = load(made.experiment, tmp_path)
    assert kept is not None
    assert not current(kept)


def test_nothing_half_written_is_left_and_the_checkpoint_is_gone(tmp_path: Path) -> None:
    made = make(tmp_path, "narm", NARM)
    names = sorted(file.name for file in (tmp_path / made.experiment.path).parent.iterdir())
    stem = Path(made.experiment.path).name
    assert names == [f"{stem}.json", f"{stem}.npz"]


def test_a_record_holds_no_path_host_or_user(tmp_path: Path) -> None:
    made = make(tmp_path, "narm", NARM)
    text = (tmp_path / f"{made.experiment.path}.json").read_text()
    import getpass
    import platform

    for secret in (str(tmp_path), str(Path.home()), platform.node(), str(Path(experiment.__file__).parent)):
        assert secret not in text
    assert f'"{getpass.getuser()}"' not in text


def test_an_unwritable_results_folder_is_said_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog.recommender("narm"), "fit", lambda *a, **k: pytest.fail("trained"))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write there"):
        make(tmp_path / "file" / "results", "narm", NARM)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "tpu", "meta"])
def test_a_device_that_is_not_there_is_a_usage_error(device: str) -> None:
    with pytest.raises(UsageError, match="device"):
        environment.choose_device(device)


@pytest.mark.parametrize(
    ("file", "dirty"),
    [
        ("baselines/mine.py", True),
        ("datasets/mine.py", True),
        ("reproduce/reports/mine.py", True),
        ("baselines/ignored.py", True),
        ("baselines/notes.txt", False),
        ("mine.py", False),
        ("results/mine.json", False),
        ("README.md", True),
        ("results/table2.md", False),
    ],
)
def test_a_file_that_can_change_a_run_makes_the_commit_unclean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, dirty: bool
) -> None:
    for name in ("reproduce/__init__.py", "reproduce/reports/a.py", "README.md", "results/table2.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / ".gitignore").write_text("ignored.py\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr(reproduce, "__file__", str(tmp_path / "reproduce/__init__.py"))
    commit, before = environment.commit_of_checkout.__wrapped__()
    assert commit and before is False
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("changed")
    assert environment.commit_of_checkout.__wrapped__() == (commit, dirty)
