"""Ranks from outside: what other libraries ranked or recommended comes back as it was, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from reproduce import catalog
from reproduce.errors import InputError
from reproduce.evaluation.ranking import rank_counts
from reproduce.fitting.recommender import Journal
from reproduce.reading.sessions import Provenance, Sessions, Split
from reproduce.runs.outside_ranks import OutsideResult, read
from reproduce.runs.split_files import item_ids, session_ids

IDS = ["shoe", "hat", "7", "a b", "sock"]


def split() -> Split:
    """Test sessions 0: shoe hat 7, and 1: sock shoe; so three prefixes, with targets hat, 7 and shoe."""
    train, test = Sessions.of([[0, 1, 2, 3, 4]], 5), Sessions.of([[0, 1, 2], [4, 0]], 5)
    return Split("shop", train, test, Provenance("own log", "time", emulated=False), np.array(IDS, dtype=object))


RANKS = pd.DataFrame({"session": [1, 0, 0], "length": [1, 2, 1], "rank": [4, 2, 1]})
BOUNDS = RANKS.drop(columns="rank").assign(best_rank=[4, 1, 1], worst_rank=[4, 5, 1])
LISTS = RANKS.drop(columns="rank").assign(items=[["hat", "shoe"], ["hat", "sock"], ["hat", "7"]])
ROWS = pd.DataFrame(
    {
        "session": [1, 1, 0, 0, 0, 0],
        "length": [1, 1, 2, 2, 1, 1],
        "item": ["shoe", "hat", "hat", "sock", "hat", "7"],
        "rank": [2, 1, 1, 2, 1, 2],
    }
)


def written(frame: pd.DataFrame, place: Path) -> Path:
    if place.suffix == ".parquet":
        frame.to_parquet(place)
    else:
        frame.to_csv(place, index=False, sep="\t" if place.suffix == ".tsv" else ",")
    return place


def counts(result: OutsideResult) -> list[tuple[int, int]]:
    return list(zip(result.greater.tolist(), result.equal.tolist(), strict=True))


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
def test_a_file_of_ranks_gives_them_in_the_order_of_the_test_prefixes(tmp_path: Path, ending: str) -> None:
    ranks = read(written(RANKS, tmp_path / f"sasrec{ending}"), split(), "SASRec", seed=3)
    bounds = read(written(BOUNDS, tmp_path / f"bounds{ending}"), split(), "SASRec")
    assert counts(ranks) == [(0, 0), (1, 0), (3, 0)]
    assert counts(bounds) == [(0, 0), (0, 4), (3, 0)]
    assert (ranks.session.tolist(), ranks.length.tolist(), ranks.depth) == ([0, 0, 1], [1, 2, 1], None)
    assert (ranks.experiment.model, ranks.experiment.seed, ranks.file) == ("outside: SASRec", 3, f"sasrec{ending}")
    assert (ranks.split["digest"], ranks.split["n_items"]) == (split().digest, 5)


@pytest.mark.parametrize("frame", [RANKS, BOUNDS, LISTS, ROWS])
def test_a_frame_gives_what_a_file_of_it_gives(tmp_path: Path, frame: pd.DataFrame) -> None:
    from_file = read(written(frame, tmp_path / "ranks.parquet"), split(), "x")
    from_frame = read(frame, split(), "x")
    assert counts(from_frame) == counts(from_file)
    assert (from_frame.depth, from_frame.file, from_file.file) == (from_file.depth, "", "ranks.parquet")


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("frame", [LISTS, ROWS], ids=["lists", "rows"])
def test_recommended_items_give_ranks_down_to_the_depth_of_the_lists(
    tmp_path: Path, frame: pd.DataFrame, ending: str
) -> None:
    """The target 7 of the second prefix is on no place of its list: its rank is 3 to 5."""
    if ending == ".csv" and "items" in frame:
        frame = frame.assign(items=frame["items"].map(" ".join))
    found = read(written(frame, tmp_path / f"lists{ending}"), split(), "EASE")
    assert (counts(found), found.depth) == ([(0, 0), (2, 2), (1, 0)], 2)


def test_the_text_of_a_list_may_be_json(tmp_path: Path) -> None:
    file = written(LISTS.assign(items=LISTS["items"].map(json.dumps)), tmp_path / "lists.csv")
    assert counts(read(file, split(), "EASE")) == [(0, 0), (2, 2), (1, 0)]
    only_here = LISTS.assign(items=[json.dumps(["a b", "shoe"]), "[7]", "[]"])  # an id with a space, a number, none
    assert counts(read(written(only_here, tmp_path / "json.csv"), split(), "EASE")) == [(2, 2), (0, 0), (1, 0)]


def test_floating_point_columns_of_whole_numbers_are_whole_numbers(tmp_path: Path) -> None:
    whole = [read(written(RANKS.astype(float), tmp_path / "x.parquet"), split(), "x")]
    whole.append(read(written(RANKS.astype({"length": float, "rank": float}), tmp_path / "x.csv"), split(), "x"))
    assert [counts(one) for one in whole] == [[(0, 0), (1, 0), (3, 0)]] * 2


WRONG: dict[str, tuple[Callable[[], pd.DataFrame], str]] = {
    "no session": (lambda: RANKS.drop(columns="session"), "no column session; expected session and length with rank"),
    "no rank": (lambda: RANKS.rename(columns={"rank": "score"}), "has the columns session, length, score; expected"),
    "empty": (lambda: RANKS[:0], "it has no rows, expected ranks of every test prefix"),
    "absent": (lambda: RANKS[:2], "1 of 3 test prefixes are missing, the first of them session '0', length 1; rank"),
    "doubled": (lambda: pd.concat([RANKS, RANKS[1:2]]), "row 4: session '0', length 2 a second time; keep one"),
    "session": (lambda: RANKS.assign(session=[1, 0, 9]), "row 3: session '9': not one of the 2 test sessions; rank"),
    "length": (lambda: RANKS.assign(length=[1, 3, 1]), "row 2: session '0' has no test prefix of 3 clicks; the length"),
    "no length": (lambda: RANKS.assign(length=[0, 2, 1]), "row 1: session '1' has no test prefix of 0 clicks"),
    "rank 0": (lambda: RANKS.assign(rank=[4, 2, 0]), "row 3: rank is 0, expected 1 (the best) to 5 (the items of"),
    "beyond": (lambda: RANKS.assign(rank=[4, 6, 1]), "row 2: rank is 6, expected 1"),
    "half": (lambda: RANKS.assign(rank=[4, 1.5, 1]), "row 2: rank is "),
    "nothing": (lambda: RANKS.assign(rank=[4, None, 1]), "row 2: rank is missing; fill it in"),
    "text": (lambda: RANKS.assign(rank=["4", "two", "1"]), "row 2: rank is 'two', expected a whole number"),
    "bounds": (lambda: BOUNDS.assign(best_rank=[4, 1, 2]), "row 3: best_rank 2 is behind worst_rank 1; exchange them"),
    "item": (lambda: ROWS.assign(item=[*ROWS["item"][:5], "boot"]), "row 6: item 'boot': not one of the 5 items of"),
    "item twice": (lambda: ROWS.assign(item=[*ROWS["item"][:5], "hat"]), "row 6: item 'hat' a second time in the list"),
    "gap": (lambda: ROWS.assign(rank=[2, 1, 1, 3, 1, 2]), "row 4: rank: number the items of each list 1, 2, 3, ..."),
    "same rank": (lambda: ROWS.assign(rank=[2, 1, 1, 1, 1, 2]), "row 4: rank: number the items of each list"),
    "no list": (lambda: ROWS[:4], "1 of 3 test prefixes are missing, the first of them session '0', length 1"),
}


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_is_refused_with_file_row_and_remedy(tmp_path: Path, wrong: str, ending: str) -> None:
    frame, message = WRONG[wrong]
    file = written(frame(), tmp_path / f"ranks{ending}")
    with pytest.raises(InputError) as caught:
        read(file, split(), "x")
    assert str(caught.value).startswith(f"{file}: {message}")


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([["hat"], ["boot", "hat"], ["7"]], "row 2: item 'boot': not one of the 5 items"),
        ([["hat"], ["7"], ["hat", "hat"]], "row 3: item 'hat' a second time in the list of session '0', length 1"),
        ([["hat"], ["7", None], ["7"]], "row 2: an item is missing"),
        ([[], [], []], "all lists are empty"),
        ([["hat"], None, ["7"]], "row 2: items is missing"),
    ],
)
def test_lists_that_cannot_be_are_refused_with_their_row(tmp_path: Path, items: list[object], message: str) -> None:
    file = written(LISTS.assign(items=items), tmp_path / "lists.parquet")
    with pytest.raises(InputError) as caught:
        read(file, split(), "x")
    assert str(caught.value).startswith(f"{file}: {message}")


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ranks.csv").write_text("session,length,rank\n1,1,4\n0,2\n")
    (tmp_path / "ranks.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "latin.csv").write_bytes("session,length,größe\n1,1,4\n".encode("latin-1"))
    (tmp_path / "twice.csv").write_text("session,length,rank,Rank\n1,1,4,4\n")
    for name, message in (
        ("ranks.csv", r"ranks.csv: line 3: 2 fields in '0, 2', expected 3"),
        ("ranks.parquet", "not whole Parquet, or broken"),
        ("twice.csv", "two columns are called rank"),
        ("latin.csv", "line 1: not UTF-8"),
        ("none.csv", "cannot be read"),
    ):
        with pytest.raises(InputError, match=message):
            read(tmp_path / name, split(), "x")


@pytest.mark.parametrize("name", ["pop", "item_knn", "narm"])
def test_a_models_own_ranks_come_back_to_the_last_tie(tmp_path: Path, name: str, cpu: torch.device) -> None:
    whole = catalog.load_split("cycle", ".")
    model = catalog.make_recommender(name, {"epochs": 1, "hidden": 4, "embedding": 4} if name == "narm" else {})
    model.fit(whole.train, seed=0, device=cpu, journal=Journal())
    prefixes, targets = whole.test.prefixes()
    scores = model.score(prefixes)
    greater, equal = (part.numpy() for part in rank_counts(scores, torch.as_tensor(targets)))
    keys = pd.DataFrame({"session": whole.test.prefix_owner(), "length": prefixes.lengths})
    bounds = keys.assign(best_rank=greater + 1, worst_rank=greater + equal + 1).sample(frac=1, random_state=0)
    back = read(written(bounds, tmp_path / "ranks.parquet"), whole, name)
    assert (back.greater == greater).all() and (back.equal == equal).all()
    order = torch.sort(scores, descending=True, stable=True).indices[:, :5].numpy()
    names = np.array(item_ids(whole))
    lists = read(written(keys.assign(items=[list(names[row]) for row in order]), tmp_path / "l.parquet"), whole, name)
    place = [row.tolist().index(target) if target in row else 5 for row, target in zip(order, targets, strict=True)]
    assert lists.greater.tolist() == place
    for k in (1, 5):
        assert lists.recall(k) == 100 * np.mean(np.array(place) < k)


def test_a_list_nested_too_deep_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "ranks.csv"
    deep = f'"{"[" * 5000}"'
    place.write_text(f"session,length,items\n1,1,{deep}\n0,2,{deep}\n0,1,{deep}\n")
    with pytest.raises(InputError, match="not one of the"):
        read(place, split(), "mine")


def test_ids_that_read_alike_cannot_be_ranked_by_name(tmp_path: Path) -> None:
    whole = split()
    same = np.array(["a"] * len(whole.test), dtype=object)
    with pytest.raises(InputError, match="two test sessions are both called a, so ranks cannot name them"):
        read(pd.DataFrame({"session": ["a"], "length": [1], "rank": [1]}), replace(whole, test_sessions=same), "mine")


def test_numbers_in_json_lines_are_ranks(tmp_path: Path) -> None:
    whole = split()
    prefixes, _ = whole.test.prefixes()
    sessions = np.array(session_ids(whole))[whole.test.prefix_owner()]
    frame = pd.DataFrame({"session": sessions, "length": prefixes.lengths, "rank": 1})
    frame.to_json(tmp_path / "ranks.jsonl", orient="records", lines=True)
    assert not read(tmp_path / "ranks.jsonl", whole, "mine").greater.any()
