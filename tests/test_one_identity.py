"""Two logs of one name, or one log read by other rules, are two data sets: nothing of one is taken for the other's."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from reproduce import catalog
from reproduce.__main__ import main
from reproduce.errors import InputError
from reproduce.reading.sessions import Split
from reproduce.runs import kept_model
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import load, store

QUIET = ["--model", "pop", "--device", "cpu", "--quiet", "--results", "out"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def log(place: str, items: str) -> str:
    """Write sessions that go round some items; `items` gives the ids in the order in which they are clicked."""
    rows = [
        f"s{s},{items[(s + k) % len(items)]},{(s // 40) * 86_400 + s * 60 + k}"
        for s in range(160)
        for k in range(2 + s % 3)
    ]
    Path(place).parent.mkdir(exist_ok=True)
    Path(place).write_text("\n".join(["session_id,item_id,timestamp", *rows]) + "\n")
    return place


def names(folder: str = "out/runs") -> list[str]:
    return sorted(place.name for place in Path(folder).iterdir())


def test_two_logs_of_one_name_have_records_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    for place, items in (("a/clicks.csv", "abcdef"), ("b/clicks.csv", "abcdefghi")):
        assert main(["table2", "--dataset", log(place, items), *QUIET]) == 0
    assert len(names()) == 2 and all(name.startswith("clicks-") for name in names())
    for name in names():  # each log has its own pages
        assert "## clicks" in Path("out", name, "table2.md").read_text()
    assert main(["check", "--results", "out"]) == 0
    assert main(["table2", "--stored", *QUIET]) == 0  # and a page of both calls each by its name
    assert all(f"## clicks ({name})" in Path("out/table2.md").read_text() for name in names())
    capsys.readouterr()
    log("c/clicks.csv", "abcdefgh")
    assert main(["table2", "--dataset", "c/clicks.csv", *QUIET, "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("would run ")
    assert main(["export", "--dataset", "c/clicks.csv", "--results", "out"]) == 3


def test_other_item_ids_make_another_data_set() -> None:
    one, other = (catalog.load_split(log(f"{name}.csv", name), ".") for name in ("abcdef", "fedcba"))
    assert one.train.lists() == other.train.lists() and one.test.lists() == other.test.lists()
    assert one.digest != other.digest


def test_one_log_by_other_rules_is_another_data_set() -> None:
    log("clicks.csv", "abcdef")
    for rules in ([], ["--min-support", "2"]):
        assert main(["table2", "--dataset", "clicks.csv", *rules, *QUIET]) == 0
    assert len(names()) == 2


def test_names_in_other_alphabets_do_not_collide() -> None:
    for name, items in (("点击.csv", "abcdef"), ("购物.csv", "abcdefg")):
        assert main(["table2", "--dataset", log(name, items), *QUIET]) == 0
    assert len(names()) == 2 and all(name.startswith("data-") for name in names())


def test_a_log_that_changed_does_not_replace_its_records(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table2", "--dataset", log("clicks.csv", "abcdef"), *QUIET]) == 0
    (before,) = Path("out/runs").glob("*/*.json")
    kept = before.read_bytes()
    assert main(["table2", "--dataset", log("clicks.csv", "abcdefg"), *QUIET, "--force"]) == 0
    assert before.read_bytes() == kept and len(names()) == 2


def test_a_page_shows_the_records_of_the_data_at_hand_only(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a data set of the suite too: here `cycle`, with a record that was made from other sessions."""
    assert main(["table2", "--dataset", "cycle", *QUIET]) == 0
    made = load(Experiment.of("cycle", "pop"), Path("out"))
    assert made is not None
    store(dataclasses.replace(made, split={**made.split, "digest": "b" * 64}), Path("out"))
    capsys.readouterr()
    assert main(["table2", "--dataset", "cycle", "--stored", *QUIET]) == 0
    assert "pop-seed0.json: made from other data called cycle; left out." in Path("out/table2.md").read_text()
    for words in ([], ["--force"], ["--dry-run"]):
        assert main(["table2", "--dataset", "cycle", *words, *QUIET]) == 3
        assert "made from other data called cycle" in capsys.readouterr().err


def test_a_kept_model_of_other_item_ids_is_not_answered_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--dataset", log("clicks.csv", "abcdef"), *QUIET, "--keep-model"]) == 0
    (place,) = Path("out/runs").glob("*/*.model")
    assert main(["check", "--results", "out"]) == 0
    split = catalog.load_split("clicks.csv", ".")
    assert split.vocabulary is not None
    kept = kept_model.load_model(place)
    assert kept.vocabulary is not None and kept.vocabulary.tolist() == split.vocabulary.tolist()
    other = Split(split.name, split.train, split.test, split.provenance, split.vocabulary[::-1])
    kept_model.store(kept.model, kept.experiment, kept.identity, other, Path("out"))
    with pytest.raises(InputError, match="with other item ids than its record"):
        kept_model.load_model(place)
    record = place.with_suffix(".json")
    record.rename("aside.json")  # without a record beside it, it is compared with the data that are named
    capsys.readouterr()
    assert main(["recommend", "pop", "--dataset", "clicks.csv", "--clicks", "a", "--results", "out"]) == 3
    assert "with other item ids than the data named" in capsys.readouterr().err
    Path("aside.json").rename(record)
    assert main(["check", "--results", "out"]) == 3
    assert "pop-seed0.model: with other item ids than its record" in capsys.readouterr().err


def test_stored_records_of_own_data_need_no_file() -> None:
    assert main(["table2", "--dataset", log("clicks.csv", "abcdef"), *QUIET]) == 0
    Path("clicks.csv").unlink()
    (name,) = names()
    assert main(["table2", "--stored", "--dataset", name, *QUIET]) == 0
    assert "## clicks" in Path("out", name, "table2.md").read_text()
    assert main(["table2", "--dataset", name, "--force", *QUIET]) == 3


def test_the_digest_without_item_ids_is_that_of_the_arrays_alone() -> None:
    """Built-in data sets have no vocabulary: the identities of their records stay as they are."""
    split = catalog.load_split("cycle", ".")
    named = dataclasses.replace(split, vocabulary=np.arange(split.train.n_items).astype(object))
    assert split.vocabulary is None and named.digest != split.digest
