"""A kept model scores as the fitted one did, is refused if it was changed, and recommends in the log's own ids."""

from __future__ import annotations

import csv
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import reproduce
from reproduce import catalog
from reproduce.__main__ import main
from reproduce.errors import InputError, ModelError, UsageError
from reproduce.evaluation.ranking import rank_all
from reproduce.runs import kept_model, state_file
from reproduce.runs.experiment import Experiment
from reproduce.runs.runner import run

EPOCH = {"epochs": 1}
MODELS = {name: EPOCH if hasattr(kind, "epochs") else {} for name, kind in catalog.recommenders().items()}


def kept(tmp_path: Path, name: str, fields: dict[str, int] | None = None) -> Path:
    experiment = Experiment.of("cycle", name, fields or {})
    run(experiment, data=tmp_path, results=tmp_path, device="cpu", keep_model=True)
    return experiment.file(tmp_path, kept_model.ENDING)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_kept_and_ranks_as_its_record(name: str, tmp_path: Path) -> None:
    place = kept(tmp_path, name, MODELS[name])
    again = reproduce.load_model(place, "cpu")
    result = run(again.experiment, data=tmp_path, results=tmp_path)
    prefixes, targets = catalog.load_split("cycle", tmp_path).test.prefixes()
    greater, equal = rank_all(again.model, prefixes, targets)
    assert greater.tolist() == result.greater.tolist() and equal.tolist() == result.equal.tolist()
    assert again.identity == result.identity


def test_a_record_that_is_there_stays_and_the_model_joins_it(tmp_path: Path) -> None:
    experiment = Experiment.of("cycle", "narm", EPOCH)
    run(experiment, data=tmp_path, results=tmp_path, device="cpu")
    table = tmp_path / f"{experiment.path}.json"
    before = table.read_bytes()
    place = kept(tmp_path, "narm", EPOCH)
    assert place.is_file() and table.read_bytes() == before
    written = place.stat().st_mtime_ns
    kept(tmp_path, "narm", EPOCH)
    assert place.stat().st_mtime_ns == written


def test_a_run_made_again_with_other_ranks_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = Experiment.of("cycle", "item_knn")
    run(experiment, data=tmp_path, results=tmp_path, device="cpu")
    kind = catalog.recommender("item_knn")
    score = kind.score
    monkeypatch.setattr(kind, "score", lambda self, prefixes: -score(self, prefixes))
    with pytest.raises(ModelError, match="made again to be kept, it gave other ranks than its record"):
        kept(tmp_path, "item_knn")
    assert not list(tmp_path.rglob("*.model"))


@pytest.mark.parametrize("harm", ["flip", "cut", "head", "pickle"])
def test_a_changed_file_is_refused(harm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = kept(tmp_path, "pop")
    raw = bytearray(place.read_bytes())
    if harm == "flip":
        raw[len(raw) // 2] ^= 1
    elif harm == "cut":
        raw = raw[:-10]
    elif harm == "head":
        raw[0] ^= 1
    else:
        raw = bytearray(pickle.dumps({"state": {}}))
    assert main(["check", "--results", str(tmp_path)]) == 0
    place.write_bytes(raw)
    with pytest.raises(InputError, match=r"not a (whole )?model"):
        reproduce.load_model(place)
    assert main(["check", "--results", str(tmp_path)]) == 3
    assert "runs/cycle/pop-seed0.model: not a " in capsys.readouterr().err


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("never"),))  # type: ignore[return-value]


def test_a_file_that_would_run_code_is_refused_though_its_checksum_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    state_file.write(tmp_path / "x.model", "model", {"state": Hostile()})
    with pytest.raises(InputError, match="not a model of this suite"):
        reproduce.load_model(tmp_path / "x.model")
    assert not Path("never").exists()


def log(place: Path) -> Path:
    rows = [
        f"s{s},item {'abcdefghi'[(s + k) % 9]},{(s // 40) * 86_400 + s * 60 + k}" for s in range(160) for k in range(3)
    ]
    place.write_text("\n".join(["session_id,item_id,timestamp", *rows]) + "\n")
    return place


def test_recommend_speaks_in_the_logs_own_ids_and_shows_the_attention(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my shop").mkdir()
    file = log(tmp_path / "my shop/clicks.csv")
    words = ["--dataset", str(file), "--test-days", "1", "--results", str(tmp_path / "out")]
    settings = ["--set", "narm.epochs=1", "narm.batch=16"]
    assert main(["recommend", "narm", *words, *settings, "--clicks", "item a"]) == 3
    assert capsys.readouterr().err.endswith("no such model is kept; run it with --keep-model\n")
    assert main(["run", "narm", *words, *settings, "--keep-model", "--quiet"]) == 0
    capsys.readouterr()
    asked = ["--clicks", "item a", "item b", "--top", "5"]
    assert main(["recommend", "narm", *words, *settings, *asked]) == 0
    told = capsys.readouterr().out
    place = next((tmp_path / "out").rglob("*.model"))
    model = reproduce.load_model(place)
    best = model.recommend(["item a", "item b"], 5)
    for item, score in best:
        assert f"{item}" in told and f"{score:.4f}" in told
    weights = model.attention(["item a", "item b"])
    assert weights is not None and weights.sum() == pytest.approx(1, abs=1e-5)
    assert all(f"item {one}  " in told and f"{weight:.3f}" in told for one, weight in zip("ab", weights, strict=True))
    assert main(["recommend", str(place), *asked]) == 0
    assert capsys.readouterr().out == told


def test_item_knn_recommends_what_stands_beside_a_click(tmp_path: Path) -> None:
    model = reproduce.load_model(kept(tmp_path, "item_knn"))
    assert {item for item, _ in model.recommend(["5"], 2)} == {"4", "6"}
    assert model.attention(["5"]) is None
    with pytest.raises(UsageError, match="item '12': not among the 12 items"):
        model.recommend(["12"])


def test_several_sessions_get_what_each_gets_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = reproduce.load_model(kept(tmp_path, "narm", EPOCH), "cpu")
    sessions = [["1"], ["4", "5", "6"], ["7", "8"]]
    monkeypatch.setattr(kept_model.ranking, "chunk_rows", lambda n_items: 2)
    for alone, together in zip(map(model.recommend, sessions), model.recommend_each(sessions), strict=True):
        assert [item for item, _ in alone] == [item for item, _ in together]
        assert [score for _, score in alone] == pytest.approx([score for _, score in together], rel=1e-5)
    assert model.recommend([4, np.int64(5), "6"]) == model.recommend(["4", "5", "6"])


def test_seen_items_are_left_out_and_unknown_ones_skipped_where_that_is_asked(tmp_path: Path) -> None:
    model = reproduce.load_model(kept(tmp_path, "item_knn"), "cpu")
    whole = [item for item, _ in model.recommend(["5", "6"], 12)]
    rest = [item for item, _ in model.recommend(["5", "6"], 12, exclude_seen=True)]
    assert rest == [item for item in whole if item not in ("5", "6")]
    assert model.recommend(["5", "new"], skip_unknown=True) == model.recommend(["5"])
    assert model.recommend_each([["new"], ["5"]], 3, skip_unknown=True) == [[], model.recommend(["5"], 3)]
    for clicks in ([], ["new"]):
        with pytest.raises(UsageError, match="no clicks"):
            model.recommend(clicks, skip_unknown=True)


def test_sessions_from_a_file_are_answered_as_csv_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = kept(tmp_path, "item_knn")
    model = reproduce.load_model(place, "cpu")
    file = tmp_path / "sessions.csv"
    file.write_text('session,item,when\n"a, b",5,1\nc,4,1\n"a, b",6,2\nc,new,2\n')
    words = ["recommend", str(place), "--sessions", str(file), "--top", "2", "--device", "cpu"]
    assert main([*words]) == 3
    assert f"{file}: item 'new': not among the 12 items" in capsys.readouterr().err
    due = {"a, b": model.recommend(["5", "6"], 2), "c": model.recommend(["4"], 2)}
    assert main([*words, "--skip-unknown", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["session"]: [tuple(item.values()) for item in one["items"]] for one in told} == due
    assert main([*words, "--skip-unknown"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["session"], row["rank"], row["item"]) for row in rows] == [
        (session, str(rank), item) for session, items in due.items() for rank, (item, _) in enumerate(items, 1)
    ]
    assert main([*words, "--skip-unknown", "--exclude-seen"]) == 0
    assert '"a, b",1,5' not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("session,thing\na,5\n", "no column item; expected session and item"),
        ("session,item\na,5\nb,\n", "row 2: item is missing"),
        ("session,item\n", "it has no rows, expected clicks"),
        ("session,item\na,5,6\n", "line 2: 3 fields in 'a, 5, 6', expected 2"),
    ],
)
def test_a_file_of_sessions_that_cannot_be_read_is_refused(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, file = kept(tmp_path, "pop"), tmp_path / "sessions.csv"
    file.write_text(text)
    assert main(["recommend", str(place), "--sessions", str(file), "--device", "cpu"]) == 3
    told = capsys.readouterr()
    assert told.err.startswith(f"reproduce: {file}: {message}") and not told.out


def test_item_vectors_come_with_the_logs_own_ids(tmp_path: Path) -> None:
    model = reproduce.load_model(kept(tmp_path, "narm", EPOCH), "cpu")
    ids, vectors = model.item_vectors()
    assert ids == [str(i) for i in range(12)] and vectors.shape == (12, 50)
    assert (vectors == model.model.network_.emb.weight.detach().numpy()).all()  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="pop: has no vectors of items"):
        reproduce.load_model(kept(tmp_path, "pop"), "cpu").item_vectors()


def test_what_cannot_be_recommended_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = ["--clicks", "1", "--results", str(tmp_path / "nowhere")]
    assert main(["recommend", "pop", *nowhere]) == 3
    assert "no such model is kept; run it with --keep-model" in capsys.readouterr().err
    place = kept(tmp_path, "pop")
    assert main(["recommend", str(place)]) == 2
    assert "recommend needs --clicks" in capsys.readouterr().err
    assert main(["recommend", str(tmp_path / "none.model"), "--clicks", "1"]) == 3
    assert "no model is there" in capsys.readouterr().err


def test_a_name_finds_the_only_kept_model_or_lists_those_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--dataset", "cycle", "--results", str(tmp_path), "--quiet", "--keep-model", "--model", "item_knn"]
    ask = ["recommend", "item_knn", "--clicks", "1", "--results", str(tmp_path)]
    assert main(["run", *words]) == 0
    assert main(ask) == 0
    assert "item_knn on cycle, after 1" in capsys.readouterr().out
    assert main(["run", *words, "--seed", "1"]) == 0
    assert main(["run", *words, "--set", "item_knn.alpha=0.4"]) == 0
    assert main(ask) == 2
    told = capsys.readouterr().err
    assert "3 models are kept; choose with --dataset, --set, --seed or a file:" in told
    assert told.count(".model\n") == 3
    for choice in (["--seed", "1"], ["--set", "item_knn.alpha=0.4"]):
        assert main([*ask, *choice]) == 0


OWN = """
from dataclasses import dataclass

import numpy as np
import torch

from reproduce import Recommender


@dataclass(kw_only=True)
class Mine(Recommender):
    def fit(self, train, *, seed, device, journal):
        self.rows_ = {"row": np.bincount(train.clicks()[0], minlength=train.n_items).tolist()}

    def score(self, prefixes):
        return torch.tensor([self.rows_["row"]] * len(prefixes), dtype=torch.float32).reshape(len(prefixes), -1)
"""


def test_an_own_model_needs_its_file_of_the_same_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.py"
    file.write_text(OWN)
    place = kept(tmp_path, str(file))
    assert len(reproduce.load_model(place).recommend(["1"])) == 12
    catalog.current().models.clear()
    with pytest.raises(InputError, match=r"a model of your own, mine\.py; name its file too"):
        reproduce.load_model(place)
    file.write_text(OWN + "\n# changed\n")
    reproduce.make_recommender(str(file))
    with pytest.raises(InputError, match=r"another source of mine\.py"):
        reproduce.load_model(place)


def test_what_a_model_learned_that_cannot_be_kept_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        OWN.replace('{"row":', "self.odd_ = iter(()); self.rows_ = {'row':").replace("self.rows_ = self", "self")
    )
    with pytest.raises(ModelError, match="mine: cannot be kept: odd_ is a tuple_iterator"):
        kept(tmp_path, str(file))
    assert not list(tmp_path.rglob("*.model")) and not list(tmp_path.rglob("*.json"))


def test_arrays_of_a_kept_model_are_numbers_only() -> None:
    with pytest.raises(ModelError, match="words_ is a ndarray"):
        kept_model._packed("mine", "words_", np.array(["a"]))


def test_a_sound_file_that_names_no_run_is_of_none(tmp_path: Path) -> None:
    place = kept(tmp_path, "pop")
    result = run(Experiment.of("cycle", "pop"), data=tmp_path, results=tmp_path)
    assert kept_model.fault(kept_model.read(place), result.identity, result.split) == ""
    state_file.write(place, "model", {})
    assert kept_model.fault(kept_model.read(place), result.identity, result.split) == "of another run"


def crafted(place: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change what a kept model holds and give it a checksum that fits, as anyone can who reads the source."""
    kept = state_file.read(place, "model", "")
    edit(kept)
    state_file.write(place, "model", kept)


def parts(kept: dict[str, Any], name: str) -> Any:
    return kept["state"][name][1]


CRAFTED: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "an index far out of range": ("sknn", lambda kept: parts(kept, "contains_")[1].fill_(2**30)),
    "an index below 0": ("sknn", lambda kept: parts(kept, "contains_")[1].fill_(-5)),
    "pointers beyond the end": ("sknn", lambda kept: parts(kept, "contains_")[2].mul_(1000)),
    "counts that are no numbers": ("pop", lambda kept: parts(kept, "clicks_").fill_(float("nan"))),
    "a row of another length": ("pop", lambda kept: kept["state"].update(clicks_=("tensor", torch.zeros(3)))),
    "weights of another shape": (
        "narm",
        lambda kept: parts(kept, "network_").update({key: one[:1] for key, one in parts(kept, "network_").items()}),
    ),
    "weights that are no numbers": (
        "narm",
        lambda kept: [one.fill_(torch.nan) for one in parts(kept, "network_").values()],
    ),
    "more items than it can hold": ("narm", lambda kept: kept.update(n_items=2**40)),
    "a method": ("pop", lambda kept: kept["state"].update(score=("plain", 1))),
    "no state": ("pop", lambda kept: kept.pop("state")),
}


@pytest.mark.parametrize("what", CRAFTED)
def test_a_crafted_model_with_the_right_checksum_is_refused_in_a_line(tmp_path: Path, what: str) -> None:
    name, edit = CRAFTED[what]
    place = kept(tmp_path, name, EPOCH if name == "narm" else None)
    crafted(place, edit)
    with pytest.raises(InputError, match=r"\.model: ") as told:
        reproduce.load_model(place, "cpu").recommend(["1", "2"])
    assert "\n" not in str(told.value)


def test_a_model_of_9_gb_is_refused_by_its_head(tmp_path: Path) -> None:
    place = kept(tmp_path, "pop")
    with place.open("r+b") as stream:
        stream.truncate(9 << 30)  # a sparse file: it takes no room
    with pytest.raises(InputError, match="not a model of this suite"):
        reproduce.load_model(place)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--set", "pop.x=1"], "--set: the file is of one run"),
        (["--seed", "0"], "--seed: the file is of one run"),
        (["--dataset", "synthetic"], "was fitted on cycle, not on synthetic"),
    ],
)
def test_a_model_file_takes_no_options_of_another_run(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = kept(tmp_path, "pop")
    assert main(["recommend", str(place), "--clicks", "1", *words]) == 2
    assert says in capsys.readouterr().err
    assert main(["recommend", str(place), "--clicks", "1", "--dataset", "cycle"]) == 0


def test_how_many_items_is_checked_and_none_may_be_left(tmp_path: Path) -> None:
    model = reproduce.load_model(kept(tmp_path, "pop"), "cpu")
    every = list(map(str, range(model.n_items)))
    for k in (0, -1):
        with pytest.raises(UsageError, match="recommend one item or more"):
            model.recommend(["1"], k)
    assert model.recommend(every, exclude_seen=True) == []
