"""The pages from small records: they equal those in golden/, add up, and are drawn whatever is missing or broken.

After an intended change: REWRITE_GOLDEN=1 python -m pytest tests/test_pages.py, and read the difference.
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
from reproduce.evaluation.comparisons import Pair
from reproduce.evaluation.uncertainty import Estimate, OneRun
from reproduce.fitting.attention import LONGEST, Attention
from reproduce.reports import ablation, attention, figure5, lengths, measuring, table2
from reproduce.reports import page as pages
from reproduce.reports.measuring import Seeds
from reproduce.reports.shelf import Shelf
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import Result, store
from reproduce.runs.request import Request

GOLDEN = Path(__file__).resolve().parent / "golden"
DATASET = "diginetica-file-order"
NOTE = "ranks drawn from a seed, for this test"
CLICKS = [3, 2, 5, 25, 4, 2, 9, 20, 2, 12, 6, 2, 3, 30, 7]  # lengths of the test sessions
ROWS = [
    ("pop", {}, 60.0),
    ("item_knn", {}, 30.0),
    ("improved_gru_rec", {}, 18.0),
    ("narm", {}, 14.0),
    ("narm", {"encoder": "global"}, 16.0),
    ("narm", {"decoder": "fully-connected"}, 40.0),
]


def record(model: str, fields: dict[str, object], mean_rank: float, digest: str = "a" * 64) -> Result:
    """Make a record as `run` would, with ranks drawn from a seed instead of a model's."""
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
    """Return attention that grows linearly along a prefix, with every third click on the target."""
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
    """Return every file's content and the time it was written."""
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
    # Without the reference's numbers and findings, which change with every record.
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
    assert (records / "lengths.md").read_text(encoding="utf-8") == drawn.text
    for name, content in drawn.figures.items():
        assert (records / "figures" / name).read_bytes() == content


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row[0]))
def test_hits_by_length_add_up_to_the_recall_of_table2(row: tuple[str, dict[str, object], float]) -> None:
    result = record(*row)
    assert 100 * sum(lengths.hits(result).values()) / len(result.greater) == pytest.approx(result.recall())
    rows = {"x": [result]}
    sizes = [int(measuring.of_lengths(*ends)(result).sum()) for ends in lengths.BINS.values()]
    assert sum(sizes) == len(result.greater)
    parts = [lengths._measured(rows, Seeds(()), *ends) for ends in lengths.BINS.values()]
    for metric, whole in (("recall", result.recall()), ("mrr", result.mrr())):
        total = sum(n * found[metric]["x"].value for n, found in zip(sizes, parts, strict=True))
        assert total / len(result.greater) == pytest.approx(whole)


def test_hits_are_counted_as_by_hand() -> None:
    result = replace(
        record("pop", {}, 1.0),
        length=np.array([1, 2, 1, 2, 3]),
        greater=np.array([0, 19, 20, 18, 500]),
        equal=np.array([0, 0, 0, 1, 0]),
    )
    assert lengths.hits(result) == {1: 1, 2: 2}


def test_hits_of_several_seeds_are_their_mean(records: Path) -> None:
    one = record("narm", {}, 14.0)
    store(replace(one, experiment=Experiment.of(DATASET, "narm", {}, 1), greater=np.zeros_like(one.greater)), records)
    page = lengths.draw(request(records), {}).text
    assert "Targets among the first 20, a mean over seeds:" in page
    (line,) = [line for line in page.splitlines() if line.startswith("| all ")]
    first = sum(lengths.hits(one).values())
    assert line.split("|")[5].strip() == f"{(first + len(one.greater)) / 2:,.0f}"


def test_the_figure_by_length_ends_with_all_longer_prefixes(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    panels = []
    monkeypatch.setattr(lengths.figures, "lines", lambda name, drawn: panels.extend(drawn) or {})
    lengths.draw(request(records), {})
    (line,) = [line for line in panels[0].content if line.label == "NARM"]
    one = record("narm", {}, 14.0)
    longer = one.length > 19
    assert line.apart and list(panels[0].ticks)[-1] == line.x[-1] and panels[0].ticks[line.x[-1]] == ">19"
    assert line.y[-1] == pytest.approx(100 * np.mean(one.ranks()[longer] <= 20))


def test_at_most_six_lines_are_drawn_narm_and_own_models_first() -> None:
    rows: dict[str, list[Result]] = {label: [] for label in ("POP", "S-POP", "Item-KNN", "FPMC", "GRU-Rec", "NARM")}
    assert set(lengths._drawn_lines(rows, dict.fromkeys(rows, 1.0), [])) == set(rows)
    rows |= {"S-KNN": [], "V-SKNN": [], "Mine": []}
    height = {label: float(place) for place, label in enumerate(rows)}
    assert lengths._drawn_lines(rows, height, ["Mine"]) == ["NARM", "Mine", "GRU-Rec", "Item-KNN", "S-POP", "V-SKNN"]


def test_the_papers_numbers_stand_only_beside_the_task_that_it_ran() -> None:
    one = record("pop", {}, 60.0)
    assert pages.papers_task("diginetica-file-order", [one])
    assert not pages.papers_task("diginetica", [one])  # clicks by time, not in file order
    assert not pages.papers_task("eshop", [one])
    one.split["provenance"]["published"] = {"test_sequences": 60_858}
    assert not pages.papers_task("diginetica-file-order", [one])  # a sample


def test_losses_are_drawn_apart_and_bars_only_of_what_was_run(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    curves, bars = [], []
    monkeypatch.setattr(figure5.figures, "curves", lambda name, shared, own: curves.append((shared, own)) or {})
    monkeypatch.setattr(figure5.figures, "bars", lambda name, panels: bars.extend(panels) or {})
    figure5.draw(request(records), {})
    ((shared, losses),) = curves
    assert [line.label for line in shared.content] == ["Improved GRU-Rec", "NARM"]
    assert [panel.title for panel in losses] == ["Improved GRU-Rec: loss", "NARM: loss"]
    assert [len(panel.content) for panel in losses] == [1, 1]
    assert [bar.label for bar in bars[0].content] == ["POP", "Item-KNN", "Improved GRU-Rec", "NARM"]
    assert all(bar.interval[0] <= bar.value <= bar.interval[1] for panel in bars for bar in panel.content)
    assert bars[0].content[3].published == 62.58


@pytest.mark.parametrize(
    ("weight", "even", "says"),
    [
        (
            0.515,
            0.493,
            "hold 51.5 % of the weight, where even weights would give them 49.3 %: that is next to nothing.",
        ),
        (0.685, 0.535, "them 53.5 %: they are favoured, for the item or for their place."),
        (0.3, 0.4, "them 40.0 %: they are neglected, for the item or for their place."),
    ],
)
def test_what_is_said_of_the_attention_follows_its_rule(weight: float, even: float, says: str) -> None:
    means = {**weights().means, "repeat": {"examples": 40, "weight": weight, "even": even}}
    assert attention._summary([means]).endswith(says)
    level = {**means, "weight": [[1 / n] * n for n in range(1, LONGEST + 1)]}
    assert "The last click holds 1.00 times an even share: it is neither favoured nor" in attention._summary([level])


def test_even_weights_give_every_distance_an_even_share() -> None:
    even = [[1 / n] * n for n in range(1, 5)]
    assert attention.from_the_end([7, 5, 0, 2], even) == pytest.approx([1.0, 1.0, 1.0, 1.0])
    assert attention.from_the_end([9, 1], [[1.0], [0.25, 0.75]]) == pytest.approx([1.5, 0.5])
    # Two prefixes of two clicks and one of three: (2 * 2 * 0.75 + 1 * 3 * 0.5) / 3, and so on.
    assert attention.from_the_end([0, 2, 1], [[1.0], [0.25, 0.75], [0.1, 0.4, 0.5]]) == pytest.approx(
        [4.5 / 3, 2.2 / 3, 0.3]
    )


def test_prefixes_of_one_click_leave_nothing_to_attend_to(records: Path) -> None:
    short = replace(weights(), means={**weights().means, "examples": [9, *[0] * (LONGEST - 1)]})
    store(replace(record("narm", {}, 14.0), attention=short), records)
    page = attention.draw(request(records), {}).text
    assert "No test prefix has more than one click" in page and "![" not in page


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
    request = f'{{"datasets": ["{DATASET}"], "options": {{"session": [0, 15, -1]}}}}'
    assert page == f"{said.out}\n<!-- request: {request} -->\n"
    assert f"figures/attention-{DATASET}.png" in said.out


def test_a_record_of_another_split_is_left_out_and_named(records: Path) -> None:
    store(record("narm", {"encoder": "global"}, 16.0, "b" * 64), records)
    store(record("pop", {}, 60.0, "b" * 64), records)
    page = ablation.draw(request(records), {}).text
    assert f"narm,encoder=global-seed0.json: made from other data called {DATASET}; left out." in page
    page = lengths.draw(request(records), {}).text
    assert f"pop-seed0.json: made from other data called {DATASET}; left out." in page
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
    for name in ("lengths", "attention", "figure5", "significance", "claims"):
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
        ({"emulated": False}, "exact"),  # as in records from before the order was reconstructed
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


@pytest.mark.parametrize(
    ("value", "error", "word"),
    [
        (1.0, 0.4, "better"),  # from so many sessions, 1.96 standard errors to either side
        (-1.0, 0.4, "worse"),
        (1.0, 0.6, "undecided"),
        (-0.1, 0.2, "negligible"),  # 90 %: -0.43 to 0.23, within half a point
        (-0.2, 0.2, "undecided"),  # 90 %: -0.53 to 0.13
    ],
)
def test_verdicts_are_those_of_the_whiskers(value: float, error: float, word: str) -> None:
    one = Estimate(value, error**2, 1e9)
    assert ablation.verdict(Pair(one, one.low, one.high, one.p)) == word
    assert (word in ("better", "worse")) == (one.low > 0 or one.high < 0)
    assert ablation.verdict(OneRun(one)) == "one run: not judged"


def test_an_ablation_of_single_runs_judges_nothing_and_draws_no_whisker(
    records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "reference_folder", lambda: records / "none")  # nor does it lend any noise
    page = ablation.draw(request(records), {}).text
    assert "**one run: not judged** global-only, fc-decoder" in page
    assert "whisker" not in page.replace("A bar without a whisker is not judged.", "")
    store(replace(record("narm", {}, 14.0), experiment=Experiment.of(DATASET, "narm", {}, 1)), records)
    page = ablation.draw(request(records), {}).text  # two seeds now show how far a seed moves a number
    assert "not judged" not in page and "thin whisker" in page


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


def test_stored_shows_what_has_records_and_no_synthetic_log(
    records: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(records.parent)  # there is no data/ there
    assert main(["ablation", "--stored", "--results", str(records)]) == 0
    said = capsys.readouterr()
    assert "synthetic" not in said.out + said.err
    assert "DIGINETICA in file order" in said.out


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
    tables = out.partition("<details><summary>Recall@20 and MRR@20 by length")[2]
    models = {line.split("|")[1].strip() for line in tables.splitlines() if "|" in line}
    assert {"POP", "Item-KNN"} < models and not {"NARM", "Improved GRU-Rec"} & models


def test_dataset_restricts_a_view(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lengths", "--results", "records", "--dataset", "cycle"]) == 0
    out = capsys.readouterr().out
    assert "cycle toy" in out and "DIGINETICA in file order" not in out


def test_a_variant_that_failed_is_told_from_one_that_was_not_run(records: Path) -> None:
    path = Experiment.of(DATASET, "narm", {"encoder": "local"}).path
    page = ablation.draw(request(records), {path: "out of memory"}).text
    table = page.partition("| variant ")[2].partition("\n\n")[0]
    cells = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in table.splitlines()[2:]}
    assert cells["local-only"] == "failed" and cells["hybrid-50"] == "—" and "no-query" not in cells
    assert "- local-only failed: out of memory" in page
    (missing,) = [line for line in page.splitlines() if "<summary>Not run yet: " in line]
    assert "local-only," not in missing and "hybrid-50" in missing and "no-query" in missing


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
    assert "| POP " in (tmp_path / "r/README.md").read_text(encoding="utf-8")
