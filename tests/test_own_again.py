"""Records of a user's own model are found again, whether or not its file is named."""

from __future__ import annotations

import json
import os
import py_compile
import shlex
from pathlib import Path

import pytest

from reproduce import catalog
from reproduce.__main__ import main
from reproduce.errors import UsageError
from reproduce.runs.request import Request, command_line

LABELLED = """
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from reproduce import Recommender, setting


@dataclass(kw_only=True)
class Mine(Recommender):
    label: ClassVar[str] = "My model"
    smoothing: float = setting(0.5, low=0.0, search=(0.0, 1.0))

    def fit(self, train, *, seed, device, journal):
        prefixes, following = train.prefixes()
        self.counts_ = np.full((train.n_items, train.n_items), self.smoothing, dtype=np.float32)
        np.add.at(self.counts_, (prefixes.last, following), 1)
        self.device_ = device

    def score(self, prefixes):
        return torch.as_tensor(self.counts_[prefixes.last], device=self.device_)
"""


def page(name: str, tmp_path: Path, *words: str) -> int:
    quiet = ["--quiet"] if name == "table2" else []
    return main([name, "--dataset", "cycle", *quiet, "--results", str(tmp_path / "results"), *words])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of a user's own model, with records of two of its settings and of POP."""
    file = tmp_path / "mine.py"
    file.write_text(LABELLED)
    assert page("table2", tmp_path, "--model", str(file), "pop") == 0
    assert page("table2", tmp_path, "--model", str(file), "--set", "mine.smoothing=0.25") == 0
    return file


@pytest.mark.parametrize("name", ["significance", "lengths", "table2"])
def test_without_its_file_a_page_shows_every_recorded_setting_under_its_label(
    name: str, tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert page(name, tmp_path, *(["--stored"] if name == "table2" else [])) == 0
    told = (tmp_path / f"results/{name}.md").read_text()
    assert "My model (smoothing=0.25)" in told and "My model" in told.replace("My model (", "") and "POP" in told
    assert "left out" not in told


@pytest.mark.parametrize("name", ["significance", "lengths"])
def test_with_its_file_a_page_is_restricted_to_what_was_asked_for(
    name: str, tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert page(name, tmp_path, "--model", str(file)) == 0
    csv = tmp_path / f"results/{'lengths' if name == 'lengths' else 'pairs'}.csv"
    rows = csv.read_text()
    assert "My model (smoothing=0.25)" in rows and "POP" not in rows
    assert page(name, tmp_path, "--model", str(file), "pop", "--set", "mine.smoothing=0.25") == 0
    rows = csv.read_text()
    assert "My model (smoothing=0.25)" in rows and "POP" in rows and "My model," not in rows


def test_records_of_another_source_are_left_out_and_said_so(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(LABELLED + "\n# changed\n")
    capsys.readouterr()
    assert page("lengths", tmp_path, "--model", str(file), "pop") == 0
    told = capsys.readouterr().out
    assert "My model" not in (tmp_path / "results/lengths.csv").read_text()
    assert "mine-seed0.json: made with another source of mine.py; left out." in told
    assert page("table2", tmp_path, "--model", str(file)) == 0  # now there is a record of the newest source
    capsys.readouterr()
    assert page("lengths", tmp_path) == 0
    told = capsys.readouterr().out
    rows = (tmp_path / "results/lengths.csv").read_text()
    assert ",My model," in rows and "smoothing=0.25)" not in rows
    assert "mine,smoothing=0.25-seed0.json: made with another source of mine.py; left out." in told


def test_check_believes_an_own_models_record_without_its_file(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results/table2.md").unlink()  # it was drawn with the model's file named
    assert main(["check", "--results", str(tmp_path / "results")]) == 0
    assert "3 records and 0 pages are sound" in capsys.readouterr().out


def test_a_search_is_shown_only_where_its_file_is_named_and_is_not_called_stale_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna")
    file = tmp_path / "my models/mine.py"
    file.parent.mkdir()
    file.write_text(LABELLED)
    results = ["--results", str(tmp_path / "results"), "--quiet"]
    assert main(["search", str(file), "--dataset", "cycle", "--trials", "3", *results]) == 0
    assert "the defaults are the best" in capsys.readouterr().out  # on the cycle every trial hits all targets
    (summary,) = (tmp_path / "results/search/cycle").glob("mine-seed0-*.json")
    kept = json.loads(summary.read_text())
    kept["refits"] = [{"fields": kept["trials"][1]["fields"], "recalls": [100.0], "mrrs": [100.0]}]  # not the defaults
    summary.write_text(json.dumps(kept))
    capsys.readouterr()
    assert main(["table2", "--dataset", "cycle", "--model", "pop", *results]) == 0
    told = (tmp_path / "results/table2.md").read_text()
    assert "search again" not in told and "My model" not in told
    catalog.current().models.clear()
    assert main(["table2", "--dataset", "cycle", "--model", "pop", str(file), *results]) == 0
    page = (tmp_path / "results/table2.md").read_text()
    assert "\n- My model: 3 trials" in page
    assert f"\n| My model (smoothing={kept['trials'][1]['fields']['smoothing']}) |" in page


def test_the_command_of_a_search_names_an_own_model_by_its_file(tmp_path: Path) -> None:
    file = tmp_path / "my models/mine.py"
    file.parent.mkdir()
    file.write_text(LABELLED)
    catalog.recommender(str(file))
    settings = {"mine": {"smoothing": 0.25}}
    asked = Request(
        datasets=["cycle"], models=["mine"], settings=settings, data=Path("data"), results=tmp_path / "results"
    )
    words = [*shlex.split(command_line("table2", asked))[3:], "--quiet"]
    assert main(words) == 0
    assert (tmp_path / "results/runs/cycle/mine,smoothing=0.25-seed0.json").is_file()


def test_two_files_of_one_name_are_refused_whether_or_not_their_text_differs(tmp_path: Path, file: Path) -> None:
    catalog.recommender(str(file))
    for text in (file.read_text(), file.read_text() + "\n# another\n"):
        other = tmp_path / "elsewhere" / file.name
        other.parent.mkdir(exist_ok=True)
        other.write_text(text)
        with pytest.raises(UsageError, match=r"is a model called mine too; rename one of the files"):
            catalog.recommender(str(other))


def test_records_of_own_data_are_shown_and_checked_without_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(
        f"{visit},{visit % 7 + click},{3600 * visit + click}\n" for visit in range(200) for click in range(4)
    )
    Path("shop.csv").write_text(f"session,item,time\n{rows}")
    assert main(["table2", "--dataset", "shop.csv", "--model", "pop", "--results", "r", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["table2", "--stored", "--results", "r"]) == 0
    assert "shop" in capsys.readouterr().out
    assert main(["all", "--results", "r", "--data", "nowhere"]) == 0  # the logs are not here: only records are shown
    assert "shop" in Path("r/README.md").read_text()
    assert main(["check", "--results", "r"]) == 0
    said = capsys.readouterr().out
    assert said.count("not compared, it shows shop-") == 1
    assert "shop.csv" in next(Path("r").glob("shop-*/table2.md")).read_text()


def test_pages_of_logs_count_those_at_hand_beside_own_data_of_which_only_records_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{visit},{visit % 7 + click},{3600 * visit + click}\n" for visit in range(99) for click in range(4))
    Path("shop.csv").write_text(f"session,item,time\n{rows}")
    for name in ("shop.csv", "cycle"):
        assert main(["table2", "--dataset", name, "--model", "pop", "--results", "r", "--quiet"]) == 0
    assert main(["all", "--results", "r"]) == 0
    assert "cycle toy" in Path("r/table1.md").read_text()


def test_a_single_test_session_gives_dashes_and_null_not_nan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{visit},{click},{86400 * visit + click}\n" for visit in range(20) for click in range(4))
    Path("shop.csv").write_text(f"session,item,time\n{rows}")
    words = ["--dataset", "shop.csv", "--results", "r"]
    with pytest.warns(UserWarning, match="the test is a single session; choose --test-days or --test-share"):
        assert main(["table2", *words, "--model", "pop", "item_knn", "--quiet"]) == 0
    settings = ["--set", "narm.epochs=1", "narm.batch=16"]
    assert main(["ablation", *words, "--variant", "hybrid", "fc-decoder", *settings, "--quiet"]) == 0
    for page in ("significance", "lengths", "figure5"):
        assert main([page, *words]) == 0
    assert main(["export", "--results", "r", "--dataset", "shop.csv", "--to", "x"]) == 0
    said = capsys.readouterr().out
    places = [Path("x"), *Path("r").glob("shop-*")]
    written = [file.read_text() for place in places for file in place.glob("*.*")]
    assert len(written) > 5
    assert [text for text in (said, *written) if "nan" in text.lower()] == []


def test_an_own_model_labelled_as_another_row_takes_nobodys_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copied baseline keeps its label."""
    for name in ("mine", "other"):
        (tmp_path / f"{name}.py").write_text(LABELLED.replace("My model", "Item-KNN"))
    files = [str(tmp_path / f"{name}.py") for name in ("mine", "other")]
    assert page("table2", tmp_path, "--model", *files, "item_knn") == 0
    labels = {line.split("  ")[0].strip() for line in capsys.readouterr().out.splitlines()}
    assert labels >= {"Item-KNN", "Item-KNN (mine)", "Item-KNN (other)"}
    with catalog.using(catalog.Catalog()):  # also from the records alone
        assert page("significance", tmp_path) == 0
        csv = (tmp_path / "results/pairs.csv").read_text()
        assert all(f",{label}," in csv for label in ("Item-KNN", "Item-KNN (mine)", "Item-KNN (other)"))


def test_a_files_annotations_are_what_python_makes_of_them(tmp_path: Path) -> None:
    """This suite's own modules put off their annotations; a user's file may not."""
    file = tmp_path / "mine.py"
    text = LABELLED.replace("@dataclass", "Size = float\n\n\n@dataclass").replace("smoothing: float", "smoothing: Size")
    file.write_text(f"{text}\n\ndel Size\n")
    assert catalog.make_recommender(str(file), {"smoothing": "0.25"}).smoothing == 0.25  # type: ignore[attr-defined]


def test_the_code_that_runs_is_the_code_whose_checksum_is_recorded(tmp_path: Path) -> None:
    """Two versions of one size and time, as rsync leaves them: Python's cache of compiled files has the older one."""
    file, found = tmp_path / "mine.py", []
    for label in ("Model A", "Model B"):
        file.write_text(LABELLED.replace("My model", label))
        os.utime(file, (10**9, 10**9))
        with catalog.using(catalog.Catalog()):
            found.append(catalog.recommender(str(file)).label)
        py_compile.compile(str(file))
    assert found == ["Model A", "Model B"]
