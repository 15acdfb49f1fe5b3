"""One's own data joins the catalogue by its path and runs through every page."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from reproduce import catalog
from reproduce.__main__ import main
from reproduce.errors import InputError, UsageError
from reproduce.evaluation.ranking import rank, rank_all
from reproduce.fitting.recommender import Journal
from reproduce.reading import own_data, processed
from reproduce.reading.processed import TEST, TRAIN
from reproduce.reading.sessions import ChosenPrefixes

PAGES = ("table2", "table1", "audit", "lengths", "significance", "figure5")
TRAINED = [[5, 6], [6, 7, 5], [5, 7], [7, 6, 5, 6]] * 3
# The prefixes of three and two clicks of session 5 6 7 5, and that of two clicks of session 7 6 5.
CHOSEN = ([[5, 6, 7], [5, 6], [7, 6]], [5, 7, 5])


def folder(place: Path, test: object = CHOSEN) -> Path:
    place.mkdir()
    (place / TRAIN).write_bytes(pickle.dumps(TRAINED))
    (place / TEST).write_bytes(pickle.dumps(test))
    return place


def log(place: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = [
        f"s{s},item {i},{(s // 40) * 86_400 + s * 60 + k}"
        for s in range(160)
        for k, i in enumerate(rng.integers(0, 9, rng.integers(2, 6)).tolist())
    ]
    place.write_text("\n".join(["session_id,item_id,timestamp", *rows]) + "\n")
    return place


def test_a_chosen_list_of_examples_is_ranked_for_exactly_these(tmp_path: Path) -> None:
    split = processed.own_split("shop", folder(tmp_path / "shop"))
    prefixes, labels = split.test.prefixes()
    assert split.vocabulary is not None
    told = [(split.vocabulary[prefixes[i]].tolist(), int(split.vocabulary[labels[i]])) for i in range(len(labels))]
    assert told == [([5, 6], 7), ([5, 6, 7], 5), ([7, 6], 5)]
    assert split.test.prefix_owner().tolist() == [0, 0, 1]
    model = catalog.make_recommender("pop")
    model.fit(split.train, seed=0, device=torch.device("cpu"), journal=Journal())
    assert len(rank(*rank_all(model, prefixes, labels))) == 3
    assert "chosen list of 3 examples" in split.provenance.note and "the shortest of 2 clicks" in split.provenance.note


def test_examples_find_their_session_whichever_comes_first() -> None:
    sessions, chosen = processed.reassembled([[1, 2], [1, 2, 3], [1, 2, 3, 4], [9, 8], [1, 2, 8, 7]])
    assert sessions == [[1, 2, 3, 4], [9, 8], [1, 2, 8, 7]]
    assert chosen.tolist() == [True, True, True, True, False, False, True]


def test_whole_sessions_in_a_folder_are_no_chosen_list(tmp_path: Path) -> None:
    split = processed.own_split("shop", folder(tmp_path / "shop", ([[5, 6], [5]], [7, 6])))
    assert not isinstance(split.test, ChosenPrefixes) and not split.provenance.chosen


def test_which_prefixes_are_chosen_is_part_of_the_digest(tmp_path: Path) -> None:
    other = ([[5, 6, 7], [7, 6]], [5, 5])
    splits = [processed.own_split("s", folder(tmp_path / name, test)) for name, test in (("a", CHOSEN), ("b", other))]
    assert splits[0].test.lists() == splits[1].test.lists() and splits[0].digest != splits[1].digest


@pytest.mark.parametrize("kind", ["folder", "table"])
def test_own_data_runs_through_every_page(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder(tmp_path / "shop") if kind == "folder" else log(tmp_path / "shop.csv")
    results = tmp_path / "results"
    common = ["--dataset", str(path), "--results", str(results)]
    counting = ["--model", "pop", "s_pop", "item_knn", "--device", "cpu", "--quiet"]
    assert main(["table2", *common, *counting]) == 0
    for page in PAGES[1:]:
        assert main([page, *common]) == 0, page
        text = next(results.glob(f"shop-*/{page}.md")).read_text()
        assert "shop" in text, page
        assert f"--dataset {path} " in text and f" --results {results}`" in text, page  # as given, to be pasted
    assert main(["check", "--results", str(results)]) == 0
    (table,) = results.glob("runs/shop-*/pop-seed0.json")
    record = json.loads(table.read_text())
    assert table.parent.name == f"shop-{record['split']['digest'][:8]}"
    assert record["split"]["provenance"]["chosen"] is (kind == "folder")
    told = next(results.glob("shop-*/table2.md")).read_text()
    assert ("chosen list of 3 examples" if kind == "folder" else "columns: session 'session_id'") in told


def test_options_of_a_log_stand_in_the_command_of_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log(Path("shop.csv"))
    options = ["--columns", "item=item_id", "--test-share", "0.25", "--min-support", "2"]
    assert main(["table2", "--dataset", "shop.csv", *options, "--model", "pop", "--quiet"]) == 0
    told = next(Path("results/local").glob("shop-*/table2.md")).read_text()
    assert "--dataset shop.csv --columns item=item_id --test-share 0.25 --min-support 2" in told


def test_search_takes_own_data_and_prints_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna")
    monkeypatch.chdir(tmp_path)
    log(Path("shop.csv"))
    assert main(["search", "item_knn", "--dataset", "shop.csv", "--trials", "3", "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "item_knn on shop" in told and ("--dataset shop.csv" in told or "the defaults are the best" in told)


def test_a_toml_names_file_title_and_rules_and_options_win(tmp_path: Path) -> None:
    log(tmp_path / "clicks.csv")
    place = tmp_path / "shop.toml"
    place.write_text(
        'file = "clicks.csv"\ntitle = "My shop"\ntest_days = 2\nmin_support = 1\n[columns]\nitem = "item_id"\n'
    )
    found = catalog.dataset(str(place))
    assert (found.name[:5], found.title) == ("shop-", "My shop")
    assert found.read(tmp_path).provenance.rules == "test_days=2 min_support=1 min_length=2"
    other = own_data.read(place, {"test_share": "0.5"}, tmp_path).dataset
    assert other.read(tmp_path).provenance.rules == "test_share=0.5 min_support=1 min_length=2"


def test_a_python_file_offers_a_data_set(tmp_path: Path) -> None:
    place = tmp_path / "mine.py"
    place.write_text(
        "from reproduce.reading.processed import own_split as read\nfrom reproduce.reading.source import Dataset\n"
        f"DATASETS = (Dataset('mine', 'Mine', lambda data: [data], lambda data: read('mine', __import__('pathlib')"
        f".Path({str(folder(tmp_path / 'shop'))!r})), ''),)\n"
    )
    assert re.fullmatch("mine-[0-9a-f]{8}", catalog.load_split(str(place), tmp_path).name)


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("no.csv", None, InputError, "no such file or folder"),
        ("c.doc.gz", "x", InputError, r"expected \.csv, \.tsv, "),
        ("pop.toml", "file = 3", InputError, "expected file = "),
        ("pop.toml", "fil = 3", InputError, "unknown key fil; available: columns, file"),
        ("pop.toml", "fil", InputError, "not TOML"),
        ("pop.toml", 'file = "no.csv"', InputError, r"pop\.toml: .*no such file"),
        ("pop.toml", 'file = "c.csv"\ncolumns = 5', UsageError, "--columns: expected a list, not 5"),
        ("pop.toml", 'file = "c.csv"\ntime_unit = ["s"]', UsageError, "--time-unit ..s..: expected one of s, ms"),
        ("pop.toml", f"file = 'c.csv'\nmin_support = {'9' * 5000}", InputError, "not TOML: Exceeds the limit"),
        ("pop.toml", f"file = {'[' * 9999}{']' * 9999}", InputError, "not TOML: maximum recursion depth exceeded"),
        ("pop.toml", f"file = '{'n' * 300}.csv'", InputError, "cannot be read .File name too long"),
        ("n" * 300 + ".csv", None, InputError, "cannot be read .File name too long"),
        ("pop.py", "DATASETS = ()", InputError, "expected DATASETS, a tuple of one"),
        ("pop.py", "1 / 0", InputError, "raised ZeroDivisionError: division by zero"),
    ],
)
def test_what_cannot_be_taken_in_is_told(
    tmp_path: Path, name: str, content: str | None, error: type[Exception], message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(error, match=message):
        catalog.dataset(str(tmp_path / name))


def test_options_of_a_log_need_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table2", "--dataset", "synthetic", "--gap", "30m"]) == 2
    assert "--gap is for a log of your own; name it with --dataset PATH" in capsys.readouterr().err


def test_data_counts_ones_own_log_and_says_how_it_was_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = log(tmp_path / "clicks.csv")
    assert main(["data", "--dataset", str(file), "--min-support", "2"]) == 0
    told = capsys.readouterr().out
    split = catalog.load_split(file, tmp_path, rules={"min_support": "2"})
    name = split.name
    row = next(line.split() for line in told.splitlines() if line.startswith(name))
    assert row[1:4] == [f"{split.provenance.counts[key]:,}" for key in ("clicks", "train_sequences", "test_sequences")]
    assert f"{name}: columns: session 'session_id'" in told and "items of 2 clicks or more" in told
    assert "not here" not in told
    assert main(["data", "--dataset", str(tmp_path / "none.csv")]) == 3


def test_a_warning_is_a_line_that_names_no_file_of_the_suite(tmp_path: Path) -> None:
    file = log(tmp_path / "clicks.csv")
    file.write_text(file.read_text() + "z,item 1,1700000000\nz,item 2,1700000001\n")
    words = [sys.executable, "-m", "reproduce", "data", "--dataset", str(file)]
    told = subprocess.run(words, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    expected = "clicks: the test is a single session; choose --test-days or --test-share"
    assert told.stderr == f"reproduce: warning: {expected}\n"


def test_the_attention_page_speaks_in_the_logs_own_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = log(tmp_path / "clicks.csv")
    words = ["--dataset", str(file), "--results", str(tmp_path / "out")]
    settings = ["--set", "narm.epochs=1", "narm.batch=32"]
    assert main(["table2", *words, "--model", "narm", *settings, "--quiet"]) == 0
    capsys.readouterr()
    assert main(["attention", *words, *settings, "--session", "0", "3"]) == 0
    told = next((tmp_path / "out").glob("clicks-*/attention.md")).read_text()
    split = catalog.load_split(file, tmp_path)
    assert split.vocabulary is not None
    for i in (0, 3):
        *clicks, target = [str(one) for one in split.vocabulary[split.test[i]]]
        cells = next(line for line in told.splitlines() if line.startswith(f"| {i} ")).split("|")
        assert [re.sub(r" \d\.\d\d$", "", one.strip()) for one in cells[2].split("→")] == clicks
        assert cells[3].strip() == target
        assert sum(float(one.split()[-1]) for one in cells[2].split("→")) == pytest.approx(1, abs=0.03)
