"""The later baselines: a block of their own in the table, run with --beyond, beside the numbers of later papers."""

from __future__ import annotations

from pathlib import Path

import pytest

from reproduce import catalog
from reproduce.__main__ import main
from reproduce.paper import elsewhere, later_baselines, numbers, rows
from reproduce.paper.rows import Row
from reproduce.reports import table2
from reproduce.runs import request
from reproduce.runs.request import Request


def test_every_row_is_a_model_of_the_suite_and_none_is_a_row_of_the_paper() -> None:
    assert {row.model for row in later_baselines.ROWS} <= set(catalog.recommenders())
    assert not {row.label for row in later_baselines.ROWS} & {row.label for row in rows.ROWS}


def test_published_numbers_stand_only_beside_the_data_set_they_were_made_on() -> None:
    labels = {row.label for row in (*rows.ROWS, *later_baselines.ROWS)}
    for of_datasets in elsewhere.NUMBERS.values():
        assert set(of_datasets) <= set(catalog.datasets())
        assert {label for scores in of_datasets.values() for label in scores} <= labels
    assert elsewhere.published("SR-GNN", "diginetica") == [(elsewhere.WU, numbers.Score(50.73, 17.59))]
    assert elsewhere.published("SR-GNN", "diginetica-file-order") == []
    stamp = [(elsewhere.STAMP, numbers.Score(62.04, 27.39)), (elsewhere.SESSION_REC, numbers.Score(61.09, 27.60))]
    assert elsewhere.published("STAMP", "diginetica-file-order") == stamp
    assert elsewhere.published("STAMP (authors' code)", "diginetica-file-order") == stamp
    assert elsewhere.published("NARM (hidden=50)", "diginetica") == []
    assert numbers.published(numbers.TABLE3, "NARM", "diginetica") == numbers.Score(62.58, 27.35)


def test_v_sknn_is_run_with_the_setting_published_for_the_data_set() -> None:
    wanted = Request(["yoochoose1_64", "diginetica", "cycle"], data=Path(), results=Path(), models=["vsknn"])
    row, *others = wanted.rows(later_baselines.ROWS)
    assert others == [] and row.label == "V-SKNN"
    assert [one.path for one in request.cells(wanted, [row])] == [
        "runs/yoochoose1_64/vsknn,decays=quadratic,idf=2.0,neighbours=1000,sample=5000,weights=log-seed0",
        "runs/diginetica/vsknn-seed0",  # the model's defaults
        "runs/cycle/vsknn-seed0",
    ]


def test_a_field_that_is_set_is_set_on_every_data_set() -> None:
    row = Row("V-SKNN", "vsknn", on={"cycle": {"idf": 2.0, "decays": "log"}})
    changed = request.set_fields(row, {"idf": "10"})  # the model's default, but a change on `cycle`
    assert changed == Row("V-SKNN (idf=10.0)", "vsknn", {}, {"cycle": {"decays": "log"}})
    assert changed.at("cycle") == Row("V-SKNN (idf=10.0)", "vsknn", {"decays": "log"})
    assert changed.at("diginetica") == Row("V-SKNN (idf=10.0)", "vsknn")
    assert request.same(row, request.set_fields(row, {"decays": "linear"})) is False
    assert request.same(row, Row("another label", "vsknn", on={"cycle": {"decays": "log", "idf": 2}}))
    assert not request.same(row, Row("V-SKNN", "vsknn"))


def page(results: Path) -> str:
    return (results / "table2.md").read_text(encoding="utf-8")


def test_a_page_shows_a_row_with_the_fields_it_has_on_each_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Row("S-KNN", "sknn", on={"cycle": {"neighbours": 7}})
    monkeypatch.setattr(table2, "KNOWN", (*rows.ROWS, row))  # loaded before the rows are changed
    monkeypatch.setattr(later_baselines, "ROWS", (row,))
    words = ["table2", "--dataset", "cycle", "--quiet", "--results", str(tmp_path), "--model", "sknn"]
    assert main(words) == 0
    assert (tmp_path / "runs/cycle/sknn,neighbours=7-seed0.json").is_file()
    assert page(tmp_path).count("\n| S-KNN ") == 1
    assert main([*words, "--set", "sknn.sample=9"]) == 0
    assert "| S-KNN (sample=9) " in page(tmp_path) and "| S-KNN " in page(tmp_path)
    assert (tmp_path / "runs/cycle/sknn,neighbours=7,sample=9-seed0.json").is_file()


def test_beyond_adds_the_later_baselines_below_the_papers_rows(tmp_path: Path) -> None:
    words = ["table2", "--dataset", "cycle", "--quiet", "--results", str(tmp_path), "--model"]
    assert main([*words, "pop"]) == 0
    assert "S-KNN" not in page(tmp_path)
    assert main([*words, "sknn", "--beyond"]) == 0
    table = page(tmp_path).split("\n\n|")[1].partition("\n\n")[0]
    rows = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in table.splitlines()[2:]}
    assert list(rows) == ["POP", "S-KNN"]  # asked for or with a record
    assert rows["S-KNN"].split() == ["≈", "100.00", "±0.0"]
    assert main([*words, "pop"]) == 0  # existing records are shown without being asked for
    assert "| S-KNN " in page(tmp_path)


def test_the_command_for_a_control_that_was_not_run_runs_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--dataset", "cycle", "--results", str(tmp_path)]
    assert main(["table2", *words, "--stored", "--beyond", "--model", "gru4rec"]) == 0
    command = page(tmp_path).partition("Not run yet: `python -m reproduce ")[2].partition(" --results")[0]
    capsys.readouterr()
    assert main([*command.split(), "--dry-run", "--results", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        len(lines) == 3
        and any("loss_function=bpr-max" in line for line in lines)
        and any("logq" in one for one in lines)
    )


def test_dry_run_names_the_later_baselines_only_with_beyond(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["table2", "--dataset", "cycle", "--dry-run", "--results", str(tmp_path)]
    assert main(words) == 0
    assert "vsknn" not in capsys.readouterr().out
    assert main([*words, "--model", "gru4rec", "vsknn"]) == 0  # a model runs if it is named
    assert [line.split("/")[1] for line in capsys.readouterr().out.splitlines()] == ["gru4rec-seed0", "vsknn-seed0"]
    assert main([*words, "--beyond"]) == 0
    told = capsys.readouterr().out
    assert [row.model for row in later_baselines.ROWS if f"cycle/{row.model}-seed0" not in told] == []


def test_a_control_that_is_a_models_other_fields_is_a_row_of_its_own(tmp_path: Path) -> None:
    words = ["table2", "--dataset", "cycle", "--quiet", "--results", str(tmp_path), "--model", "gru4rec"]
    assert main([*words, "--beyond"]) == 0
    table = page(tmp_path).split("\n\n|")[1].partition("\n\n")[0]
    assert table.count("\n| GRU-Rec ") == table.count("\n| GRU4Rec (2018) ") == 1
