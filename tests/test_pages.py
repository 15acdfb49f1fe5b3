"""The pages from small records: they equal those in golden/, add up, and are drawn whatever is missing or broken.

After an intended change: REWRITE_GOLDEN=1 python -m pytest tests/test_pages.py, and read the difference.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
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
from reproduce.reports import ablation, attention, figure5, lengths, measuring, renderers, table2
from reproduce.reports import records as stored_records
from reproduce.reports.document import Document
from reproduce.reports.records import Records, papers_task
from reproduce.reports.study import Study
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


def record(model: str, fields: dict[str, object], mean_rank: float, digest: str = "a" * 64, seed: int = 0) -> Result:
    """Make a record as `run` would, with ranks drawn from a seed instead of a model's."""
    made = Experiment.of(DATASET, model, fields, seed)
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
        store(record(*row), Path("records"))
    return Path("records")


def snapshot(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Return every file's content and the time it was written."""
    return {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.rglob("*") if file.is_file()}


def request(results: Path, datasets: tuple[str, ...] = (DATASET,)) -> Request:
    return Request(datasets=datasets, data=Path("data"), results=results, quiet=True)


def rendered(document: Document) -> str:
    """Return a document in every renderer, one after the other."""
    parts = [renderers.markdown(document), renderers.terminal(document), *document.data.values()]
    for i, (caption, table) in enumerate(document.tables):
        parts += [renderers.latex(f"t-{i}", caption, table), renderers.csv(table.frame())]
        parts.append(renderers.as_json(f"t-{i}", caption, table))
    pictures = re.compile(r"(?<=base64,)[^\"]+")  # the figures' bytes depend on the version of matplotlib
    parts.append(pictures.sub("...", renderers.html({"page.md": document})))
    return f"\n{'=' * 40}\n".join(parts)


@pytest.mark.parametrize(
    ("name", "module"),
    [("table2", table2), ("ablation", ablation), ("lengths", lengths), ("attention", attention), ("figure5", figure5)],
)
def test_a_page_is_the_golden_one_in_every_renderer(
    name: str, module: type[ablation], records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the reference's numbers and findings, which change with every record.
    monkeypatch.setattr(stored_records, "reference_folder", lambda: records / "none")
    text = rendered(module.PAGE.draw(request(records)))
    if os.environ.get("REWRITE_GOLDEN"):
        (GOLDEN / f"{name}.txt").write_text(text, encoding="utf-8")
    assert text == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_no_line_on_a_terminal_is_longer_than_100_columns(records: Path) -> None:
    for name, page in reports.pages().items():
        if not page.reads_logs:
            lines = renderers.terminal(page.draw(request(records))).splitlines()
            assert max(map(len, lines)) <= 100, (name, max(lines, key=len))


def test_no_table_or_sentence_of_a_terminal_is_wider_than_100_columns(records: Path) -> None:
    for module in (table2, ablation, lengths, attention, figure5):
        text = renderers.terminal(module.PAGE.draw(request(records)))
        assert max(map(len, text.splitlines())) <= renderers.WIDTH


@pytest.mark.parametrize("module", [ablation, lengths, attention, figure5])
def test_every_figure_that_a_page_embeds_is_there(module: type[ablation], records: Path) -> None:
    drawn = module.PAGE.draw(request(records))
    named = {word.partition(")")[0] for word in renderers.markdown(drawn).split("(figures/")[1:]}
    assert named
    assert set(drawn.figures) == named


@pytest.mark.parametrize("module", [ablation, lengths, attention, figure5])
def test_a_page_drawn_twice_is_the_same_bytes_and_nothing_is_written(module: type[ablation], records: Path) -> None:
    before = snapshot(records)
    assert module.PAGE.draw(request(records)) == module.PAGE.draw(request(records))
    assert snapshot(records) == before


def test_a_page_and_its_figures_are_written_by_the_command(records: Path) -> None:
    before = snapshot(records)
    assert main(["ablation", "--dataset", DATASET, "--results", "records", "--variant", "hybrid", "--dry-run"]) == 0
    assert snapshot(records) == before
    assert main(["lengths", "--results", "records"]) == 0
    drawn = lengths.PAGE.draw(request(Path("records"), ()))
    files = {f"figures/{name}": content for name, content in drawn.figures.items()}
    files |= {"lengths.md": renderers.markdown(drawn).encode(), **{k: v.encode() for k, v in drawn.data.items()}}
    assert {str(file.relative_to(records)) for file in snapshot(records).keys() - before.keys()} == set(files)
    for path, content in files.items():
        assert (records / path).read_bytes().startswith(content)  # a page ends in a comment


def section(results: Path) -> lengths._Section:
    return lengths._Section(Study(request(results)), DATASET)


def test_every_bin_of_the_page_adds_up_to_the_recall_and_mrr_of_table2(records: Path) -> None:
    page = section(records)
    sizes = {span: page.prefixes(*ends) for span, ends in lengths.TICKS.items()}
    for model, label in (("pop", "POP"), ("narm", "NARM")):
        result = next(record(*row) for row in ROWS if row[:2] == (model, {}))
        hits = sum(page.hits(label, *ends) for ends in lengths.TICKS.values())
        assert 100 * hits / len(result.greater) == pytest.approx(result.recall())
        for metric, whole in (("recall", result.recall()), ("mrr", result.mrr())):
            total = sum(n * page.by_length[span][metric][label].value for span, n in sizes.items())
            assert total / sum(sizes.values()) == pytest.approx(whole)
            assert page.by_length["all"][metric][label].value == pytest.approx(whole)


@pytest.mark.parametrize("view", [{}, {"protocol": "last"}, {"ties": "favour"}, {"protocol": "last", "ties": "random"}])
def test_counts_are_of_the_view_that_was_asked_for(records: Path, view: dict[str, str]) -> None:
    page = lengths._Section(Study(replace(request(records), options=view)), DATASET)
    for label, runs in page.rows.items():
        for span, ends in lengths.TICKS.items():
            if span in page.by_length:
                share = page.hits(label, *ends) / page.prefixes(*ends)
                assert 100 * share == pytest.approx(page.by_length[span]["recall"][label].value), (label, len(runs))


def test_published_numbers_stand_beside_no_other_view_than_theirs(records: Path) -> None:
    """Every click is predicted in the paper: a difference from it in another view would say nothing."""
    figures = [table2.PAGE.draw(request(records)).figures]
    other = replace(request(records), options={"protocol": "last"})
    figures.append(table2.PAGE.draw(other).figures)
    assert ["table2.png" in names for names in figures] == [True, False]


def test_hits_of_several_seeds_are_their_mean(records: Path) -> None:
    one = record("narm", {}, 14.0)
    store(replace(record("narm", {}, 14.0, seed=1), greater=np.zeros_like(one.greater)), records)
    rows = csv.DictReader(io.StringIO(lengths.PAGE.draw(request(records)).data["lengths.csv"]))
    (line,) = [row for row in rows if (row["model"], row["clicks"]) == ("NARM", "all")]
    first = (one.ranks() <= 20).sum()
    assert float(line["hits"]) == (first + len(one.greater)) / 2


def test_the_longest_bin_has_all_prefixes_that_narm_does_not_read_whole(records: Path) -> None:
    one = record("narm", {}, 14.0)
    longer = one.length > 19
    page = section(records)
    assert page.prefixes(*lengths.TICKS[">19"]) == longer.sum()
    assert page.by_length[">19"]["recall"]["NARM"].value == pytest.approx(100 * np.mean(one.ranks()[longer] <= 20))
    assert page.drawn[0] == page.reference == "NARM" and page.rivals == ["Improved GRU-Rec", "Item-KNN"]


def test_the_papers_numbers_stand_only_beside_the_task_that_it_ran() -> None:
    one = record("pop", {}, 60.0)
    assert papers_task("diginetica-file-order", [one])
    assert not papers_task("diginetica", [one])  # clicks by time, not in file order
    assert not papers_task("eshop", [one])
    one.split["provenance"]["published"] = {"test_sequences": 60_858}
    assert not papers_task("diginetica-file-order", [one])  # a sample


def test_curves_and_bars_are_drawn_of_what_was_run(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    curves, bars = [], []
    monkeypatch.setattr(figure5.figures, "curves", lambda name, panels: curves.append(panels) or {})
    monkeypatch.setattr(figure5.figures, "bars", lambda name, panels: bars.append(panels) or {})
    page = figure5.PAGE.draw(request(records))
    assert page.answer[0].startswith("Every model was trained to its end")
    ((lines,),) = (panels.values() for panels in curves)
    assert [(line.label, line.ring) for line in lines] == [("Improved GRU-Rec", 3), ("NARM", 3)]
    (panels,) = bars
    assert [bar.label for bar in panels["Recall@20"]] == ["POP", "Item-KNN", "Improved GRU-Rec", "NARM"]
    assert panels["Recall@20"][3].paper == 62.58 and panels["MRR@20"][3].value == pytest.approx(
        record("narm", {}, 14.0).mrr()
    )


def test_a_run_that_kept_its_last_epoch_is_named(records: Path) -> None:
    store(record("narm", {"epochs": 3}, 14.0), records)
    page = figure5.PAGE.draw(replace(request(records), settings={"narm": {"epochs": "3"}}))
    assert "(epochs=3) on DIGINETICA, file order (1 of 1 runs)" in page.answer[0]


@pytest.mark.parametrize(
    ("weight", "even", "says"),
    [
        (
            0.515,
            0.493,
            "clicks on it have 51.5 % of the weight; uniform weights would give 49.3 %: neither favoured nor "
            "neglected.",
        ),
        (0.685, 0.535, "would give 53.5 %: favoured."),
        (0.3, 0.4, "would give 40.0 %: neglected."),
    ],
)
def test_what_is_said_of_the_attention_follows_its_rule(weight: float, even: float, says: str) -> None:
    means = {**weights().means, "repeat": {"examples": 40, "weight": weight, "even": even}}
    assert attention.summary([means]).endswith(says)
    level = {**means, "weight": [[1 / n] * n for n in range(1, LONGEST + 1)]}
    assert "The last click has 1.00 times an even share: it is neither favoured nor" in attention.summary([level])


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
    page = renderers.markdown(attention.PAGE.draw(request(records)))
    assert "no test prefix has more than one click" in page and "![" not in page


def test_the_same_sessions_are_drawn_every_time_and_all_of_one_length() -> None:
    kept = weights()
    assert attention.sample(kept) == attention.sample(kept)
    assert {int(kept.lengths[i]) for i in attention.sample(kept)} == {8}
    assert len({int(weights().lengths[i]) for i in attention.sample(replace(kept, lengths=kept.lengths + 30))}) == 1


@pytest.mark.parametrize("session", ["15", "-1"])
def test_a_session_that_is_not_there_exits_2_and_nothing_is_written(
    session: str, records: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["attention", "--dataset", DATASET, "--results", "records", "--session", "0"]
    assert main([*words, session]) == 2
    assert f"--session {session}: diginetica-file-order has the test sessions 0 to 14" in capsys.readouterr().err
    assert not (records / "attention.md").exists()
    assert main([*words, "14"]) == 0
    page = (records / "attention.md").read_text(encoding="utf-8")
    asked = f'{{"datasets": ["{DATASET}"], "options": {{"session": [0, 14]}}}}'
    assert page.endswith(f"\n<!-- request: {asked} -->\n")
    assert "figures/attention.png" in page


def test_a_record_of_another_split_is_left_out_and_named(records: Path) -> None:
    store(record("narm", {"encoder": "global"}, 16.0, "b" * 64), records)
    store(record("pop", {}, 60.0, "b" * 64), records)
    page = renderers.markdown(ablation.PAGE.draw(request(records)))
    assert f"narm,encoder=global-seed0.json: made from other data called {DATASET}; left out." in page
    drawn = lengths.PAGE.draw(request(records))
    assert f"pop-seed0.json: made from other data called {DATASET}; left out." in renderers.markdown(drawn)
    assert "Item-KNN" in drawn.data["lengths.csv"] and "POP" not in drawn.data["lengths.csv"]


@pytest.mark.parametrize("module", [ablation, lengths, attention, figure5])
def test_a_record_of_another_schema_is_named_and_the_rest_drawn(module: type[ablation], records: Path) -> None:
    file = records / "runs" / DATASET / "narm-seed0.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 99}))
    assert "narm-seed0.json: schema 99, this suite reads schema 1" in renderers.markdown(
        module.PAGE.draw(request(records))
    )


@pytest.mark.parametrize("name", ["ablation", "lengths", "attention", "figure5", "all"])
def test_an_empty_results_folder_makes_a_page_with_the_command_that_fills_it(name: str, tmp_path: Path) -> None:
    page = renderers.markdown(reports.load(name).draw(request(tmp_path, ("cycle",))))
    assert "`python -m reproduce " in page
    assert "](figures/" not in page


def test_no_model_is_run_for_a_view(records: Path) -> None:
    for name in ("lengths", "attention", "figure5", "significance", "claims"):
        assert reports.load(name).rows(request(records)) == []


def test_a_resumed_run_is_told(tmp_path: Path) -> None:
    one = record("narm", {}, 14.0)
    part = {key: value for key, value in one.environment.items() if key != "resumed"}
    for resumed, told in (([], "no"), ([{**part, "epochs": 2}], "yes")):
        store(replace(one, environment={**one.environment, "resumed": resumed}), tmp_path)
        assert list(stored_records.Records(tmp_path).runs()["resumed"]) == [told]


@pytest.mark.parametrize(
    ("provenance", "order"),
    [
        ({"emulated": False}, ""),  # as in records from before the order was reconstructed
        ({"emulated": True}, "; the order of the clicks is emulated, not read from the raw file"),
        ({"emulated": False, "reconstructed": False}, ""),
        (
            {"emulated": True, "reconstructed": True},
            "; the order of the clicks is reconstructed, not read from the raw file",
        ),
    ],
)
def test_a_page_says_whether_the_order_is_exact_emulated_or_reconstructed(
    provenance: dict[str, bool], order: str
) -> None:
    one = record("narm", {}, 14.0)
    one.split["provenance"].update(provenance)
    assert table2.data_notes([one]) == [f"Data: made up{order}; {NOTE}."]


@pytest.mark.parametrize(
    ("value", "error", "word"),
    [
        (1.0, 0.4, "better"),  # from so many sessions, 1.96 standard errors to either side
        (-1.0, 0.4, "worse"),
        (1.0, 0.6, "undecided"),
    ],
)
def test_verdicts_are_those_of_the_whiskers(value: float, error: float, word: str) -> None:
    one = Estimate(value, error**2, 1e9)
    assert measuring.kind_of(Pair(one, one.low, one.high, one.p)) == word
    assert (word in ("better", "worse")) == (one.low > 0 or one.high < 0)
    assert measuring.kind_of(OneRun(one)) == "not judged"


def test_an_ablation_of_single_runs_judges_nothing(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_records, "reference_folder", lambda: records / "none")  # nor does it lend any noise
    page = ablation.PAGE.draw(request(records))
    assert "Single runs are not judged" in page.answer[0] and b"not judged" in page.figures["ablation.svg"]
    store(record("narm", {}, 14.0, seed=1), records)
    page = ablation.PAGE.draw(request(records))  # two seeds now show how far a seed moves a number
    assert "not judged" not in page.answer[0] and b"not judged" not in page.figures["ablation.svg"]


@pytest.mark.parametrize("name", ["lengths", "attention", "figure5", "significance", "claims"])
def test_a_view_without_logs_and_records_says_so_and_announces_no_synthetic_log(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([name]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "synthetic" not in said.out
    assert name == "claims" or "python -m reproduce table2" in said.out


def test_stored_shows_what_has_records_and_no_synthetic_log(
    records: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(records.parent)  # there is no data/ there
    assert main(["ablation", "--stored", "--results", str(records)]) == 0
    said = capsys.readouterr()
    assert "synthetic" not in said.out + said.err
    assert "DIGINETICA, file order" in said.out


def test_a_view_shows_the_synthetic_log_where_there_is_nothing_else(records: Path) -> None:
    assert Records(records).datasets() == [DATASET]
    (records / "runs" / "synthetic").mkdir()
    shutil.copy(records / "runs" / DATASET / "pop-seed0.json", records / "runs" / "synthetic")
    assert Records(records).datasets() == [DATASET]
    shutil.rmtree(records / "runs" / DATASET)
    assert Records(records).datasets() == ["synthetic"]


def test_model_restricts_a_view(records: Path) -> None:
    words = ["--results", "records", "--model", "pop", "item_knn"]
    for name, file in (("significance", "pairs.csv"), ("lengths", "lengths.csv")):
        assert main([name, *words]) == 0
        rows = list(csv.reader((records / file).open(encoding="utf-8")))
        cells = {cell for row in rows for cell in row}
        assert {"POP", "Item-KNN"} < cells and not {"NARM", "Improved GRU-Rec"} & cells


def test_dataset_restricts_a_view(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lengths", "--results", "records", "--dataset", "cycle"]) == 0
    out = capsys.readouterr().out
    assert "cycle toy" in out and "DIGINETICA, file order" not in out


def test_a_variant_that_failed_is_told_from_one_that_was_not_run(records: Path) -> None:
    path = Experiment.of(DATASET, "narm", {"encoder": "local"}).path
    page = renderers.markdown(ablation.PAGE.draw(replace(request(records), failures={path: "out of memory"})))
    table = page.partition("| variant ")[2].partition("\n\n")[0]
    cells = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in table.splitlines()[2:]}
    assert cells["local-only"] == "failed" and cells["hybrid-50"] == "not run" and "no-query" not in cells
    assert f"- {path.removeprefix('runs/')} failed: out of memory" in page
    (missing,) = [line for line in page.splitlines() if line.startswith("Not run: ")]
    assert "local-only," not in missing and "hybrid-50" in missing and "no-query" in missing


def test_fields_set_for_an_ablation_are_those_of_every_variant(records: Path) -> None:
    asked = replace(request(records), settings={"narm": {"hidden": "50"}})
    assert [row.fields["hidden"] for row in ablation.rows(asked)] == [50] * 4
    page = renderers.markdown(ablation.PAGE.draw(asked))
    assert "Set for every variant: narm.hidden=50." in page
    assert "--set narm.hidden=50" in page


def test_all_writes_every_page_it_can_and_an_index_that_links_them(
    records: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {file: file.read_bytes() for file in records.rglob("runs/*/*")}
    assert main(["all", "--results", "records", "--quiet"]) == 0
    said = capsys.readouterr()
    index = (records / "README.md").read_text(encoding="utf-8")
    linked = {word.partition(")")[0] for word in index.split("](")[1:]}
    assert linked == {file.name for file in records.glob("*.md")} - {"README.md"} | {"runs.csv"}
    assert {"table2.md", "ablation.md", "lengths.md", "attention.md", "figure5.md"} <= linked
    assert "table1: left as it was: " in said.err  # the logs are not here
    assert {file: file.read_bytes() for file in records.rglob("runs/*/*")} == before


def test_all_with_run_fills_the_gaps_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["all", "--run", "--dataset", "cycle", "--model", "pop", "--results", "r", "--quiet"]) == 0
    assert (tmp_path / "r/runs/cycle/pop-seed0.json").is_file()
    assert "| POP " in (tmp_path / "r/README.md").read_text(encoding="utf-8")


def test_the_projects_own_numbers_stand_only_beside_the_same_split(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    monkeypatch.setattr(stored_records, "reference_folder", lambda: project)
    for digest, stands in (("a" * 64, True), ("b" * 64, False)):
        store(
            replace(
                record("pop", {}, 20.0, digest), environment={**record("pop", {}, 1.0).environment, "device": "other"}
            ),
            project,
        )
        page = renderers.markdown(table2.PAGE.draw(request(records)))
        assert ("| reference" in page or " reference " in page) is stands


def test_all_draws_what_narm_attends_to_whatever_other_models_were_asked_for(records: Path) -> None:
    assert main(["all", "--results", "records", "--model", "pop", "item_knn"]) == 0
    assert "Mean attention by distance from the last click" in (records / "attention.md").read_text(encoding="utf-8")
