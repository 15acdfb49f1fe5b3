"""The processed files: read exactly, never trusted."""

from __future__ import annotations

import os
import pickle
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproduce import catalog
from reproduce.errors import InputError
from reproduce.reading import processed
from reproduce.reading.sessions import Sessions, as_printed

session = st.lists(st.integers(1, 50), min_size=2, max_size=7)


def write(folder: Path, train: object, test: object) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / processed.TRAIN).write_bytes(pickle.dumps(train))
    (folder / processed.TEST).write_bytes(pickle.dumps(test))
    return folder


def examples(sessions: list[list[int]]) -> tuple[list[list[int]], list[int]]:
    """As the circulating files list them: longest prefix first."""
    pairs = [(one[:n], one[n]) for one in sessions for n in range(len(one) - 1, 0, -1)]
    return [prefix for prefix, _ in pairs], [label for _, label in pairs]


@given(train=st.lists(session, min_size=1, max_size=5), test=st.lists(session, min_size=1, max_size=5))
def test_whole_sessions_come_back_from_the_files(
    tmp_path_factory: pytest.TempPathFactory, train: list[list[int]], test: list[list[int]]
) -> None:
    folder = write(tmp_path_factory.mktemp("x"), train, examples(test))
    (train_items, train_lengths), (test_items, test_lengths), files = processed.read(folder)
    assert Sessions.packed(train_items, train_lengths, 51).lists() == train
    assert Sessions.packed(test_items, test_lengths, 51).lists() == test
    assert set(files) == {processed.TRAIN, processed.TEST}


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("echo owned > owned",)


GOOD_TRAIN, GOOD_TEST = [[1, 2], [3, 4]], ([[1, 2], [1]], [3, 2])


@pytest.mark.parametrize(
    ("train", "test", "guilty", "says"),
    [
        (Hostile(), GOOD_TEST, processed.TRAIN, "asks for"),
        ([[1, 2], Hostile()], GOOD_TEST, processed.TRAIN, "asks for"),
        (GOOD_TRAIN, ([[1]], [Hostile()]), processed.TEST, "asks for"),
        ({"a": 1}, GOOD_TEST, processed.TRAIN, "expected a list of sessions"),
        ([], GOOD_TEST, processed.TRAIN, "expected a list of sessions"),
        ([[1, 2], [3, "4"]], GOOD_TEST, processed.TRAIN, "sessions number 1"),
        ([[1, 2], [3, True]], GOOD_TEST, processed.TRAIN, "sessions number 1"),
        ([[1, 2], [3, -4]], GOOD_TEST, processed.TRAIN, "sessions number 1"),
        ([[1, 2], [3, 2**40]], GOOD_TEST, processed.TRAIN, "sessions number 1"),
        ([[1, 2], [3]], GOOD_TEST, processed.TRAIN, "session number 1 has one click"),
        ([[1, 2], []], GOOD_TEST, processed.TRAIN, "sessions number 1"),
        (GOOD_TRAIN, [[1]], processed.TEST, "expected a pair"),
        (GOOD_TRAIN, ([[1, 2], [1]], [3]), processed.TEST, "2 prefixes but 1 labels"),
        (GOOD_TRAIN, ([[1, 2]], [3]), processed.TEST, "breaks off"),
        (GOOD_TRAIN, ([[1, 2], [1]], [3, 9]), processed.TEST, "example number 1"),
        (GOOD_TRAIN, ([[1, 2, 3], [9, 2], [9]], [4, 3, 2]), processed.TEST, "example number 1"),
        (GOOD_TRAIN, ([[1, 2, 3], [1]], [4, 2]), processed.TEST, "example number 1"),
    ],
)
def test_anything_but_sessions_of_item_numbers_is_refused_with_the_files_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train: object, test: object, guilty: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write(tmp_path / "log", train, test)
    with pytest.raises(InputError, match=says) as caught:
        processed.read(folder)
    assert str(folder / guilty) in str(caught.value)
    assert not (tmp_path / "owned").exists()


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, GOOD_TRAIN, GOOD_TEST)
    whole = (folder / processed.TEST).read_bytes()
    for cut in range(len(whole)):
        (folder / processed.TEST).write_bytes(whole[:cut])
        with pytest.raises(InputError, match=processed.TEST):
            processed.read(folder)


def test_bytes_after_the_pickle_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, GOOD_TRAIN, GOOD_TEST)
    with (folder / processed.TRAIN).open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(InputError, match="bytes follow"):
        processed.read(folder)


def test_absent_files_are_said_with_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"yoochoose1_64: not found in .*: .*put the processed"):
        catalog.load_split("yoochoose1_64", tmp_path)


@pytest.mark.real
@pytest.mark.parametrize("name", ["yoochoose1_64", "diginetica", "diginetica-file-order"])
def test_the_real_files_give_the_papers_table_1_to_the_digit(real_data: Path, name: str) -> None:
    origin = catalog.load_split(name, real_data).provenance
    assert origin.published
    for column, value in origin.published.items():
        assert as_printed(column, origin.counts[column]) == as_printed(column, value)


@pytest.mark.real
def test_file_order_is_emulated_by_moving_clicks_only_inside_their_sessions(real_data: Path) -> None:
    by_time, by_file = (catalog.load_split(name, real_data) for name in ("diginetica", "diginetica-file-order"))
    assert by_file.provenance.emulated
    assert not by_time.provenance.emulated
    for part in ("train", "test"):
        one, other = getattr(by_time, part), getattr(by_file, part)
        assert one.lengths.tolist() == other.lengths.tolist()
    # Repeats lie side by side, and no pair of items stands in both orders.
    for clicks in by_file.test.lists():
        distinct = list(dict.fromkeys(clicks))
        assert sorted(clicks, key=distinct.index) == clicks
    seen = {(a, b) for clicks in by_file.test.lists() for a, b in pairwise(clicks) if a != b}
    assert not any((b, a) in seen for a, b in seen)
