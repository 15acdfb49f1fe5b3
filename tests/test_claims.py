"""Verdicts on records whose truth is known by construction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reproduce.__main__ import main
from reproduce.paper import numbers, rows
from reproduce.paper.claims import CLAIMS, Above, Claim, Close, Gain, LongerGain
from reproduce.paper.rows import Row
from reproduce.reports import claims
from reproduce.runs import search, stored_search
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import Result

A, B, C = (Row(name, name) for name in "abc")
SESSIONS = 400


class Records:
    """A shelf of made-up records: of each row the ranks, one list per seed."""

    def __init__(self, ranks: dict[str, list[np.ndarray]]) -> None:
        self.ranks = ranks
        self.folder = Path("none")
        self.remarks: list[str] = []

    def results(self, row: Row, dataset: str) -> list[Result]:
        session = np.repeat(np.arange(SESSIONS), 20)
        length = np.tile(np.arange(1, 21), SESSIONS)
        made = Experiment("cycle", "pop")
        return [
            Result(made, "", {}, {"digest": "", "n_items": 99}, [], {}, session, length, one - 1, np.zeros_like(one))
            for one in self.ranks.get(row.label, [])
        ]


def hits(share: float, seed: int = 0) -> np.ndarray:
    """Ranks of 400 sessions of 20 prefixes, of which about that share are hits; the same sessions are hard for all."""
    luck = (
        np.random.default_rng(0).random((SESSIONS, 20)) * 0.8 + np.random.default_rng(seed).random((SESSIONS, 20)) * 0.2
    )
    return np.where(luck.ravel() < np.quantile(luck, share), 2, 50)


def word(statement: claims.Statement, **ranks: np.ndarray) -> str:
    shelf = Records({name: [one] for name, one in ranks.items()})
    claim = Claim("C", "", {"YOOCHOOSE 1/64": (statement,)})
    (verdict,) = claims.judge(shelf, claim, "yoochoose1_64")  # type: ignore[arg-type]
    return verdict.word


@pytest.mark.parametrize("metric", ["recall", "mrr"])
def test_a_clear_lead_is_reproduced_its_opposite_is_not_and_a_tie_is_noise(metric: str) -> None:
    assert word(Above(A, B, metric), a=hits(0.6), b=hits(0.5)) == claims.YES
    assert word(Above(A, B, metric), a=hits(0.5), b=hits(0.6)) == claims.NO
    assert word(Above(A, B, metric), a=hits(0.5, 1), b=hits(0.5, 2)) == claims.NOISE
    assert word(Above(A, B, metric), a=hits(0.5)) == claims.ABSENT


def test_a_sure_but_small_lead_needs_more_than_one_run() -> None:
    base = hits(0.5)
    ahead = base.copy()
    ahead[np.flatnonzero(base > 20)[::80]] = 1  # 0.6 points on scattered prefixes, nothing lost elsewhere
    share = (ahead <= 20).mean() - (base <= 20).mean()
    assert 0.004 < share < 0.008
    assert word(Above(A, B, "recall"), a=ahead, b=base) == claims.YES
    ahead[np.flatnonzero(base > 20)[::160]] = 50  # half of that
    assert word(Above(A, B, "recall"), a=ahead, b=base) == claims.NOISE
    shelf = Records({"a": [ahead] * 3, "b": [base] * 3})
    (verdict,) = claims.judge(shelf, Claim("C", "", {"YOOCHOOSE 1/64": (Above(A, B, "recall"),)}), "yoochoose1_64")  # type: ignore[arg-type]
    assert verdict.word == claims.YES


def test_a_model_that_was_searched_stands_with_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    row, other = Row("Item-KNN", "item_knn"), Row("POP", "pop")
    trial = search.Trial({"alpha": 0.1}, 50.0, 20.0)
    found = stored_search.Found("item_knn", {}, {"alpha": 0.1}, 5, "", trial, trial)
    monkeypatch.setattr(stored_search, "found", lambda folder, dataset: [found])
    claim = Claim("C", "", {"YOOCHOOSE 1/64": (Above(row, other, "recall"),)})
    ranks = {"Item-KNN": [hits(0.4)], "POP": [hits(0.5)]}
    for more, outcome in (({}, claims.NO), ({"Item-KNN (searched)": [hits(0.6)]}, claims.YES)):
        (verdict,) = claims.judge(Records(ranks | more), claim, "yoochoose1_64")  # type: ignore[arg-type]
        assert verdict.word == outcome
    assert verdict.numbers.startswith("Item-KNN (searched) − POP")


def test_of_several_searches_the_one_that_held_in_its_own_validation_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    row, trials = Row("Item-KNN", "item_knn"), [search.Trial({"alpha": value}, 50.0, 20.0) for value in (0.1, 0.9)]
    found = [stored_search.Found("item_knn", {}, one.fields, 5, "", one, one) for one in trials]

    class Trained(Records):
        def results(self, row: Row, dataset: str) -> list[Result]:
            kept = super().results(row, dataset)
            best = {0.1: 44.0, 0.9: 59.0}.get(row.fields.get("alpha", 0.0), 0.0)  # type: ignore[call-overload]
            return [replace(one, epochs=[{"epoch": 1, "validation_recall": best}]) for one in kept]

    shelf = Trained({"Item-KNN": [hits(0.4)], "Item-KNN (searched)": [hits(0.5)]})
    for order in (found, found[::-1]):
        monkeypatch.setattr(stored_search, "found", lambda folder, dataset, order=order: order)
        assert claims._tuned(shelf, row, "yoochoose1_64")[0].fields == {"alpha": 0.9}  # type: ignore[arg-type]


def test_a_gain_is_reproduced_where_its_interval_holds_the_papers_number() -> None:
    assert word(Gain(A, B, "recall", 20.0), a=hits(0.6), b=hits(0.5)) == claims.YES
    assert word(Gain(A, B, "recall", 8.0), a=hits(0.6), b=hits(0.5)) == claims.NO


def test_close_means_that_the_whole_interval_is_within_the_points() -> None:
    assert word(Close(A, B, "recall", 5.0), a=hits(0.51), b=hits(0.5)) == claims.YES
    assert word(Close(A, B, "recall", 5.0), a=hits(0.6), b=hits(0.5)) == claims.NO


def test_a_gain_on_longer_prefixes_is_seen_and_an_even_one_is_not() -> None:
    lengths = np.tile(np.arange(1, 21), SESSIONS)
    better, base = hits(0.6), hits(0.4)
    longer = np.where((lengths >= 4) & (lengths <= 17), better, base)
    assert word(LongerGain(A, B, (4, 17), (1, 3)), a=longer, b=base) == claims.YES
    assert word(LongerGain(A, B, (1, 3), (4, 17)), a=longer, b=base) == claims.NO
    assert word(LongerGain(A, B, (4, 17), (1, 3)), a=base, b=base) == claims.NOISE


def test_a_collapse_is_a_fall_to_less_than_the_share() -> None:
    class Fallen(Records):
        def results(self, row: Row, dataset: str) -> list[Result]:
            return super().results(Row(dataset, "pop"), dataset)

    for after, verdict in ((0.2, claims.YES), (0.55, claims.NO)):
        shelf = Fallen({"yoochoose1_64": [hits(0.8)], "yoochoose1_4": [hits(after)]})
        (one,) = claims.judge(shelf, CLAIMS[10], "yoochoose1_4")  # type: ignore[arg-type]
        assert one.word == verdict


def test_a_contradiction_outweighs_a_gap_and_a_gap_outweighs_noise() -> None:
    verdicts = {name: claims.Verdict(name, "") for name in (claims.YES, claims.NOISE, claims.ABSENT, claims.NO)}
    assert claims.overall(list(verdicts.values())) == claims.NO
    assert claims.overall([verdicts[claims.YES], verdicts[claims.NOISE], verdicts[claims.ABSENT]]) == claims.ABSENT
    assert claims.overall([verdicts[claims.YES], verdicts[claims.NOISE]]) == claims.NOISE
    assert claims.overall([verdicts[claims.YES]]) == claims.YES


def test_the_claims_are_the_eleven_of_the_paper_and_its_own_numbers_bear_them_out() -> None:
    assert [one.name for one in CLAIMS] == [f"C{number}" for number in range(1, 12)]
    for claim in CLAIMS:
        for column, statements in claim.statements.items():
            for one in statements:
                if isinstance(one, Above) and all(row in rows.ROWS for row in (one.better, one.worse)):
                    pair = [numbers.TABLE3[row.label].get(column) for row in (one.better, one.worse)]
                    if all(pair):
                        assert getattr(pair[0], one.metric) > getattr(pair[1], one.metric), (claim.name, column)


def test_strict_exits_4_on_a_contradiction_and_0_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["claims", "--results", str(tmp_path)]
    assert main([*command, "--strict"]) == 0
    assert "not yet run" in capsys.readouterr().out
    monkeypatch.setattr(claims, "judge", lambda own, claim, dataset: [claims.Verdict(claims.NO, "x")])
    assert main(command) == 0
    assert main([*command, "--strict"]) == 4
