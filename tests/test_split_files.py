"""A split as files for other libraries: from these alone, its training sessions and test prefixes can be rebuilt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reproduce import catalog
from reproduce.__main__ import main
from reproduce.reading.sessions import Provenance, Sessions, Split
from reproduce.runs import split_files


def exported(split: Split, kind: str, to: Path) -> list[pd.DataFrame]:
    split_files.write(to, split_files.files(split, kind), "--split")
    read = pd.read_parquet if kind == "parquet" else pd.read_csv
    return [read(to / f"{name}.{kind}") for name in ("train", "test", "prefixes")]


def lists(clicks: pd.DataFrame) -> list[list[object]]:
    ordered = clicks.sample(frac=1, random_state=0).sort_values(["session", "position"])
    return ordered.groupby("session", sort=False)["item"].agg(list).tolist()


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_sessions_and_prefixes_can_be_rebuilt_from_the_files(kind: str, tmp_path: Path) -> None:
    split = catalog.load_split("cycle", ".")
    train, test, prefixes = exported(split, kind, tmp_path)
    assert lists(train) == split.train.lists()
    assert lists(test) == split.test.lists()
    whole = dict(enumerate(lists(test)))
    rebuilt = [whole[session][:length] for session, length in zip(prefixes["session"], prefixes["length"], strict=True)]
    due, targets = split.test.prefixes()
    assert rebuilt == due.lists()
    assert prefixes["target"].tolist() == targets.tolist()
    assert "180 of them, and 12 items (their numbers" in " ".join((tmp_path / "README.md").read_text().split())


def test_ids_are_the_logs_own_where_the_split_has_them(tmp_path: Path) -> None:
    """Item 0 is called 01, item 1 is called "a, b"; the test session is called x."""
    train, test = Sessions.of([[0, 1], [1, 1]], 2), Sessions.of([[1, 0]], 2)
    items, sessions = np.array(["01", "a, b"], dtype=object), np.array(["x"], dtype=object)
    split = Split("shop", train, test, Provenance("own log", "time", emulated=False), items, sessions)
    frames = exported(split, "parquet", tmp_path)
    assert frames[0].values.tolist() == [[0, "01", 0], [0, "a, b", 1], [1, "a, b", 0], [1, "a, b", 1]]
    assert frames[1].values.tolist() == [["x", "a, b", 0], ["x", "01", 1]]
    assert frames[2].values.tolist() == [["x", 1, "01"]]
    assert exported(split, "csv", tmp_path)[2].values.tolist() == [["x", 1, 1]]  # pandas guesses, the file does not
    assert (tmp_path / "prefixes.csv").read_text().splitlines()[1] == '"x",1,"01"'


def test_the_command_writes_the_split_of_one_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["export", "--dataset", "cycle", "--split", str(tmp_path / "split")]
    assert main(words) == 0
    names = ["train.parquet", "test.parquet", "prefixes.parquet", "README.md"]
    assert capsys.readouterr().out.split() == [str(tmp_path / "split" / name) for name in names]
    assert len(pd.read_parquet(tmp_path / "split/prefixes.parquet")) == 180
    assert main([*words, "--format", "csv"]) == 0
    assert len(pd.read_csv(tmp_path / "split/prefixes.csv")) == 180
    for more in (["--format", "latex"], ["--format", "csv", "parquet"], ["--dataset", "synthetic"]):
        assert main([*words, *more]) == 2
    assert "export --split needs one --dataset" in capsys.readouterr().err


def test_the_note_has_the_command_that_reads_ranks_of_a_log_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"s{s},{(s + k) % 6},{(s // 40) * 86_400 + s * 60 + k}" for s in range(160) for k in range(3)]
    Path("my clicks.csv").write_text("\n".join(["session_id,item_id,timestamp", *rows]) + "\n")
    assert main(["export", "--dataset", "my clicks.csv", "--min-support", "2", "--split", "split"]) == 0
    note = Path("split/README.md").read_text()
    assert "table2 --dataset 'my clicks.csv' --min-support 2 --ranks mine.parquet" in note
