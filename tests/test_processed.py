"""The processed files: read exactly, never trusted."""

from __future__ import annotations

import hashlib
import os
import pickle
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproduce import catalog
from reproduce.datasets import diginetica
from reproduce.errors import InputError
from reproduce.reading import processed, split_cache
from reproduce.reading.sessions import Sessions, as_printed, exactness
from reproduce.reports import table1

session = st.lists(st.integers(1, 50), min_size=2, max_size=7)


def write(folder: Path, train: object, test: object) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / processed.TRAIN).write_bytes(pickle.dumps(train))
    (folder / processed.TEST).write_bytes(pickle.dumps(test))
    return folder


def examples(sessions: list[list[int]]) -> tuple[list[list[int]], list[int]]:
    """Return prefixes and labels as the circulating files list them: longest prefix first."""
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
        (Hostile(), GOOD_TEST, processed.TRAIN, "not a plain pickle of lists and ints"),
        ([[1, 2], Hostile()], GOOD_TEST, processed.TRAIN, "not a plain pickle of lists and ints"),
        (GOOD_TRAIN, ([[1]], [Hostile()]), processed.TEST, "not a plain pickle of lists and ints"),
        ({"a": 1}, GOOD_TEST, processed.TRAIN, "it holds something else"),
        ("a", GOOD_TEST, processed.TRAIN, "it holds something else"),
        ([], GOOD_TEST, processed.TRAIN, "expected a list of sessions"),
        ([[1, 2], [3, "4"]], GOOD_TEST, processed.TRAIN, "it holds something else"),
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
    with pytest.raises(InputError, match="more follows"):
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


# --- DIGINETICA's order of the items ----------------------------------------------------------------------------------

FILE_ORDER, BY_TIME = "diginetica-file-order", "diginetica"


def numbered(sessions: list[list[int]]) -> list[list[int]]:
    """Number the items 0, 1, 2, ... by first appearance."""
    number: dict[int, int] = {}
    return [[number.setdefault(item, len(number)) for item in one] for one in sessions]


def ordered(data: Path, train: list[list[int]], test: list[list[int]], lines: str | bytes) -> Path:
    """Write processed files and an item order under DIGINETICA's names, and return the data folder."""
    folder = write(data / "diginetica", train, examples(test))
    (folder / diginetica.ORDER).write_bytes(lines if isinstance(lines, bytes) else lines.encode())
    return data


def test_clicks_follow_the_order_of_the_items_that_lies_beside_the_processed_files(tmp_path: Path) -> None:
    # The order is 9, 4, 7, so [4, 9, 4] becomes [9, 4, 4], and so on; items are numbered by first appearance.
    data = ordered(tmp_path, [[4, 9, 4], [7, 9]], [[7, 4]], "9\n4\n7\n")
    split = catalog.load_split(FILE_ORDER, data)
    assert split.train.lists() == [[0, 1, 1], [0, 2]]
    assert split.test.lists() == [[1, 2]]
    origin = split.provenance
    assert exactness(vars(origin)) == "reconstructed"
    assert "item_order.txt" in origin.note
    assert origin.files[diginetica.ORDER] == hashlib.sha256(b"9\n4\n7\n").hexdigest()
    assert set(origin.files) == {processed.TRAIN, processed.TEST, diginetica.ORDER}


@given(
    train=st.lists(session, min_size=1, max_size=5),
    test=st.lists(session, min_size=1, max_size=5),
    shuffle=st.randoms(use_true_random=False),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_every_session_is_sorted_by_the_order_and_keeps_its_clicks(
    tmp_path_factory: pytest.TempPathFactory,
    train: list[list[int]],
    test: list[list[int]],
    shuffle: random.Random,
    newline: str,
) -> None:
    order = sorted({item for one in train + test for item in one})
    shuffle.shuffle(order)
    data = ordered(tmp_path_factory.mktemp("x"), train, test, newline.join(map(str, order)))
    split = catalog.load_split(FILE_ORDER, data)
    expected = numbered([sorted(one, key=order.index) for one in train + test])
    assert split.train.lists() + split.test.lists() == expected


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("", "not the items of the files, each once; expected every item of all_train_seq.txt and test.txt"),
        ("1\n2\nthree\n4\n", "not a list of item numbers"),
        ("1\n2\n-3\n4\n", "not the items"),
        ("1\n2\n3.0\n4\n", "not a list of item numbers"),
        (b"\x80\x04\x95", "not a list of item numbers"),
        ("9" * 5000, "not a list of item numbers"),
        ("9" * 50, "not a list of item numbers"),
        ("1\n2\n1\n3\n4\n", "not the items"),
        ("1\n2\n3\n5\n4\n", "not the items"),
        ("4\n3\n1\n", "not the items"),
    ],
)
def test_an_order_that_does_not_list_every_item_once_is_refused(tmp_path: Path, lines: str | bytes, says: str) -> None:
    data = ordered(tmp_path, GOOD_TRAIN, [[1, 3]], lines)
    with pytest.raises(InputError, match=says) as caught:
        catalog.load_split(FILE_ORDER, data)
    assert str(caught.value).startswith(f"{data / 'diginetica' / diginetica.ORDER}: ")
    assert "or take it away" in str(caught.value)
    assert len(catalog.load_split(BY_TIME, data).train) == 2  # the order by time does not need it


def test_an_order_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "diginetica", GOOD_TRAIN, examples([[1, 3]]))
    (folder / diginetica.ORDER).mkdir()
    with pytest.raises(InputError, match=r"item_order.txt: cannot be read .*or take it away"):
        catalog.load_split(FILE_ORDER, tmp_path)


def test_without_an_order_it_is_emulated_and_by_time_it_is_never_asked_for(tmp_path: Path) -> None:
    data = ordered(tmp_path, [[1, 2, 1], [3, 4]], [[2, 4]], "2\n1\n3\n4\n")
    by_time = catalog.load_split(BY_TIME, data)
    assert exactness(vars(by_time.provenance)) == "exact"
    assert by_time.train.lists() == [[0, 1, 0], [2, 3]]
    assert diginetica.ORDER not in by_time.provenance.files
    (data / "diginetica" / diginetica.ORDER).unlink()
    emulated = catalog.load_split(FILE_ORDER, data).provenance
    assert exactness(vars(emulated)) == "emulated"
    assert set(emulated.files) == {processed.TRAIN, processed.TEST}


def test_a_split_of_another_order_is_not_taken_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_cache, "WORTH_CACHING", 0)
    data = ordered(tmp_path, [[1, 2, 2], [3, 4]], [[2, 4]], "1\n2\n3\n4\n")
    assert catalog.load_split(FILE_ORDER, data).train[0].tolist() == [0, 1, 1]
    assert catalog.load_split(FILE_ORDER, data).provenance.reconstructed  # from the cache
    ordered(tmp_path, [[1, 2, 2], [3, 4]], [[2, 4]], "2\n1\n3\n4")
    assert catalog.load_split(FILE_ORDER, data).train[0].tolist() == [0, 0, 1]
    (data / "diginetica" / diginetica.ORDER).unlink()
    assert not catalog.load_split(FILE_ORDER, data).provenance.reconstructed
    assert len(split_cache.entries()) == 3


@pytest.mark.real
@pytest.mark.parametrize("reconstructed", [True, False])
def test_clicks_of_the_real_files_move_only_inside_their_sessions(
    real_data: Path, tmp_path: Path, reconstructed: bool
) -> None:
    folder = tmp_path / "diginetica"
    folder.mkdir()
    names = (processed.TRAIN, processed.TEST, *[diginetica.ORDER] * reconstructed)
    for name in names:
        if not (real_data / "diginetica" / name).is_file():
            pytest.skip(f"{name} is not here")
        (folder / name).symlink_to(real_data / "diginetica" / name)
    by_time, by_file = (catalog.load_split(name, tmp_path) for name in (BY_TIME, FILE_ORDER))
    assert exactness(vars(by_file.provenance)) == ("reconstructed" if reconstructed else "emulated")
    assert exactness(vars(by_time.provenance)) == "exact"
    for part in ("train", "test"):
        one, other = getattr(by_time, part), getattr(by_file, part)
        assert one.lengths.tolist() == other.lengths.tolist()
    # Repeats lie side by side, and no pair of items stands in both orders.
    for clicks in by_file.test.lists():
        distinct = list(dict.fromkeys(clicks))
        assert sorted(clicks, key=distinct.index) == clicks
    seen = {(a, b) for clicks in by_file.test.lists() for a, b in pairwise(clicks) if a != b}
    assert not any((b, a) in seen for a, b in seen)


@pytest.mark.real
def test_pop_in_the_reconstructed_order_is_what_was_measured_before(real_data: Path) -> None:
    if not (real_data / "diginetica" / diginetica.ORDER).is_file():
        pytest.skip("item_order.txt is not here")
    split = catalog.load_split(FILE_ORDER, real_data)
    clicks = np.bincount(split.train.clicks()[0], minlength=split.train.n_items)
    ahead = np.searchsorted(np.sort(-clicks), -clicks, side="right")  # items with as many clicks or more
    ranks = ahead[split.test.prefixes()[1]]
    assert round(100 * np.mean(ranks <= 20), 2) == 0.96
    assert round(100 * np.mean((ranks <= 20) / ranks), 2) == 0.24
    assert table1.repeats(split.train) == pytest.approx(20.0, abs=0.05)


@pytest.mark.parametrize("raw", [b"122p.", b"(lp12.", b"(lI1.", b"\x80\x02]M1.", b"]." + b"a", b"K."])
def test_half_a_piece_before_the_dot_is_no_pickle(raw: bytes, tmp_path: Path) -> None:
    folder = write(tmp_path, GOOD_TRAIN, GOOD_TEST)
    (folder / processed.TRAIN).write_bytes(raw)
    with pytest.raises(InputError, match="not a plain pickle"):
        processed.read(folder)
