"""Sessions: spans over one array of clicks, and what is counted on them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reproduce.reading.sessions import Provenance, Sessions, Split, as_printed, count, number_items

logs = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=6), max_size=8)


def test_a_session_of_three_clicks_gives_two_prefixes_shortest_first() -> None:
    prefixes, labels = Sessions.of([[7, 8, 9]]).prefixes()
    assert prefixes.lists() == [[7], [7, 8]]
    assert labels.tolist() == [8, 9]


@given(logs)
def test_prefixes_are_those_a_loop_over_lists_gives(lists: list[list[int]]) -> None:
    sessions = Sessions.of(lists, n_items=10)
    prefixes, labels = sessions.prefixes()
    literal = [(i, one[:n], one[n]) for i, one in enumerate(lists) for n in range(1, len(one))]
    assert sessions.prefix_owner().tolist() == [owner for owner, _, _ in literal]
    assert prefixes.lists() == [prefix for _, prefix, _ in literal]
    assert labels.tolist() == [label for _, _, label in literal]


@given(logs, st.randoms())
def test_taken_sessions_keep_their_clicks(lists: list[list[int]], random: object) -> None:
    sessions = Sessions.of(lists, n_items=10)
    index = np.array(random.sample(range(len(lists)), len(lists)), dtype=np.int64)  # type: ignore[attr-defined]
    taken = sessions.take(index)
    assert taken.lists() == [lists[i] for i in index]
    clicks, owner = taken.clicks()
    assert clicks.tolist() == [item for i in index for item in lists[i]]
    assert owner.tolist() == [place for place, i in enumerate(index) for _ in lists[i]]


def test_prefixes_share_the_clicks_of_their_session() -> None:
    sessions = Sessions.of([[1, 2, 3], [4, 5]])
    assert sessions.prefixes()[0].items is sessions.items


def test_items_are_numbered_by_first_appearance_in_train_then_in_test() -> None:
    train, test, n_items = number_items(np.array([50, 20, 50, 90]), np.array([20, 10]))
    assert (train.tolist(), test.tolist(), n_items) == ([0, 1, 0, 2], [1, 3], 4)


def test_table_1_is_counted_as_the_paper_counts() -> None:
    train, test = Sessions.of([[0, 1, 2], [0, 3]], n_items=5), Sessions.of([[4, 0]], n_items=5)
    counted = count(train, test)
    assert counted["clicks"] == 7
    assert counted["train_sequences"] == 3
    assert counted["test_sequences"] == 1
    assert counted["items"] == 5
    assert counted["average_length"] == 2.25  # prefixes of 1, 2, 1 and 1 clicks, each + 1
    assert count(train, test, items_without_labels=True)["items"] == 3  # 0, 1 and 4 occur in a prefix


def test_an_average_of_5_125_prints_as_the_papers_5_12() -> None:
    assert as_printed("average_length", 5.125) == "5.12"
    assert as_printed("average_length", 6.158) == "6.16"
    assert as_printed("clicks", 557_248) == "557,248"


def test_the_digest_sees_every_click_and_every_boundary() -> None:
    def digest(train: list[list[int]], n_items: int = 4) -> str:
        provenance = Provenance(source="simulated", order="time", emulated=False)
        return Split("x", Sessions.of(train, n_items), Sessions.of([[0, 1]], n_items), provenance).digest

    base = digest([[0, 1], [2, 3]])
    assert digest([[0, 1], [2, 3]]) == base
    others = {digest([[0, 1], [3, 2]]), digest([[0, 1, 2], [3]]), digest([[0, 1], [2, 3]], n_items=5)}
    assert len(others | {base}) == 4


def test_the_digest_does_not_see_how_the_spans_lie() -> None:
    provenance = Provenance(source="simulated", order="time", emulated=False)
    packed = Sessions.of([[0, 1], [2, 3]])
    gaps = Sessions(np.array([9, 0, 1, 9, 2, 3]), np.array([1, 4]), np.array([3, 6]), 4)
    assert Split("x", packed, packed, provenance).digest == Split("x", gaps, packed, provenance).digest
