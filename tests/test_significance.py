"""The page of differences, from records whose hits can be counted: who differs, who does not, who cannot be judged.

After an intended change: REWRITE_GOLDEN=1 python -m pytest tests/test_significance.py, and read the difference.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reproduce import catalog
from reproduce.__main__ import main
from reproduce.evaluation.uncertainty import ALPHA, OneRun
from reproduce.reports import comparison, figures_matrix, significance
from reproduce.reports import page as pages
from reproduce.reports.figures_matrix import ALIKE, Cell, Matrix
from reproduce.reports.measuring import Seeds
from reproduce.reports.shelf import Shelf
from reproduce.reports.significance import Compared
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import Result, store
from reproduce.runs.request import Request
from reproduce.runs.search import Trial
from reproduce.runs.stored_search import Found

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
    trials = [{"fields": fields, "recall": 50.0, "mrr": 20.0, "why": None} for fields in (defaults, best)]
    content = {"model": model, "fixed": {}, "scored_on": "a tenth", "defaults": trials[0], "best": trials[1]}
    file = folder / "search" / DATASET / f"{model}-seed0.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**content, "trials": trials}))


@pytest.fixture(autouse=True)
def no_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "reference_folder", lambda: tmp_path / "none")


def request(results: Path, models: tuple[str, ...] = ()) -> Request:
    return Request(datasets=(DATASET,), data=Path("data"), results=results, models=models, quiet=True)


def compared(rows: dict[str, list[Result]], metric: str = "recall", seeds: Seeds | None = None) -> Compared:
    return Compared.of(rows, metric, seeds or Seeds(()))


def test_the_page_is_the_golden_one(tmp_path: Path) -> None:
    results = tmp_path / "records"
    for seed, hits in enumerate((96, 100)):
        store(record("narm", hits, seed=seed), results)
    store(record("improved_gru_rec", 94, shift=10), results)
    store(record("pop", 12), results)
    store(tied(record("item_knn", 40)), results)
    store(record("item_knn", 62, {"alpha": 0.25}), results)
    store(record("sknn", 60, shift=60), results)
    search(results, "item_knn", {"alpha": 0.25, "regularisation": 20.0}, {"alpha": 0.5, "regularisation": 20.0})
    text = significance.draw(request(results), {}).text
    if os.environ.get("REWRITE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_the_better_row_comes_first_and_interval_and_p_agree() -> None:
    rows = {"POP": [record("pop", 30)], "Item-KNN": [record("item_knn", 90)], "S-KNN": [record("sknn", 33)]}
    found = compared(rows)
    assert list(found.rows) == ["Item-KNN", "S-KNN", "POP"]
    assert list(found.pairs) == [("Item-KNN", "S-KNN"), ("Item-KNN", "POP"), ("S-KNN", "POP")]
    for one in found.pairs.values():
        assert not isinstance(one, OneRun)
        assert (one.p < ALPHA) == (one.low > 0)
    assert [significance._cell(one) for one in found.pairs.values()] == ["48", "50", "≈2.5"]


def test_a_single_run_is_judged_only_where_the_noise_between_seeds_is_known() -> None:
    rows = {"NARM": [record("narm", 110)], "POP": [record("pop", 10)], "Item-KNN": [record("item_knn", 60)]}
    alone = compared(rows)
    assert isinstance(alone.pairs["NARM", "POP"], OneRun)
    assert not isinstance(alone.pairs["Item-KNN", "POP"], OneRun)
    assert significance._cell(alone.pairs["NARM", "POP"]) == "?83"
    like_it = [record("narm", hits, {"encoder": "global"}, seed=seed) for seed, hits in enumerate((60, 61, 62))]
    known = Seeds((tuple(like_it),))
    assert not isinstance(compared(rows, seeds=known).pairs["NARM", "POP"], OneRun)


def test_the_table_has_every_pair_once_above_the_diagonal() -> None:
    rows = {"POP": [record("pop", 30)], "Item-KNN": [record("item_knn", 90)], "S-KNN": [record("sknn", 60)]}
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in significance._table(compared(rows)).splitlines()
    ]
    assert lines[0] == ["row − column", "Recall@20", "2", "3"]
    assert lines[2:] == [
        ["1 Item-KNN", "75.00", "25", "50"],
        ["2 S-KNN", "50.00", "", "25"],
        ["3 POP", "25.00", "", ""],
    ]


def test_a_verdict_that_hangs_on_tied_items_is_named() -> None:
    rows = {"Item-KNN": [tied(record("item_knn", 10))], "POP": [record("pop", 40)]}
    (line,) = significance._moved_by_ties(compared(rows), rows, Seeds(()))
    # Item-KNN has 10 hits of 120, POP 40; with half of the other 110 targets Item-KNN has 65.
    assert line.endswith("1 pair would be judged otherwise: POP − Item-KNN +25.00, then -20.83.")
    rows["POP"] = [record("pop", 120)]
    (line,) = significance._moved_by_ties(compared(rows), rows, Seeds(()))
    assert line.endswith("in a random order no pair would be judged otherwise.")
    rows["Item-KNN"] = [record("item_knn", 10)]
    assert significance._moved_by_ties(compared(rows), rows, Seeds(())) == []


def test_an_effect_that_hangs_on_few_sessions_is_told() -> None:
    """Of one session of 100 prefixes and 50 of one prefix, the long one alone makes half of the noise."""
    session = np.concatenate([np.zeros(100, dtype=np.int64), np.arange(1, 51)])
    rows = {}
    for label, model, hits in (("POP", "pop", session % 2 == 1), ("Item-KNN", "item_knn", session == 0)):
        one = record(model, 0)
        rows[label] = [
            replace(one, session=session, length=session, greater=np.where(hits, 0, 99), equal=np.zeros_like(session))
        ]
    told = significance._lines(compared(rows), rows, Seeds(()))
    assert any(
        "1 of 1 differences hang on few sessions" in line and "(fewest: 1, Item-KNN − POP)" in line for line in told
    )
    many = {"POP": [record("pop", 30)], "Item-KNN": [record("item_knn", 90)]}
    assert not any("hang on" in line for line in significance._lines(compared(many), many, Seeds(())))


def test_the_first_line_says_who_is_highest_and_who_may_be_as_good() -> None:
    rows = {"POP": [record("pop", 10)], "Item-KNN": [record("item_knn", 62)], "S-KNN": [record("sknn", 60, shift=20)]}
    told = significance._verdicts(compared(rows))
    assert told == "May be the best: Item-KNN, S-KNN. Of 3 pairs 2 differ by more than noise, 1 does not."
    rows["NARM"] = [record("narm", 30)]
    told = significance._verdicts(compared(rows))
    assert told == (
        "May be the best: Item-KNN, S-KNN (not judged: NARM). "
        "Of 6 pairs 2 differ by more than noise, 1 does not, 3 are not judged."
    )
    rows["NARM"] = [record("narm", 120)]
    told = significance._verdicts(compared(rows))
    assert told.startswith("Highest: NARM, a single run: whether it is the best is not judged. Of 6 pairs")
    assert significance._verdicts(compared({"POP": rows["POP"], "Item-KNN": rows["Item-KNN"]})) == (
        "May be the best: Item-KNN alone. Of 1 pair 1 differs by more than noise."
    )


def test_a_row_that_cannot_be_the_best_and_yet_lies_within_noise_of_it_is_explained() -> None:
    rows = {"Item-KNN": [record("item_knn", 62)], "S-KNN": [record("sknn", 46, shift=20)]}
    rows |= {f"POP {hits}": [record("pop", hits, shift=hits)] for hits in (20, 18, 15, 12)}
    told = significance._verdicts(compared(rows))
    assert told.startswith("May be the best: Item-KNN alone. ")
    assert told.endswith(
        " S-KNN is ruled out as the best, though ≈ beside Item-KNN: looking for the best takes fewer comparisons than "
        "judging all pairs."
    )
    assert "ruled out" not in significance._verdicts(compared({key: rows[key] for key in ("Item-KNN", "S-KNN")}))


def found_by_search(alpha: float, fixed: dict[str, object], trials: int) -> Found:
    first, best = Trial({"alpha": 0.5}, 50.0, 20.0), Trial({"alpha": alpha}, 51.0, 21.0)
    return Found("item_knn", fixed, {**fixed, "alpha": alpha} if alpha != 0.5 else fixed, trials, "", first, best)


def test_of_several_searches_the_setting_whose_run_validates_best_is_shown(tmp_path: Path) -> None:
    own = Shelf.at(tmp_path)
    first, second = found_by_search(0.25, {}, 20), found_by_search(0.75, {}, 40)
    assert [row.label for row in comparison.tuned_rows(own, DATASET, [first])] == ["Item-KNN (tuned)"]
    assert comparison.tuned_rows(own, DATASET, [found_by_search(0.5, {}, 20)]) == []  # the defaults were the best
    for alpha, validation in ((0.25, 40.0), (0.75, 60.0)):
        run = record("item_knn", 30, {"alpha": alpha})
        store(replace(run, epochs=[{"epoch": 1, "validation_recall": validation}]), tmp_path)
    (shown,) = comparison.tuned_rows(own, DATASET, [first, second])
    assert (shown.label, shown.fields["alpha"]) == ("Item-KNN (tuned)", 0.75)


def test_rows_of_another_split_are_left_out_and_named(tmp_path: Path) -> None:
    store(record("pop", 10), tmp_path)
    store(record("s_pop", 20, digest="b" * 64), tmp_path)
    own = Shelf.at(tmp_path)
    assert list(significance.recorded(request(tmp_path), own, DATASET)) == ["POP"]
    assert own.remarks == [f"s_pop-seed0.json: made from other data called {DATASET}; left out."]
    store(record("bpr_mf", 20), tmp_path)
    store(record("bpr_mf", 20, seed=1, digest="b" * 64), tmp_path)
    store(record("narm", 20), tmp_path)
    own = Shelf.at(tmp_path)
    found = significance.recorded(request(tmp_path), own, DATASET)
    assert [one.experiment.seed for one in found["BPR-MF"]] == [0]
    assert f"bpr_mf-seed1.json: made from other data called {DATASET}; left out." in own.remarks


def test_a_broken_search_is_named_and_the_page_drawn(tmp_path: Path) -> None:
    store(record("pop", 10), tmp_path)
    store(record("s_pop", 90), tmp_path)
    search(tmp_path, "item_knn", {"alpha": "high"}, {"alpha": 0.5})
    text = significance.draw(request(tmp_path), {}).text
    assert "| 1 S-POP " in text
    assert "item_knn-seed0.json: not what a search of today stores" in text


def test_model_restricts_the_rows_the_tuned_ones_too(tmp_path: Path) -> None:
    for one in (record("pop", 10), record("item_knn", 40), record("item_knn", 62, {"alpha": 0.25}), record("sknn", 60)):
        store(one, tmp_path)
    search(tmp_path, "item_knn", {"alpha": 0.25, "regularisation": 20.0}, {"alpha": 0.5, "regularisation": 20.0})
    shelf = Shelf.at(tmp_path)
    assert list(significance.recorded(request(tmp_path, ("item_knn",)), shelf, DATASET)) == [
        "Item-KNN",
        "Item-KNN (tuned)",
    ]
    assert list(significance.recorded(request(tmp_path, ("pop", "sknn")), shelf, DATASET)) == ["POP", "S-KNN"]


def test_the_command_writes_the_page_and_its_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store(record("pop", 10), tmp_path)
    store(record("s_pop", 90), tmp_path)
    assert main(["significance", "--results", str(tmp_path)]) == 0
    assert (tmp_path / "significance.md").read_text(encoding="utf-8") == capsys.readouterr().out
    for ending in ("png", "svg"):
        assert (tmp_path / "figures" / f"significance-{DATASET}.{ending}").is_file()


def test_one_row_alone_is_compared_with_nothing(tmp_path: Path) -> None:
    store(record("pop", 10), tmp_path)
    drawn = significance.draw(request(tmp_path), {})
    assert "Fewer than two rows have records." in drawn.text
    assert drawn.figures == {}


def test_a_figure_is_grey_and_hatched_only_where_a_pair_is_so_and_the_same_when_drawn_again() -> None:
    different, alike = Cell(3.0, "3.0", "different"), Cell(0.1, "≈0.1", "alike")
    both = Matrix("Recall@20", ["A", "B", "C"], {(0, 1): different, (0, 2): different, (1, 2): alike})
    sure = replace(both, cells={**both.cells, (1, 2): different})
    drawn, plain = (figures_matrix.matrices("x", [one]) for one in (both, sure))
    assert sorted(drawn) == ["x.png", "x.svg"]
    assert drawn == figures_matrix.matrices("x", [both])
    grey = f"fill: {ALIKE.lower()}".encode()
    assert grey in drawn["x.svg"] and grey not in plain["x.svg"]
    single = replace(both, cells={**both.cells, (1, 2): Cell(0.1, "?0.1", "not judged")})
    assert b"<pattern" in figures_matrix.matrices("x", [single])["x.svg"] and b"<pattern" not in drawn["x.svg"]
