"""DIGINETICA's reconstructed order of the items, held against rows of the raw file that it was not made from.

The order in item_order.txt was read off test sessions. A sample of the raw file has training sessions in the file's own
order, under the raw file's item numbers. They are aligned with the processed training sessions: both run by date and,
within a date, by the sessions' first rows; a pattern of repeats tells sessions apart; and every raw item must always
meet the same processed one.
"""

from __future__ import annotations

import bisect
import csv
import itertools
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from reproduce.reading import processed

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SAMPLE = DATA / "raw-samples" / "train-item-views.csv"
pytestmark = pytest.mark.skipif(not SAMPLE.is_file(), reason="the real data are not here")

Sample = list[tuple[list[str], list[str]]]  # the items of each session, in the file's order and in time order


def sample() -> Sample:
    """Return the raw sample's sessions of two clicks or more, by date; equal dates keep the file's order."""
    rows: dict[str, list[tuple[str, int, str]]] = defaultdict(list)
    with SAMPLE.open(newline="") as file:
        for session, _, item, time, date in list(csv.reader(file, delimiter=";"))[1:]:
            rows[session].append((item, int(time), date))
    dated = sorted(rows.values(), key=lambda one: one[-1][2])
    return [
        ([item for item, *_ in one], [item for item, *_ in sorted(one, key=lambda row: row[1])])
        for one in dated
        if len(one) > 1
    ]


def pattern(session: Sequence[object]) -> tuple[int, ...]:
    """Return where a session repeats an item: a b a gives 0 1 0."""
    numbers: dict[object, int] = {}
    return tuple(numbers.setdefault(item, len(numbers)) for item in session)


def increasing(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest chain of pairs that increases strictly in both numbers."""
    pairs = sorted(pairs, key=lambda pair: (pair[0], -pair[1]))
    ends: list[int] = []
    tails: list[int] = []
    before: dict[int, int | None] = {}
    for k, (_, right) in enumerate(pairs):
        place = bisect.bisect_left(ends, right)
        ends[place : place + 1], tails[place : place + 1] = [right], [k]
        before[k] = tails[place - 1] if place else None
    chain, at = [], tails[-1] if tails else None
    while at is not None:
        chain.append(pairs[at])
        at = before[at]
    return chain[::-1]


def aligned(raw: Sample, sessions: list[list[int]]) -> tuple[dict[int, int], dict[str, int]]:
    """Return the processed session of each raw one that can be told, and the processed item of each raw item."""
    by_pattern: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for j, session in enumerate(sessions):
        by_pattern[pattern(session)].append(j)
    patterns = [pattern(by_time) for _, by_time in raw]
    found: dict[int, int] = {}
    item: dict[str, int] = {}
    name: dict[int, str] = {}

    def consistent(i: int, j: int) -> bool:
        return all(item.get(a, b) == b and name.get(b, a) == a for a, b in zip(raw[i][1], sessions[j], strict=True))

    def add(i: int, j: int) -> None:
        found[i] = j
        item.update(zip(raw[i][1], sessions[j], strict=True))
        name.update(zip(sessions[j], raw[i][1], strict=True))

    rare = [(i, j) for i, one in enumerate(patterns) if len(by_pattern[one]) <= 3 for j in by_pattern[one]]
    for i, j in sorted(increasing(rare), key=lambda pair: -len(patterns[pair[0]])):
        if consistent(i, j):
            add(i, j)
    count = 0
    while count < len(found):  # sessions between two aligned ones that have a known item and a single candidate
        count, known = len(found), sorted(found)
        for i, one in enumerate(patterns):
            if i in found or not any(a in item for a in raw[i][1]):
                continue
            k = bisect.bisect(known, i)
            low = found[known[k - 1]] if k else -1
            high = found[known[k]] if k < len(known) else len(sessions)
            places = by_pattern[one]
            between = places[bisect.bisect_right(places, low) : bisect.bisect_left(places, high)]
            candidates = [j for j in between if consistent(i, j)]
            if len(candidates) == 1:
                add(i, candidates[0])
    return found, item


def test_the_order_agrees_with_raw_training_sessions_for_items_of_the_test_and_hardly_for_others() -> None:
    """The numbers stand in results/findings.md."""
    (items, lengths), (test_items, test_lengths), _ = processed.read(DATA / "diginetica")
    sessions = [
        one.tolist()
        for clicks, sizes in ((items, lengths), (test_items, test_lengths))
        for one in np.split(clicks, np.cumsum(sizes)[:-1])
    ]
    lines = (DATA / "diginetica" / "item_order.txt").read_text().splitlines()
    place = {int(number): k for k, number in enumerate(lines)}
    raw = sample()
    found, item = aligned(raw, sessions)
    train = {i: j for i, j in found.items() if j < len(lengths)}
    in_test = set(test_items.tolist())
    same: dict[int, list[bool]] = {0: [], 1: [], 2: []}  # by how many of the two items occur in test
    for i in train:
        rows = [item[one] for one in raw[i][0]]
        for a, b in itertools.pairwise(rows):
            if a != b:
                same[(a in in_test) + (b in in_test)].append(place[a] < place[b])
    agreement = {k: (sum(one), len(one)) for k, one in same.items()}
    assert (len(train), agreement) == (348, {2: (831, 885), 1: (237, 412), 0: (56, 96)})
