"""What `export` writes: tables as CSV, LaTeX and JSON, at any cut-off, and the rank of every test prefix."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reproduce import catalog
from reproduce.__main__ import main
from reproduce.evaluation import metrics
from reproduce.paper.numbers import Score
from reproduce.reports import renderers
from reproduce.reports.document import Document, Number, Section, Table
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import load
from reproduce.runs.runner import RunOptions, run, run_with


@pytest.fixture
def results(tmp_path: Path) -> Path:
    words = ["table2", "--dataset", "cycle", "--quiet", "--results", str(tmp_path), "--model", "pop", "item_knn"]
    assert main(words) == 0
    assert main([*words[:-2], "bpr_mf", "--seed", "0", "1", "--set", "bpr_mf.epochs=1"]) == 0
    return tmp_path


def test_a_comparison_says_in_three_formats_what_the_ranks_give(results: Path) -> None:
    assert main(["export", "--dataset", "cycle", "--metric", "recall@2", "ndcg@2", "--results", str(results)]) == 0
    place = results / "export/comparison-cycle"
    rows = list(csv.DictReader(place.with_suffix(".csv").open()))
    told = json.loads(place.with_suffix(".json").read_text())
    tex = place.with_suffix(".tex").read_text()
    assert [row["model"] for row in rows] == ["POP", "Item-KNN"]
    for row, said in zip(rows, told["rows"], strict=True):
        model = {"POP": "pop", "Item-KNN": "item_knn"}[row["model"]]
        result = load(Experiment.of("cycle", model), results)
        assert result is not None
        recall, ndcg = result.recall(2), metrics.parse("ndcg@2").of_ranks(result.ranks())
        assert float(row["Recall@2"]) == said["Recall@2"] == pytest.approx(recall, abs=1e-3)
        assert float(row["NDCG@2"]) == pytest.approx(ndcg, abs=1e-3) and "Recall@2: sd" not in row
        assert float(row["Recall@2: low"]) <= recall <= float(row["Recall@2: high"])
        bold = f"\\textbf{{{recall:.2f}~" if row["model"] == "Item-KNN" else f"& {recall:.2f}~"
        assert bold in " ".join(tex.split())
    assert "\\toprule" in tex and "Seeds: 0." in tex and "Tie rule: an item tied with the target counts as ahead" in tex
    assert r"95 \% interval over test sessions" in tex


@pytest.mark.parametrize("page", ["table2", "ablation"])
def test_a_page_shows_other_cut_offs_where_they_are_asked_for_and_check_draws_it_so(
    page: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    narm = Experiment.of("cycle", "narm", {"epochs": 1, "hidden": 4, "embedding": 4})
    found = run(narm, data=".", results=results, device="cpu")
    own = ["--set", *(f"narm.{key}={value}" for key, value in narm.params.items())]
    words = [page, "--dataset", "cycle", *own, "--stored", "--results", str(results)]
    assert main(words) == 0
    assert "@5" not in (results / f"{page}.md").read_text()
    capsys.readouterr()
    assert main([*words, "--metric", "recall@5", "mrr@5", "ndcg@5", "recall@1"]) == 0
    text = (results / f"{page}.md").read_text()
    table = text.partition("In other measures")[2].partition("\n\n\n")[0]
    assert "NDCG@5" in table and table.index("Recall@5") < table.index("Recall@1 ")
    ndcg = metrics.parse("ndcg@5").of_ranks(found.ranks())
    line = next(one for one in table.splitlines() if one.startswith(("| NARM (", "| hybrid ")))
    shown = [cell.strip(" *").split()[0] for cell in line.split("|")[3:6]]
    assert shown == [f"{value:.2f}" for value in (found.recall(5), found.mrr(5), ndcg)]
    assert "NDCG@5" in capsys.readouterr().out
    assert main(["check", "--results", str(results)]) == 0


def test_a_row_of_several_seeds_has_a_spread(results: Path) -> None:
    words = ["--dataset", "cycle", "--results", str(results), "--to", str(results / "out"), "--format", "csv"]
    assert main(["export", *words, "--model", "bpr_mf", "--set", "bpr_mf.epochs=1", "--metric", "recall@1"]) == 0
    (row,) = csv.DictReader((results / "out/comparison-cycle.csv").open())
    seeds = [load(Experiment.of("cycle", "bpr_mf", {"epochs": 1}, seed), results) for seed in (0, 1)]
    values = [one.recall(1) for one in seeds if one is not None]
    assert row["model"] == "BPR-MF (epochs=1)" and row["seeds"] == "2"
    assert float(row["Recall@1"]) == pytest.approx(np.mean(values))
    assert float(row["Recall@1: sd"]) == pytest.approx(np.std(values, ddof=1))


def log(place: Path) -> Path:
    """Write a log of sessions of two or three clicks, which go round the items a to i in a circle."""
    rows = [
        f"s{s},{'abcdefghi'[(s + k) % 9]},{(s // 40) * 86_400 + s * 60 + k}"
        for s in range(160)
        for k in range(2 + s % 2)
    ]
    place.write_text("\n".join(["session_id,item_id,timestamp", *rows]) + "\n")
    return place


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_rank_of_every_prefix_is_told_in_the_logs_own_ids(kind: str, tmp_path: Path) -> None:
    words = ["--dataset", str(log(tmp_path / "clicks.csv")), "--results", str(tmp_path / "out")]
    assert main(["table2", *words, "--quiet", "--model", "pop", "item_knn"]) == 0
    assert main(["export", *words, "--per-prefix", kind, "--format", "json"]) == 0
    file = next((tmp_path / "out/export").glob(f"ranks-clicks-*.{kind}"))
    frame = pd.read_csv(file) if kind == "csv" else pd.read_parquet(file)
    assert list(frame.columns) == ["model", "seed", "session", "length", "target", "best_rank", "worst_rank"]
    split = catalog.load_split(words[1], tmp_path)
    assert len(frame) == 2 * len(split.test.prefixes()[1])
    knn = frame[frame.model == "Item-KNN"].reset_index(drop=True)
    # The test part is sessions s120 to s159: d e, then e f g, then f g, and so on round the circle.
    assert knn.target[:4].tolist() == ["e", "f", "g", "g"]
    assert knn.session[:4].tolist() == ["s120", "s121", "s121", "s122"]
    assert set(frame.target) <= set("abcdefghi")
    result = load(Experiment.of(split.name, "item_knn"), tmp_path / "out")
    assert result is not None
    assert (
        knn.best_rank.tolist() == (result.greater + 1).tolist() and knn.worst_rank.tolist() == result.ranks().tolist()
    )


def test_an_id_with_an_end_of_line_tears_no_row_of_the_ranks(tmp_path: Path) -> None:
    file = log(tmp_path / "clicks.csv")
    file.write_bytes(file.read_bytes().replace(b",d,", b',"d\r1",').replace(b",e,", b',"e\n,2",'))
    words = ["--dataset", str(file), "--results", str(tmp_path / "out")]
    assert main(["table2", *words, "--quiet", "--model", "pop"]) == 0
    assert main(["export", *words, "--per-prefix", "csv", "--format", "json"]) == 0
    with next((tmp_path / "out/export").glob("ranks-clicks-*.csv")).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["target"] for row in rows} == {*"abcfghi", "d\r1", "e\n,2"}
    assert all(row["worst_rank"].isdecimal() for row in rows)


def test_other_data_of_the_same_name_have_no_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = log(tmp_path / "clicks.csv")
    words = ["--results", str(tmp_path / "out"), "--dataset", str(file)]
    assert main(["table2", *words, "--quiet", "--model", "pop"]) == 0
    file.write_text(file.read_text().replace("s5,", "s6,"))
    assert main(["export", *words, "--per-prefix", "csv"]) == 3
    assert "no record to export" in capsys.readouterr().err
    assert not (tmp_path / "out/export").exists()


def test_every_table_of_a_page_comes_out_with_its_tie_rule(results: Path) -> None:
    words = ["--dataset", "cycle", "--results", str(results), "--page", "table2", "lengths", "significance"]
    assert main(["export", *words]) == 0
    names = {file.stem for file in (results / "export").iterdir()}
    assert {"table2-1", "lengths-1", "significance-1"} <= names
    tex = (results / "export/table2-1.tex").read_text()
    assert "Tie rule" in tex and r"\textbf{" in tex
    rows = list(csv.reader((results / "export/table2-1.csv").open()))
    assert rows[0][0] == "model" and any(row[0] == "POP" for row in rows) and not any("**" in cell for cell in rows[1])


def test_a_folder_without_records_and_an_unknown_page_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--results", str(tmp_path)]) == 3
    assert "no record to export; python -m reproduce table2 makes some" in capsys.readouterr().err
    words = ["--dataset", "cycle", "--results", str(tmp_path)]
    assert main(["run", *words, "--model", "item_knn", "--set", "item_knn.alpha=0.4", "--quiet"]) == 0
    assert main(["export", *words]) == 3
    assert "its records are of other rows or settings; name them with --model and --set" in capsys.readouterr().err
    assert main(["export", "--page", "table22"]) == 2
    assert "invalid choice: 'table22'" in capsys.readouterr().err


def test_latex_escapes_what_latex_would_read() -> None:
    assert renderers.latex_text("**a_b** 5 % ± `x`") == r"\textbf{a\_b} 5 \% $\pm$ x"


def test_a_table_knows_its_headings_and_its_plain_values() -> None:
    number = Number(1.5, interval=(-0.25, 3.0), signed=True, mark="bold", notes="¹")
    table = Table([{"model": "x", "difference": number, "paper": Score(2.0, 1.0), "note": None}], "By length")
    ((caption, found),) = Document("T", parts=[Section("Shop", [table])]).tables
    assert (caption, found) == ("T. Shop. By length.", table)
    (row,) = table.frame().to_dict("records")
    assert row == {
        "model": "x", "difference": 1.5, "difference: low": -0.25, "difference: high": 3.0, "difference: mark": "bold",
        "difference: notes": "¹", "paper: Recall@20": 2.0, "paper: MRR@20": 1.0,
    }  # fmt: skip
    nan = Table([{"a": Number(math.nan)}])
    assert json.loads(renderers.as_json("t", "c", nan))["rows"] == [{"a": None}]


def test_a_result_is_a_data_frame(results: Path) -> None:
    result = load(Experiment.of("cycle", "pop"), results)
    assert result is not None
    frame = result.frame()
    assert list(frame.columns) == ["session", "length", "greater", "equal", "rank"]
    assert len(frame) == len(result.greater) and (frame["rank"] <= 20).mean() * 100 == pytest.approx(result.recall())


def test_the_tables_of_one_log_do_not_replace_those_of_another(tmp_path: Path) -> None:
    file = log(tmp_path / "clicks.csv")
    for rules in ([], ["--min-support", "3"]):
        words = ["--dataset", str(file), *rules, "--results", str(tmp_path / "out"), "--model", "pop", "item_knn"]
        assert main(["table2", *words, "--quiet"]) == 0
        assert main(["export", *words, "--page", "lengths", "--format", "csv"]) == 0
    assert len(list((tmp_path / "out/export").glob("lengths-clicks-*-1.csv"))) == 2


@pytest.mark.parametrize("command", ["export", "significance", "table2 --stored"])
def test_records_of_another_split_than_the_data_at_hand_are_shown_nowhere(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Most records are of another split: where the data are not at hand, those would be shown."""
    split = catalog.load_split("cycle", ".")
    other = replace(split, train=split.train.take(slice(0, 50)))
    for model, of in (("pop", other), ("s_pop", other), ("item_knn", split)):
        run_with(RunOptions(data=Path(), results=tmp_path, device="cpu", quiet=True), Experiment.of("cycle", model), of)
    assert main([*command.split(), "--results", str(tmp_path)]) == 0
    capsys.readouterr()
    (text,) = [
        file.read_text() for file in tmp_path.rglob("*.csv") if file.name in ("comparison-cycle.csv", "runs.csv")
    ]
    assert ("Item-KNN" in text or "item_knn" in text) and "S-POP" not in text and "s_pop" not in text
