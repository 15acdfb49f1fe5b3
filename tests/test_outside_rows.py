"""Rows from outside beside rows of this suite: what was exported comes back with the same numbers to the last digit."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import reproduce
from reproduce import catalog
from reproduce.__main__ import main
from reproduce.errors import InputError, UsageError
from reproduce.evaluation import comparisons
from reproduce.reading.sessions import Split
from reproduce.reports import measuring
from reproduce.runs import outside_ranks
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import Result
from reproduce.runs.runner import run

SMALL = {"epochs": 1, "hidden": 4, "embedding": 4}
OWN = """
from dataclasses import dataclass
from typing import ClassVar

import torch

from reproduce import Recommender


@dataclass(kw_only=True)
class Mine(Recommender):
    label: ClassVar[str] = "Mine"
    deterministic: ClassVar[bool] = True

    def fit(self, train, *, seed, device, journal):
        self.items_ = train.n_items

    def score(self, prefixes):
        return torch.zeros(len(prefixes), self.items_)
"""
METRICS = ["recall@5", "mrr@20", "ndcg@10"]
ROWS = {"POP": ("pop", {}, 1, "none"), "Item-KNN": ("item_knn", {}, 1, "none"), "NARM": ("narm", SMALL, 2, "softmax")}


@pytest.fixture(scope="module")
def split() -> Split:
    return catalog.load_split("cycle", ".")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Result]]:
    """Results by label, NARM's from two seeds."""
    folder = tmp_path_factory.mktemp("results")
    return {
        label: [
            run(Experiment.of("cycle", model, fields, seed), data=".", results=folder, device="cpu")
            for seed in range(seeds)
        ]
        for label, (model, fields, seeds, _) in ROWS.items()
    }


def bounds(result: Result) -> pd.DataFrame:
    """The ranks of a result as a file from outside states them."""
    frame = result.frame()
    return frame.assign(best_rank=frame["greater"] + 1, worst_rank=frame["rank"])[
        ["session", "length", "best_rank", "worst_rank"]
    ]


@pytest.mark.parametrize("label", ROWS)
def test_exported_ranks_come_back_with_the_same_numbers_intervals_and_p_values(
    label: str, split: Split, ours: dict[str, list[Result]], tmp_path: Path
) -> None:
    for seed, result in enumerate(ours[label]):
        bounds(result).sample(frac=1, random_state=seed).to_parquet(tmp_path / f"mine-seed{seed}.parquet")
    back = outside_ranks.rows([f"Mine={tmp_path}/mine-seed*.parquet"], split, ROWS[label][3])
    both = [ours, {**ours, label: back["Mine"]}]
    frames = [reproduce.compare(split, rows, metric=METRICS, family=ROWS[label][3]) for rows in both]
    pd.testing.assert_frame_equal(*frames, check_exact=True)
    found = []
    for rows in both:
        noise = measuring.Seeds(measuring.several(rows.values()))
        measured = measuring.measured(rows, "mrr", noise)
        found.append([(pair.value, pair.low, pair.high, pair.p) for pair in comparisons.pairwise(measured).values()])
    assert found[0] == found[1] and np.isfinite(found[0]).all()


def test_lists_of_20_give_the_same_metrics_with_ties_as_the_list_has_them(split: Split, tmp_path: Path) -> None:
    """Twelve items only, so lists of 2 stand for lists of 20; ties are broken as the list breaks them."""
    model = catalog.make_recommender("pop")
    model.fit(split.train)
    prefixes, targets = split.test.prefixes()
    order = np.argsort(-model.score(prefixes).numpy(), axis=1, kind="stable")
    ranks = 1 + np.argmax(order == targets[:, None], axis=1)
    frame = pd.DataFrame({"session": split.test.prefix_owner(), "length": prefixes.lengths})
    frame.assign(items=[" ".join(map(str, row[:2])) for row in order]).to_csv(tmp_path / "pop.csv", index=False)
    whole = reproduce.compare(
        split,
        {"ranks": frame.assign(rank=ranks), "lists": tmp_path / "pop.csv"},
        metric=["recall@1", "recall@2", "mrr@2"],
    )
    assert 0 < whole.loc["ranks", ("MRR@2", "value")] < whole.loc["ranks", ("Recall@2", "value")] < 100
    for metric in ("Recall@1", "Recall@2", "MRR@2"):
        for column in ("value", "low", "high"):
            assert whole.loc["lists", (metric, column)] == whole.loc["ranks", (metric, column)]
    with pytest.raises(InputError, match=r"pop.csv: its lists have at most 2 items, so Recall@20 is not known"):
        reproduce.compare(split, {"lists": tmp_path / "pop.csv"})


def test_rows_are_named_by_a_label_or_their_file_and_files_of_one_name_are_seeds(
    split: Split, ours: dict[str, list[Result]], tmp_path: Path
) -> None:
    for name in ("sasrec-seed0", "sasrec-seed7", "ease", "NARM"):
        bounds(ours["POP"][0]).to_csv(tmp_path / f"{name}.csv", index=False)
    texts = [f"{tmp_path}/sasrec-seed*.csv", f"A = B={tmp_path}/ease.csv", f"{tmp_path}/NARM.csv"]
    found = outside_ranks.rows(texts, split)
    assert {label: [one.experiment.seed for one in some] for label, some in found.items()} == {
        "sasrec": [0, 1],
        "A = B": [0],
        "NARM": [0],
    }
    with pytest.raises(UsageError, match=r"ease.csv: named twice"):
        outside_ranks.rows([f"{tmp_path}/ease.csv", f"x={tmp_path}/ease.csv"], split)
    with pytest.raises(UsageError, match=r"none\*.csv: no file has such a name"):
        outside_ranks.rows([f"{tmp_path}/none*.csv"], split)
    with pytest.raises(InputError, match=r"none.csv: cannot be read"):
        outside_ranks.rows([f"{tmp_path}/none.csv"], split)


def test_a_row_of_one_file_is_not_judged_unless_its_family_is_said(split: Split, ours: dict[str, list[Result]]) -> None:
    rows = {"POP": ours["POP"], "mine": bounds(ours["Item-KNN"][0])}
    assert set(reproduce.compare(split, rows)["Recall@20"]["mark"]) == {"highest", "not judged"}
    assert "not judged" not in set(reproduce.compare(split, rows, family="none")["Recall@20"]["mark"])


def test_a_result_of_another_split_is_refused(split: Split, tmp_path: Path) -> None:
    other = run(Experiment.of("synthetic", "pop"), data=".", results=tmp_path, device="cpu")
    with pytest.raises(InputError, match="POP: a result on another split than cycle"):
        reproduce.compare(split, {"POP": other})


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, ours: dict[str, list[Result]]) -> tuple[Path, Path]:
    """A results folder with records of POP and Item-KNN, and a file with Item-KNN's ranks."""
    folder = tmp_path_factory.mktemp("stored")
    for model in ("pop", "item_knn"):
        run(Experiment.of("cycle", model), data=".", results=folder, device="cpu")
    file = folder / "mine.csv"
    bounds(ours["Item-KNN"][0]).to_csv(file, index=False)
    return folder, file


@pytest.mark.parametrize("page", ["table2", "significance", "lengths"])
def test_a_page_with_the_row_is_written_beside_the_pages_of_records(
    page: str, stored: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, file = stored
    before = {place: place.read_bytes() for place in folder.glob("*.md")}
    words = [page, "--dataset", "cycle", "--results", str(folder), "--ranks", f"Mine={file}", "--family", "none"]
    assert main([*words, "--stored"] if page == "table2" else words) == 0
    told = capsys.readouterr().out
    written = folder / "export" / f"{page}.md"
    assert "Mine" in told and f"The whole page, with figures and details: {written}" in told
    assert "Mine: ranks from outside (mine.csv): how it was trained is not known here." in written.read_text()
    assert {place: place.read_bytes() for place in folder.glob("*.md")} == before
    assert main(["check", "--results", str(folder)]) == 0


def test_an_export_has_the_rows_numbers_to_the_last_digit(stored: tuple[Path, Path], tmp_path: Path) -> None:
    folder, file = stored
    words = ["export", "--dataset", "cycle", "--results", str(folder), "--ranks", str(file), "--family", "none"]
    assert main([*words, "--to", str(tmp_path), "--format", "csv", "--metric", "recall@1", "mrr@20"]) == 0
    table = pd.read_csv(tmp_path / "comparison-cycle.csv", index_col="model")
    assert list(table.index) == ["POP", "Item-KNN", "mine"]
    pd.testing.assert_series_equal(table.loc["mine"], table.loc["Item-KNN"], check_exact=True, check_names=False)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--dataset", "cycle", "synthetic"], 2, "--ranks needs one --dataset"),
        (["--dataset", "synthetic"], 3, "row 1: session"),
        (["--dataset", "cycle", "--ranks", "none.parquet"], 3, "none.parquet: cannot be read"),
    ],
)
def test_ranks_that_do_not_fit_show_nothing(
    words: list[str], status: int, message: str, stored: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, file = stored
    wrong = file.with_name("wrong.csv")
    wrong.write_text(file.read_text().replace("\n0,", "\nx,", 1))
    ranks = [] if "none.parquet" in words else ["--ranks", str(wrong if "synthetic" in words else file)]
    assert main(["table2", "--stored", "--results", str(folder), *words, *ranks]) == status
    told = capsys.readouterr()
    assert message in told.err and not told.out


@pytest.mark.parametrize("label", ["NARM, fully connected", "Mine"])
def test_a_row_from_outside_keeps_its_ranks_beside_a_row_of_its_label(label: str, split: Split, tmp_path: Path) -> None:
    """One is a row of the suite without a model of its own, the other an own model known from its record only."""
    file, results = tmp_path / "mine.py", tmp_path / "results"
    file.write_text(OWN)
    with catalog.using(catalog.Catalog()):
        words = ["--dataset", "cycle", "--results", str(results), "--quiet"]
        assert main(["table2", *words, "--model", str(file)]) == 0
    prefixes, _ = split.test.prefixes()
    frame = pd.DataFrame({"session": split.test.prefix_owner(), "length": prefixes.lengths, "rank": 1})
    frame.to_csv(tmp_path / "x.csv", index=False)
    with catalog.using(catalog.Catalog()):
        words = ["--dataset", "cycle", "--results", str(results), "--ranks", f"{label}={tmp_path}/x.csv"]
        assert main(["significance", *words]) == 0
    page = (results / "export/significance.md").read_text()
    line = next(line for line in page.splitlines() if "ranks from outside (x.csv)" in line)
    assert line.startswith(f"- {label} (from outside): ")
    with (results / "export/pairs.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["metric"] == "MRR@20"]
    assert [(row["first"], row["second"]) for row in rows] == [(f"{label} (from outside)", "Mine")]
