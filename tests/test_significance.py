"""The page of differences, from records whose hits can be counted: who differs, who does not, who cannot be judged.

After an intended change: REWRITE_GOLDEN=1 python -m pytest tests/test_significance.py, and read the difference.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reproduce import catalog
from reproduce.__main__ import main
from reproduce.evaluation.uncertainty import ALPHA
from reproduce.reports import records as stored
from reproduce.reports import renderers, significance
from reproduce.reports.document import Document, Table
from reproduce.reports.study import Study
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import Result, store
from reproduce.runs.request import Request

GOLDEN = Path(__file__).resolve().parent / "golden" / "significance.md"
DATASET = "eshop"
SESSIONS = 60  # of two test prefixes each
PREFIXES = 2 * SESSIONS


def record(
    model: str,
    hits: int,
    fields: Mapping[str, object] | None = None,
    *,
    seed: int = 0,
    digest: str = "a" * 64,
    shift: int = 0,
) -> Result:
    """Make a record in which `hits` of the 120 prefixes, from number `shift` on, have rank 1 to 4, the others 101."""
    made = Experiment.of(DATASET, model, fields or {}, seed)
    return Result(
        experiment=made,
        identity=made.identity(digest),
        fields=catalog.identifying(made.recommender()),
        split={
            "digest": digest,
            "n_items": 1000,
            "provenance": {
                "source": "made up",
                "order": "time",
                "emulated": False,
                "files": {},
                "counts": {"test_sequences": PREFIXES},
                "published": {},
                "note": "",
            },
        },
        epochs=[],
        environment={"device": "none", "threads": 1, "torch": "0", "commit": None, "dirty": None, "resumed": []},
        session=np.arange(PREFIXES) // 2,
        length=np.arange(PREFIXES) % 2 + 1,
        greater=np.where((np.arange(PREFIXES) - shift) % PREFIXES < hits, np.arange(PREFIXES) % 4, 100),
        equal=np.zeros(PREFIXES, dtype=np.int64),
    )


def tied(result: Result) -> Result:
    """Return the record with every missed target tied with one other item for places 20 and 21."""
    missed = result.greater == 100
    return replace(result, greater=np.where(missed, 19, result.greater), equal=np.where(missed, 1, 0))


def search(folder: Path, model: str, best: dict[str, object], defaults: dict[str, object]) -> None:
    """Write the summary of a search as a results folder keeps it."""
    scored = ((defaults, 50.0), (best, 51.0))
    trials = [{"fields": fields, "recall": recall, "mrr": 20.0, "why": None} for fields, recall in scored]
    content = {"model": model, "fixed": {}, "scored_on": "a tenth"}
    file = folder / "search" / DATASET / f"{model}-seed0.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**content, "trials": trials}))


@pytest.fixture(autouse=True)
def no_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "reference_folder", lambda: tmp_path / "none")


def request(results: Path, models: tuple[str, ...] = ()) -> Request:
    return Request(datasets=(DATASET,), data=Path("data"), results=results, models=models, quiet=True)


def test_the_page_is_the_golden_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    results = Path("records")
    for seed, hits in enumerate((96, 100)):
        store(record("narm", hits, seed=seed), results)
    store(record("improved_gru_rec", 94, shift=10), results)
    store(record("pop", 12), results)
    store(tied(record("item_knn", 40)), results)
    store(record("item_knn", 62, {"alpha": 0.25}), results)
    store(record("sknn", 60, shift=60), results)
    search(results, "item_knn", {"alpha": 0.25, "regularisation": 20.0}, {"alpha": 0.5, "regularisation": 20.0})
    text = renderers.markdown(significance.PAGE.draw(request(results)))
    if os.environ.get("REWRITE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def document(folder: Path, *runs: Result) -> Document:
    for run in runs:
        store(run, folder)
    return significance.PAGE.draw(request(folder))


def cells(page: Document) -> dict[str, list[str]]:
    """Return the cells of the table of differences by the row's label."""
    ((_, table),) = page.tables
    assert isinstance(table, Table)
    return {str(row[0]): [renderers.cell_text(cell) for cell in row[2:]] for row in table.rows}


def pairs(page: Document) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(page.data["pairs.csv"])))


def test_every_pair_is_in_the_csv_the_better_row_first_and_interval_and_p_agree(tmp_path: Path) -> None:
    page = document(tmp_path, record("pop", 30), record("item_knn", 90), record("sknn", 33))
    recall = [row for row in pairs(page) if row["metric"] == "Recall@20"]
    assert [(row["first"], row["second"]) for row in recall] == [
        ("Item-KNN", "S-KNN"), ("Item-KNN", "POP"), ("S-KNN", "POP"),
    ]  # fmt: skip
    for row in recall:
        assert (float(row["p"]) < ALPHA) == (float(row["difference: low"]) > 0)
    assert [float(row["difference"]) for row in recall] == pytest.approx([47.5, 50.0, 2.5], abs=1e-3)


def test_without_narm_the_highest_row_is_the_reference(tmp_path: Path) -> None:
    page = document(tmp_path, record("pop", 30), record("item_knn", 90))
    assert "NARM has no record here; the reference is Item-KNN, the highest row." in renderers.markdown(page)
    assert list(cells(page)) == ["POP"] and cells(page)["POP"][0].startswith("−50.00")


def test_a_single_run_is_judged_only_where_the_noise_between_seeds_is_known(tmp_path: Path) -> None:
    page = document(tmp_path, record("narm", 110), record("pop", 10))
    assert {row["judged"] for row in pairs(page)} == {"no"} and {row["p"] for row in pairs(page)} == {""}
    assert "**Not judged**" in renderers.markdown(page)
    more = [record("narm", 110 + seed, seed=seed) for seed in (1, 2)]
    assert {row["judged"] for row in pairs(document(tmp_path, *more))} == {"yes"}


def test_what_is_ahead_of_narm_is_bold_and_what_cannot_be_told_from_it_is_marked(tmp_path: Path) -> None:
    narm = [record("narm", 60 + seed, seed=seed) for seed in (0, 1, 2)]
    page = document(tmp_path, *narm, record("item_knn", 100), record("sknn", 60, shift=1), record("pop", 5))
    found = cells(page)
    assert found["Item-KNN"][0].startswith("**+") and found["S-KNN"][0].startswith("≈")
    assert "POP" not in found and "More than 5 points behind in both: POP (pairs.csv)." in renderers.markdown(page)
    assert any(line.startswith("**Better than NARM:** on E-shop, Item-KNN in Recall@20") for line in page.answer)


def test_a_verdict_that_hangs_on_tied_items_is_named(tmp_path: Path) -> None:
    # Item-KNN has 10 hits of 120, POP 40; with half of the other 110 targets Item-KNN has 65.
    page = document(tmp_path, tied(record("item_knn", 10)), record("pop", 40))
    assert "With ties in random order judged otherwise: Item-KNN in Recall@20 (+20.83, ahead)" in (
        renderers.markdown(page)
    )


def test_an_effect_that_hangs_on_few_sessions_is_told(tmp_path: Path) -> None:
    """Of one session of 100 prefixes and 50 of one prefix, the long one alone makes half of the noise."""
    session = np.concatenate([np.zeros(100, dtype=np.int64), np.arange(1, 51)])
    for model, hits in (("pop", session % 2 == 1), ("item_knn", session == 0)):
        long = replace(record(model, 0), session=session, length=np.ones_like(session), equal=np.zeros_like(session))
        store(replace(long, greater=np.where(hits, 0, 99)), tmp_path)
    page = significance.PAGE.draw(request(tmp_path))
    assert "Half of the noise of a difference comes from as few as 1 test sessions" in renderers.markdown(page)
    assert {row["sessions with half of the noise"] for row in pairs(page)} == {"1"}


def test_rows_of_another_split_are_left_out_and_named(tmp_path: Path) -> None:
    store(record("pop", 10), tmp_path)
    store(record("s_pop", 20, digest="b" * 64), tmp_path)
    study = Study(request(tmp_path))
    assert list(study.rows(DATASET)) == ["POP"]
    assert study.records.remarks() == [f"s_pop-seed0.json: made from other data called {DATASET}; left out."]
    store(record("gru4rec", 20), tmp_path)
    store(record("gru4rec", 20, seed=1, digest="b" * 64), tmp_path)
    store(record("narm", 20), tmp_path)
    study = Study(request(tmp_path))
    found = study.rows(DATASET)
    assert [run.experiment.seed for run in found["GRU-Rec"]] == [0]
    assert f"gru4rec-seed1.json: made from other data called {DATASET}; left out." in study.records.remarks()


def test_searched_settings_are_not_compared_and_model_restricts_the_rows(tmp_path: Path) -> None:
    for run in (record("pop", 10), record("item_knn", 40), record("item_knn", 62, {"alpha": 0.25}), record("sknn", 60)):
        store(run, tmp_path)
    search(tmp_path, "item_knn", {"alpha": 0.25, "regularisation": 20.0}, {"alpha": 0.5, "regularisation": 20.0})
    for models, labels in (("item_knn",), ["Item-KNN"]), (("pop", "sknn"), ["POP", "S-KNN"]):
        assert list(Study(request(tmp_path, models)).rows(DATASET)) == labels


def test_the_command_writes_the_page_its_figure_and_the_pairs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store(record("pop", 10), tmp_path)
    store(record("s_pop", 90), tmp_path)
    assert main(["significance", "--results", str(tmp_path)]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines()[:-2])) <= 100
    page = (tmp_path / "significance.md").read_text(encoding="utf-8")
    assert "](pairs.csv)" in page and "S-POP" in (tmp_path / "pairs.csv").read_text(encoding="utf-8")
    for ending in ("png", "svg"):
        assert (tmp_path / "figures" / f"significance-{DATASET}.{ending}").is_file()


def test_one_row_alone_is_compared_with_nothing(tmp_path: Path) -> None:
    page = document(tmp_path, record("pop", 10))
    assert "Fewer than two rows have records." in renderers.markdown(page)
    assert page.figures == {}
