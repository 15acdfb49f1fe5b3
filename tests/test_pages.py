"""The pages from small records: as committed in golden/, adding up, and drawn whatever is missing or broken.

After a wanted change: REWRITE_GOLDEN=1 python -m pytest tests/test_pages.py, and read the difference.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reproduce import catalog, reports
from reproduce.__main__ import main
from reproduce.fitting.attention import LONGEST, Attention
from reproduce.reports import ablation, attention, figure5, lengths, table2
from reproduce.reports import page as pages
from reproduce.reports.shelf import Shelf
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import Result, store
from reproduce.runs.request import Request

GOLDEN = Path(__file__).resolve().parent / "golden"
DATASET = "diginetica-file-order"
NOTE = "ranks drawn from a seed, for this test"
CLICKS = [3, 2, 5, 25, 4, 2, 9, 20, 2, 12, 6, 2, 3, 30, 7]  # of the test sessions
ROWS = [
    ("pop", {}, 60.0),
    ("item_knn", {}, 30.0),
    ("improved_gru_rec", {}, 18.0),
    ("narm", {}, 14.0),
    ("narm", {"encoder": "global"}, 16.0),
    ("narm", {"decoder": "fully-connected"}, 40.0),
]


def record(model: str, fields: dict[str, object], mean_rank: float, digest: str = "a" * 64) -> Result:
    """A record as `run` would make it, with ranks drawn from a seed instead of a model."""
    made = Experiment.of(DATASET, model, fields)
    session = np.repeat(np.arange(len(CLICKS)), np.array(CLICKS) - 1)
    length = np.concatenate([np.arange(1, n) for n in CLICKS])
    greater = np.random.default_rng(1).exponential(mean_rank, len(length)).astype(np.int64)
    neural = model in ("narm", "improved_gru_rec")
    epochs = [{"epoch": n, "loss": 6.0 / n, "validation_recall": 60.0 - 30.0 / n} for n in (1, 2, 3)]
    return Result(
        experiment=made,
        identity=made.identity(digest),
        fields=catalog.identifying(made.recommender()),
        split={
            "digest": digest,
            "n_items": 1000,
            "provenance": {
                "source": "made up",
                "order": "file",
                "emulated": True,
                "files": {},
                "counts": {"test_sequences": len(length)},
                "published": {},
                "note": NOTE,
            },
        },
        epochs=epochs if neural else [],
        environment={"device": "none", "threads": 1, "torch": "0", "commit": None, "dirty": None, "resumed": []},
        session=session,
        length=length,
        greater=greater,
        equal=np.zeros_like(greater),
        attention=weights() if model == "narm" else None,
    )


def weights() -> Attention:
    """Attention that grows linearly along a prefix; every third click is on the target."""
    kept = np.minimum(np.array(CLICKS) - 1, LONGEST)
    lines = {n: (np.arange(n) + 1) / (n * (n + 1) / 2) for n in range(1, LONGEST + 1)}
    all_kept = np.minimum(np.concatenate([np.arange(1, n) for n in CLICKS]), LONGEST)
    return Attention(
        weights=np.concatenate([lines[n] for n in kept]).astype(np.float16),
        is_target=np.concatenate([np.arange(n) % 3 == 1 for n in kept]),
        lengths=kept,
        means={
            "examples": np.bincount(all_kept, minlength=LONGEST + 1)[1:].tolist(),
            "weight": [lines[n].tolist() for n in range(1, LONGEST + 1)],
            "repeat": {"examples": 40, "weight": 0.5, "even": 0.25},
        },
    )


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REPRODUCE_DATA", raising=False)
    for row in ROWS:
        store(record(*row), tmp_path / "records")
    return tmp_path / "records"


def snapshot(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Every file with the time it was written and its content."""
    return {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.rglob("*") if file.is_file()}


def request(results: Path, datasets: tuple[str, ...] = (DATASET,)) -> Request:
    return Request(datasets=datasets, data=Path("data"), results=results, quiet=True)


@pytest.mark.parametrize(
    ("name", "module"),
    [("table2", table2), ("ablation", ablation), ("lengths", lengths), ("attention", attention), ("figure5", figure5)],
)
def test_a_page_is_the_golden_one(
    name: str, module: type[ablation], records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Neither the reference's numbers nor its findings: these change with every record.
    monkeypatch.setattr(pages, "reference_folder", lambda: records / "none")
    text = module.draw(request(records), {}).text
    if os.environ.get("REWRITE_GOLDEN"):
        (GOLDEN / f"{name}.md").write_text(text, encoding="utf-8")
    assert text == (GOLDEN / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("module", [ablation, lengths, attention, figure5])
def test_every_figure_that_a_page_embeds_is_there(module: type[ablation], records: Path) -> None:
    drawn = module.draw(request(records), {})
    named = {word.partition(")")[0] for word in drawn.text.split("(figures/")[1:]}
    assert named
    assert set(drawn.figures) == named


@pytest.mark.parametrize("module", [ablation, lengths, attention, figure5])
def test_a_page_drawn_twice_is_the_same_bytes_and_nothing_is_written(module: type[ablation], records: Path) -> None:
    before = snapshot(records)
    assert module.draw(request(records), {}) == module.draw(request(records), {})
    assert snapshot(records) == before


def test_a_page_and_its_figures_are_written_by_the_command(records: Path) -> None:
    before = snapshot(records)
    assert main(["ablation", "--dataset", DATASET, "--results", "records", "--variant", "hybrid", "--dry-run"]) == 0
    assert snapshot(records) == before
    assert main(["lengths", "--results", "records"]) == 0
    drawn = lengths.draw(request(Path("records"), ()), {})
    assert {file.relative_to(records) for file in snapshot(records).keys() - before.keys()} == {
        Path("lengths.md"),
        *(Path("figures") / name for name in drawn.figures),
    }
    for path, content in drawn.files("lengths.md").items():
        assert (records / path).read_bytes() == content


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row[0]))
def test_hits_by_length_add_up_to_the_recall_of_table2(row: tuple[str, dict[str, object], float]) -> None:
    result = record(*row)
    assert 100 * sum(lengths.hits(result).values()) / len(result.greater) == pytest.approx(result.recall())
    parts = [lengths._by({"x": result}, low, high) for low, high in lengths.BINS.values()]
    assert sum(n for n, _, _ in parts) == len(result.greater)
    for m, whole in enumerate((result.recall(), result.mrr())):
        assert sum(n * means[0, m] for n, means, _ in parts) / len(result.greater) == pytest.approx(whole)


def test_hits_are_counted_as_by_hand() -> None:
    result = replace(
        record("pop", {}, 1.0),
        length=np.array([1, 2, 1, 2, 3]),
        greater=np.array([0, 19, 20, 18, 500]),
        equal=np.array([0, 0, 0, 1, 0]),
    )
    assert lengths.hits(result) == {1: 1, 2: 2}


def test_even_weights_give_every_distance_an_even_share() -> None:
    even = [[1 / n] * n for n in range(1, 5)]
    assert attention.from_the_end([7, 5, 0, 2], even) == pytest.approx([1.0, 1.0, 1.0, 1.0])
    assert attention.from_the_end([9, 1], [[1.0], [0.25, 0.75]]) == pytest.approx([1.5, 0.5])
    # Two prefixes of two clicks and one of three: (2 * 2 * 0.75 + 1 * 3 * 0.5) / 3, and so on.
    assert attention.from_the_end([0, 2, 1], [[1.0], [0.25, 0.75], [0.1, 0.4, 0.5]]) == pytest.approx(
        [4.5 / 3, 2.2 / 3, 0.3]
    )


def test_the_same_sessions_are_drawn_every_time_and_only_ones_that_show_something() -> None:
    kept = weights()
    assert attention.sample(kept) == attention.sample(kept)
    assert all(4 <= kept.lengths[i] <= 19 for i in attention.sample(kept))


def test_a_session_that_is_not_there_exits_2_and_the_others_are_drawn(
    records: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["attention", "--dataset", DATASET, "--session", "0", "15", "-1", "--results", "records"]
    assert main(words) == 2
    said = capsys.readouterr()
    assert "--session 15: diginetica-file-order has the test sessions 0 to 14; --session -1" in said.err
    page = (records / "attention.md").read_text(encoding="utf-8")
    assert page == f"{said.out}\n<!-- drawn by: attention --session 0 15 -1 --dataset {DATASET} -->\n"
    assert f"figures/attention-{DATASET}.png" in said.out


def test_a_record_of_another_split_is_left_out_and_named(records: Path) -> None:
    store(record("narm", {"encoder": "global"}, 16.0, "b" * 64), records)
    store(record("pop", {}, 60.0, "b" * 64), records)
    page = ablation.draw(request(records), {}).text
    assert "global-only: records of another split than the hybrid's; not compared" in page
    page = lengths.draw(request(records), {}).text
    assert "Left out, their records are of another split: POP." in page
    assert "| Item-KNN" in page
    assert "| POP" not in page


@pytest.mark.parametrize("module", [ablation, lengths, attention, figure5])
def test_a_record_of_another_schema_is_named_and_the_rest_drawn(module: type[ablation], records: Path) -> None:
    file = records / "runs" / DATASET / "narm-seed0.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 99}))
    assert "narm-seed0.json: schema 99, this suite reads schema 1" in module.draw(request(records), {}).text


@pytest.mark.parametrize("name", ["ablation", "lengths", "attention", "figure5", "all"])
def test_an_empty_results_folder_makes_a_page_with_the_command_that_fills_it(name: str, tmp_path: Path) -> None:
    page = reports.load(name).draw(request(tmp_path, ("cycle",)), {}).text
    assert "`python -m reproduce " in page
    assert "](figures/" not in page


def test_no_model_is_run_for_a_view(records: Path) -> None:
    for name in ("lengths", "attention", "figure5", "significance", "claims", "all"):
        assert reports.load(name).rows(request(records)) == []


def test_a_resumed_run_is_told_and_so_is_what_its_sittings_differ_in() -> None:
    one = record("narm", {}, 14.0)
    assert not any("resumed" in line for line in pages.about([one]))
    same = {**one.environment, "epochs": 2}
    one.environment["resumed"] = [same]
    assert f"Interrupted and resumed, which changes no rank: {DATASET}/narm-seed0." in pages.about([one])
    one.environment["resumed"] = [same, {**same, "threads": 2, "epochs": 3}]
    (line,) = [line for line in pages.about([one]) if "resumed" in line]
    assert "may move a rank" in line and "(threads: 1 to epoch 2, 2 to epoch 3, then 1)" in line


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ({"emulated": False}, "exact"),  # as records say that were made before there was a reconstruction
        ({"emulated": True}, "**emulated**"),
        ({"emulated": False, "reconstructed": False}, "exact"),
        ({"emulated": True, "reconstructed": False}, "**emulated**"),
        ({"emulated": True, "reconstructed": True}, "**reconstructed**"),
    ],
)
def test_a_page_says_whether_the_order_is_exact_emulated_or_reconstructed(told: dict[str, bool], word: str) -> None:
    one = record("narm", {}, 14.0)
    one.split["provenance"].update(told)
    (line,) = [line for line in pages.about([one]) if line.startswith("Data: ")]
    assert line == f"Data: made up; clicks in the order of the source's rows, {word} ({NOTE})."


def test_verdicts_follow_the_interval() -> None:
    effect = ablation.Effect
    assert ablation.verdict(effect(1.0, 0.1, 1.9, 0.0)) == "better"
    assert ablation.verdict(effect(-1.0, -1.9, -0.1, 0.0)) == "worse"
    assert ablation.verdict(effect(1.0, -0.1, 2.1, 0.0)) == "within noise"
    assert ablation.verdict(effect(-0.3, -0.5, -0.1, 0.0)) == "worse"
    assert ablation.verdict(effect(-0.3, -0.5, -0.1, 0.0, one_run=True)) == "within noise"
    assert ablation.verdict(effect(-0.5, -0.7, -0.3, 0.0, one_run=True)) == "worse"
    assert ablation.verdict(effect(np.nan, np.nan, np.nan, np.nan)) == "within noise"


@pytest.mark.parametrize("name", ["lengths", "attention", "figure5", "significance", "claims"])
def test_a_view_without_logs_and_records_says_so_and_announces_no_synthetic_log(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([name]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "synthetic" not in said.out
    assert name == "claims" or "`python -m reproduce table2`" in said.out


def test_a_view_shows_the_synthetic_log_where_there_is_nothing_else(records: Path) -> None:
    assert Shelf.at(records).datasets() == [DATASET]
    (records / "runs" / "synthetic").mkdir()
    shutil.copy(records / "runs" / DATASET / "pop-seed0.json", records / "runs" / "synthetic")
    assert Shelf.at(records).datasets() == [DATASET]
    shutil.rmtree(records / "runs" / DATASET)
    assert Shelf.at(records).datasets() == ["synthetic"]


def test_model_restricts_a_view(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--results", "records", "--model", "pop", "item_knn"]
    assert main(["significance", *words]) == 0
    out = capsys.readouterr().out
    assert "| Item-KNN − POP " in out and "NARM" not in out
    assert main(["lengths", *words]) == 0
    out = capsys.readouterr().out
    models = {
        line.split("|")[1].strip() for line in out.partition("Recall@20 by length")[2].splitlines() if "|" in line
    }
    assert {"POP", "Item-KNN"} < models and not {"NARM", "Improved GRU-Rec"} & models


def test_dataset_restricts_a_view(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lengths", "--results", "records", "--dataset", "cycle"]) == 0
    out = capsys.readouterr().out
    assert "cycle toy" in out and "DIGINETICA in file order" not in out


def test_a_variant_that_failed_is_told_from_one_that_was_not_run(records: Path) -> None:
    path = Experiment.of(DATASET, "narm", {"encoder": "local"}).path
    page = ablation.draw(request(records), {path: "out of memory"}).text
    cells = {line.split("|")[1].strip(): line.split("|")[3].strip() for line in page.splitlines() if line[:2] == "| "}
    assert cells["local-only"] == "failed"
    assert "- local-only failed: out of memory" in page
    (missing,) = [line for line in page.splitlines() if line.startswith("Not run yet: ")]
    assert "local-only," not in missing and "hybrid-50" in missing


def test_fields_set_for_an_ablation_are_those_of_every_variant(records: Path) -> None:
    asked = replace(request(records), settings={"narm": {"hidden": "50"}})
    assert [row.fields["hidden"] for row in ablation.rows(asked)] == [50] * 4
    page = ablation.draw(asked, {}).text
    assert "Set for every variant: narm.hidden=50." in page
    assert "--set narm.hidden=50" in page


def test_all_writes_every_page_it_can_and_an_index_that_links_them(
    records: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {file: file.read_bytes() for file in records.rglob("runs/*/*")}
    assert main(["all", "--results", "records", "--quiet"]) == 0
    said = capsys.readouterr()
    assert (records / "README.md").read_text(encoding="utf-8") == said.out
    linked = {word.partition(")")[0] for word in said.out.split("](")[1:]}
    assert linked == {file.name for file in records.glob("*.md")} - {"README.md"}
    assert {"table2.md", "ablation.md", "lengths.md", "attention.md", "figure5.md"} <= linked
    assert "table1: left as it was: " in said.err  # the logs are not here
    assert {file: file.read_bytes() for file in records.rglob("runs/*/*")} == before


def test_all_with_run_fills_the_gaps_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["all", "--run", "--dataset", "cycle", "--model", "pop", "--results", "r", "--quiet"]) == 0
    assert (tmp_path / "r/runs/cycle/pop-seed0.json").is_file()
    assert "POP (1 seed)" in (tmp_path / "r/README.md").read_text(encoding="utf-8")
