"""Search: on held-out whole sessions of train only, resumable, its best printed as options."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from reproduce import catalog
from reproduce.__main__ import main
from reproduce.errors import ModelError
from reproduce.reading.sessions import Sessions
from reproduce.runs import search
from reproduce.runs.search import Search, Trial

pytest.importorskip("optuna")
CPU = torch.device("cpu")
ITEM_KNN = Search("cycle", "item_knn", {}, 0)


@pytest.fixture(scope="module")
def train() -> Sessions:
    return catalog.load_split("cycle", Path()).train


def test_the_newest_sessions_are_held_out_whole() -> None:
    sessions = Sessions.of([[i, i + 1, i + 2] for i in range(20)])
    fitting, held_out = search.hold_out(sessions)
    assert fitting.lists() + held_out.lists() == sessions.lists()
    assert held_out.lists() == [[18, 19, 20], [19, 20, 21]]


def test_the_first_trial_is_the_defaults_and_the_others_keep_within_their_ranges(
    train: Sessions, tmp_path: Path
) -> None:
    trials = search.run(ITEM_KNN, train, 4, tmp_path, CPU)
    assert trials[0].fields == {"regularisation": 20.0, "alpha": 0.5}
    assert all(0 <= one.fields["alpha"] <= 1 and 0 <= one.fields["regularisation"] <= 100 for one in trials)
    assert len({json.dumps(one.fields) for one in trials}) == 4


def counted_by_hand(older: list[list[int]], newer: list[list[int]], n_items: int) -> tuple[float, float]:
    """Recall@20 and MRR@20 in per cent of Item-KNN with its defaults, a click at a time; a tie is a loss."""
    clicks = [sum(session.count(item) for session in older) for item in range(n_items)]
    ranks = []
    for session in newer:
        for last, target in pairwise(session):
            score = []
            for item in range(n_items):
                together = sum(one.count(last) for one in older if item in one) if item != last else 0
                score.append(np.float32(together / math.sqrt((clicks[last] + 20) * (clicks[item] + 20))))
            ranks.append(sum(one >= score[target] for one in score))
    hits = [rank for rank in ranks if rank <= 20]
    return 100 * len(hits) / len(ranks), 100 * sum(1 / rank for rank in hits) / len(ranks)


def test_a_trial_scores_what_counting_by_hand_on_the_older_sessions_gives(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    sessions = [(rng.integers(0, 40, 2 + i % 4) * rng.random(2 + i % 4)).astype(int).tolist() for i in range(80)]
    only = search.run(ITEM_KNN, Sessions.of(sessions, 40), 1, tmp_path, CPU)[0]
    recall, mrr = counted_by_hand(sessions[:72], sessions[72:], 40)
    assert 0 < recall < 100
    assert only.recall == pytest.approx(recall, rel=1e-12)
    assert only.mrr == pytest.approx(mrr, rel=1e-12)


def test_a_search_in_two_sittings_equals_one_in_one(train: Sessions, tmp_path: Path) -> None:
    search.run(ITEM_KNN, train, 2, tmp_path / "two", CPU)
    assert search.run(ITEM_KNN, train, 5, tmp_path / "two", CPU) == search.run(
        ITEM_KNN, train, 5, tmp_path / "one", CPU
    )


def test_an_interrupted_trial_is_made_again(train: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate, calls = search.evaluate, []

    def interrupted(*args: object, **options: object) -> tuple[float, float]:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return evaluate(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(search, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search.run(ITEM_KNN, train, 3, tmp_path / "cut", CPU)
    resumed = search.run(ITEM_KNN, train, 3, tmp_path / "cut", CPU)
    assert resumed == search.run(ITEM_KNN, train, 3, tmp_path / "whole", CPU)


def test_other_sessions_share_no_trials(train: Sessions, tmp_path: Path) -> None:
    assert ITEM_KNN.identity(train) != ITEM_KNN.identity(train.take(slice(0, 50)))
    assert ITEM_KNN.identity(train) == ITEM_KNN.identity(train.take(slice(None)))


def test_a_failed_trial_is_noted_and_the_others_go_on(
    train: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate, calls = search.evaluate, []

    def failing(*args: object, **options: object) -> tuple[float, float]:
        calls.append(1)
        if len(calls) == 2:
            raise ModelError("item_knn: the loss is not a finite number")
        return evaluate(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(search, "evaluate", failing)
    trials = search.run(ITEM_KNN, train, 3, tmp_path, CPU)
    assert [one.recall is None for one in trials] == [False, True, False]
    assert trials[1].why == "item_knn: the loss is not a finite number"


def test_the_best_of_equals_is_the_earlier_and_failures_are_not_best() -> None:
    trials = [
        Trial({"a": 1}, 1.0, 0.5),
        Trial({"a": 2}, 3.0, 0.5),
        Trial({"a": 3}, None, None),
        Trial({"a": 4}, 3.0, 0.9),
    ]
    assert search.best(trials).fields == {"a": 2}


def test_the_command_never_sees_the_test_part_and_prints_options_that_work(
    train: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalog, "load_split", lambda name, data: SimpleNamespace(train=train))  # there is no test
    words = ["search", "item_knn", "--dataset", "cycle", "--trials", "4", "--quiet", "--results", str(tmp_path)]
    assert main([*words, "--set", "item_knn.neighbours=1"]) == 0
    command = capsys.readouterr().out.strip().splitlines()[-1]
    before, word, options = command.partition("--set ")
    assert before == "python -m reproduce table2 --dataset cycle --model item_knn "
    options = word + options
    assert "item_knn.neighbours=1" in options
    fields = dict(word.removeprefix("item_knn.").split("=") for word in options.split()[1:])
    kept = json.loads((tmp_path / "search/cycle/item_knn,neighbours=1-seed0.json").read_text())
    model = catalog.make_recommender("item_knn", fields)
    assert catalog.resolved(model) == {**catalog.resolved(model), **kept["fixed"], **kept["best"]["fields"]}
    assert kept["options"] == options and len(kept["trials"]) == 4


def test_what_a_search_found_stands_in_a_column_beside_the_defaults(tmp_path: Path) -> None:
    kept = {
        "model": "item_knn",
        "fixed": {},
        "scored_on": "the newest 10 training sessions, held out whole",
        "defaults": {"fields": {"regularisation": 20.0}, "recall": 40.0, "mrr": 20.0},
        "best": {"fields": {"regularisation": 5.0}, "recall": 50.0, "mrr": 25.0},
        "trials": [{}] * 7,
    }
    file = tmp_path / "search/cycle/item_knn-seed0.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(kept))
    words = ["table2", "--dataset", "cycle", "--quiet", "--results", str(tmp_path), "--model", "item_knn"]
    assert main(words) == 0
    page = tmp_path / "table2.md"
    told = "7 trials, scored on the newest 10 training sessions, held out whole; the defaults had 40.00"
    fill = "--model item_knn --set item_knn.regularisation=5.0"
    assert told in page.read_text() and fill in page.read_text()
    assert "Recall@20: tuned" not in page.read_text() and "| tuned" not in page.read_text().replace("  ", "")
    assert main([*words, *fill.split()[2:]]) == 0
    assert fill not in page.read_text() and "Tuned: Item-KNN: regularisation 5.0." in page.read_text()
    (row,) = [line for line in page.read_text().splitlines() if line.startswith("| Item-KNN ")][:1]
    assert row.split("|")[3].strip() == "100.00 ±0.0"

    file.write_text(json.dumps({**kept, "best": kept["defaults"]}))
    assert main(words) == 0
    assert "the defaults, 40.00 / 20.00, won" in page.read_text()
    file.write_text(json.dumps({**kept, "best": {"fields": {"gone": 1}}}))
    assert main(words) == 0
    assert "item_knn-seed0.json: not what a search of today stores" in page.read_text()


def test_a_model_without_ranges_and_another_models_field_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--dataset", "cycle", "--results", str(tmp_path)]
    assert main(["search", "pop", *words]) == 2
    assert "pop: no field states what to search" in capsys.readouterr().err
    assert main(["search", "item_knn", *words, "--set", "narm.hidden=5"]) == 2
    assert "narm is not the model that is searched" in capsys.readouterr().err
