"""Search: on the newest sessions of train only, by a protocol, resumable, its best setting printed as options."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from reproduce import catalog
from reproduce.__main__ import main
from reproduce.errors import InputError, ModelError
from reproduce.reading.held_out import drift, hold_out
from reproduce.reading.sessions import Provenance, Sessions, Split
from reproduce.runs import search
from reproduce.runs.deadline import Deadline, TimeIsUp
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import load
from reproduce.runs.runner import RunOptions
from reproduce.runs.search import Found, Protocol, Refit, Search, Trial, best_of

RESULTS = Path(__file__).resolve().parent.parent / "results"
ITEM_KNN = Search("cycle", "item_knn", {}, 0, trials=1)
BPR_MF = Search(
    "cycle", "bpr_mf", {"epochs": 1, "factors": 4}, 0, trials=3
)  # has randomness, so that it is fitted anew


def how(results: Path, deadline: Deadline | None = None) -> RunOptions:
    return RunOptions(data=Path(), results=results, device="cpu", quiet=True, deadline=deadline)


def search_on(what: Search, trials: int, results: Path) -> Found:
    return search.run(replace(what, trials=trials), how(results))


def whole(train: Sessions) -> Split:
    """Return a split with a test part of no use."""
    return Split("made up", train, train.take(slice(0, 1)), Provenance("simulated", "time", emulated=False))


def dated(lists: list[list[int]], dates: list[int] | None) -> Sessions:
    return replace(Sessions.of(lists), dates=None if dates is None else np.array(dates))


def test_the_newest_sessions_by_time_are_held_out_whole_wherever_they_stand() -> None:
    lists = [[i, i + 1, i + 2] for i in range(20)]
    parts = hold_out(whole(dated(lists, list(range(20)))))
    assert parts.train.lists() + parts.test.lists() == lists
    assert parts.test.lists() == [[18, 19, 20], [19, 20, 21]]
    assert parts.provenance.note == "the newest 2 training sessions by time, held out whole"
    parts = hold_out(whole(dated(lists, [30, *range(1, 18), 31, 5])))
    assert parts.test.lists() == [[0, 1, 2], [18, 19, 20]]
    assert [19, 20, 21] in parts.train.lists() and len(parts.train) == 18


def test_sessions_of_one_date_keep_their_order() -> None:
    parts = hold_out(whole(dated([[i, i] for i in range(10)], [1] * 10)))
    assert parts.test.lists() == [[9, 9]]


def test_without_times_the_last_are_held_out_and_it_is_told_whether_their_order_is_of_time() -> None:
    rng = np.random.default_rng(0)
    drifting = [(i // 10 + rng.integers(0, 40, 3)).tolist() for i in range(600)]  # a new item every ten sessions
    parts = hold_out(whole(dated(drifting, None)))
    assert parts.test.lists() == drifting[540:]
    assert parts.provenance.note.startswith(
        "the last 60 training sessions in the order of files without times, held out whole"
    )
    assert "drifts along that order, rank correlation 1.00" in parts.provenance.note
    shuffled = [drifting[i] for i in rng.permutation(600)]
    assert "whether that is the order of time does not show" in hold_out(whole(dated(shuffled, None))).provenance.note
    assert "does not show" in hold_out(whole(dated(drifting[:5], None))).provenance.note


@pytest.mark.real
@pytest.mark.parametrize("name", ["yoochoose1_64", "diginetica", "diginetica-file-order"])
def test_the_processed_files_are_in_the_order_of_time(name: str, real_data: Path) -> None:
    """Not only do they drift: the later a tenth of train, the more its clicks are like those of test."""
    split = catalog.load_split(name, real_data)
    if split.train.dates is not None:
        assert (np.diff(split.train.dates) >= 0).all()
    assert drift(split.train) > 0.95
    theirs = np.bincount(split.test.clicks()[0], minlength=split.train.n_items).astype(float)
    alike = []
    for part in np.array_split(np.arange(len(split.train)), 10):
        ours = np.bincount(split.train.take(part).clicks()[0], minlength=split.train.n_items)
        alike.append(ours @ theirs / np.linalg.norm(ours))
    assert np.corrcoef(np.argsort(np.argsort(alike)), np.arange(10))[0, 1] > 0.95


def test_the_first_trial_is_the_defaults_and_the_others_keep_within_their_ranges(tmp_path: Path) -> None:
    trials = search_on(ITEM_KNN, 4, tmp_path).trials
    assert trials[0].fields == {"regularisation": 20.0, "alpha": 0.5}
    assert all(0 <= one.fields["alpha"] <= 1 and 0 <= one.fields["regularisation"] <= 100 for one in trials)
    assert len({json.dumps(one.fields) for one in trials}) == 4


def counted_by_hand(older: list[list[int]], newer: list[list[int]], n_items: int) -> tuple[float, float]:
    """Return Item-KNN's Recall@20 and MRR@20, in per cent, with its defaults, click by click; ties count against it."""
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


def test_a_trial_scores_what_counting_by_hand_on_the_older_sessions_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    sessions = [(rng.integers(0, 40, 2 + i % 4) * rng.random(2 + i % 4)).astype(int).tolist() for i in range(80)]
    split = whole(Sessions.of(sessions, 40))
    monkeypatch.setattr(catalog, "load_split", lambda name, data: replace(split, name=name))
    (only,) = search_on(ITEM_KNN, 1, tmp_path).trials
    recall, mrr = counted_by_hand(sessions[:72], sessions[72:], 40)
    assert 0 < recall < 100
    assert only.recall == pytest.approx(recall, rel=1e-12)
    assert only.mrr == pytest.approx(mrr, rel=1e-12)


def test_a_search_in_two_sittings_equals_one_in_one(tmp_path: Path) -> None:
    search_on(ITEM_KNN, 2, tmp_path / "two")
    assert search_on(ITEM_KNN, 5, tmp_path / "two") == search_on(ITEM_KNN, 5, tmp_path / "one")


Scores = Callable[[Mapping[str, object], int], tuple[float, float]]


def scored_by(monkeypatch: pytest.MonkeyPatch, scores: Scores) -> list[tuple[Mapping[str, object], int]]:
    """Replace every run by made-up scores of a model's fields and a seed; return the growing list of what was run."""
    ran: list[tuple[Mapping[str, object], int]] = []

    def run_with(options: RunOptions, one: Experiment, split: Split) -> SimpleNamespace:
        ran.append((catalog.resolved(one.recommender()), one.seed))
        recall, mrr = scores(*ran[-1])
        return SimpleNamespace(recall=lambda: recall, mrr=lambda: mrr)

    monkeypatch.setattr(search, "run_with", run_with)
    return ran


def test_a_trial_is_an_ordinary_record_of_the_held_out_split(tmp_path: Path) -> None:
    outcome = search_on(ITEM_KNN, 2, tmp_path)
    held_out = catalog.load_split("cycle-held-out", tmp_path)
    assert held_out.digest == hold_out(catalog.load_split("cycle", tmp_path)).digest
    for trial in outcome.trials:
        one = Experiment.of("cycle-held-out", "item_knn", trial.fields)
        made = load(one, tmp_path, held_out.digest)
        assert made is not None and (made.recall(), made.mrr()) == (trial.recall, trial.mrr)
    assert main(["check", "--results", str(tmp_path)]) == 0


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 9])
def test_an_interrupted_search_makes_the_same_trials_and_refits_and_no_run_twice(
    cut: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = search_on(BPR_MF, 3, tmp_path / "whole")
    run_with, calls = search.run_with, []

    def interrupted(options: RunOptions, one: Experiment, split: Split) -> object:
        calls.append(1)
        if len(calls) == cut:
            raise KeyboardInterrupt
        return run_with(options, one, split)

    monkeypatch.setattr(search, "run_with", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search_on(BPR_MF, 3, tmp_path / "cut")
    assert not list(tmp_path.rglob("cut/search/**/*.json")), "nothing unfinished looks finished"
    made = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("cut/runs/**/*.json")}
    assert len(made) == cut - 1
    assert search_on(BPR_MF, 3, tmp_path / "cut") == undisturbed
    assert all(file.stat().st_mtime_ns == time for file, time in made.items())
    assert len(list(tmp_path.rglob("cut/runs/**/*.json"))) == 12, "three trials, and three refits of each"


def test_the_time_is_up_between_two_epochs_and_the_same_command_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = Search("cycle", "narm", {"epochs": 3, "hidden": 4, "embedding": 4}, 0, trials=2)
    undisturbed = search_on(what, 2, tmp_path / "whole")
    checks = iter([True] * 5 + [False] + [True] * 1000)  # in the second trial the third epoch does not fit
    epochs: list[int] = []

    def check(self: Deadline, epoch: int, of: int, lengths: object) -> None:
        if not next(checks):
            raise TimeIsUp(f"the time is up after epoch {epoch - 1} of {of}")
        epochs.append(epoch)

    monkeypatch.setattr(Deadline, "check_epoch", check)
    cut = how(tmp_path / "cut", Deadline(1e6))
    message = r"after epoch 2 of 3; 1 of 2 trials are done \(repeat the command to resume\)"
    with pytest.raises(TimeIsUp, match=message):
        search.run(what, cut)
    assert epochs == [1, 2, 3, 1, 2]
    assert search.run(what, cut) == undisturbed
    assert epochs[5:] == [3] + [1, 2, 3] * 6, "the second trial at its third epoch, then the refits"
    assert not list(tmp_path.rglob("*.checkpoint")) and not list(tmp_path.rglob("*.lock"))
    with pytest.raises(TimeIsUp, match="not begun, the time is up; 2 of 3 trials are done"):
        search.run(replace(what, trials=3), how(tmp_path / "cut", Deadline(0.0)))


def test_without_optuna_settings_are_drawn_at_random_within_their_ranges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search.importlib.util, "find_spec", lambda name: None)
    ran = scored_by(monkeypatch, lambda fields, seed: (50.0, 20.0))
    outcome = search_on(Search("cycle", "bpr_mf", {}, 0, trials=12), 12, tmp_path)
    assert str(outcome.protocol).startswith("12 trials drawn at random; the best 3 fitted anew")
    kind = {one.name: one.metadata["search"] for one in fields(catalog.recommender("bpr_mf"))}
    for values, _ in ran:
        assert values["epochs"] in kind["epochs"] and values["factors"] in kind["factors"]
        low, high = kind["learning_rate"]
        assert low <= values["learning_rate"] <= high  # type: ignore[operator]
    assert len({json.dumps(trial.fields) for trial in outcome.trials}) == 12
    assert outcome.protocol.sampler == "random"


def test_a_search_on_other_data_of_the_same_name_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search_on(ITEM_KNN, 1, tmp_path)
    split = catalog.load_split("cycle", ".")
    other = replace(split, train=split.train.take(slice(0, 50)))
    monkeypatch.setattr(catalog, "load_split", lambda name, data: other)
    with pytest.raises(InputError, match="a search on other data of this name"):
        search_on(ITEM_KNN, 1, tmp_path)
    shutil.rmtree(tmp_path / "runs")  # as in results/, where searches lie without the records of their trials
    with pytest.raises(InputError, match="a search on other data of this name"):
        search_on(ITEM_KNN, 1, tmp_path)


def test_a_broken_search_is_made_again(tmp_path: Path) -> None:
    whole = search_on(ITEM_KNN, 1, tmp_path)
    (file,) = (tmp_path / "search/cycle").glob("*.json")
    file.write_text("not JSON")
    assert search_on(ITEM_KNN, 1, tmp_path).trials == whole.trials and file.read_text() != "not JSON"


def test_settings_that_were_tried_are_no_trial_and_a_small_space_ends_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored_by(monkeypatch, lambda fields, seed: (50.0, 20.0))
    what = Search("cycle", "sknn", {"sample": 1000}, 0, trials=9)
    outcome = search_on(what, 9, tmp_path)
    assert sorted(one.fields["neighbours"] for one in outcome.trials) == [50, 100, 200, 500, 1000]
    assert outcome.protocol.trials == 9, "the budget is what was asked for"
    assert search_on(what, 9, tmp_path) == outcome


def test_networks_may_be_trained_for_fewer_epochs_in_trials_and_other_models_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = scored_by(monkeypatch, lambda fields, seed: (50.0, 20.0))
    for model, in_trials, anew in (("narm", {2}, {30}), ("bpr_mf", {5, 10, 20, 40}, {5, 10, 20, 40})):
        what = Search("cycle", model, {}, 0, trials=4, trial_epochs=2)
        outcome = search_on(what, 4, tmp_path)
        assert {fields["epochs"] for fields, seed in asked if seed == 0} <= in_trials
        again = {fields["epochs"] for fields, seed in asked if seed != 0}
        assert again and again <= anew
        assert outcome.protocol == Protocol(2, 4, 2, 3, 3)
        asked.clear()


def test_the_three_best_are_fitted_anew_with_other_seeds_and_the_best_mean_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trials reach 60, 50, 70, 65 and 55.

    Fitted anew, the 70 comes to 40 on average and the 65 to 41; so does the 60, but with a lower MRR.
    """
    first = {0: (60.0, 1.0), 1: (50.0, 1.0), 2: (70.0, 1.0), 3: (65.0, 1.0), 4: (55.0, 1.0)}
    anew = {
        0: [(41.0, 4.0)] * 3,
        2: [(60.0, 9.0), (30.0, 9.0), (30.0, 9.0)],
        3: [(40.0, 5.0), (41.0, 5.0), (42.0, 5.0)],
    }
    order: list[object] = []

    def scores(fields: Mapping[str, object], seed: int) -> tuple[float, float]:
        if fields["spread"] not in order:
            order.append(fields["spread"])
        place = order.index(fields["spread"])
        return first[place] if seed == 7 else anew[place][seed - 8]

    asked = scored_by(monkeypatch, scores)
    outcome = search_on(Search("cycle", "bpr_mf", {}, 7, trials=5), 5, tmp_path)
    assert [seed for _, seed in asked] == [7] * 5 + [8, 9, 10] * 3
    assert [one.fields["spread"] for one in outcome.refits] == [order[2], order[3], order[0]]
    assert [one.scores[0] for one in outcome.refits] == [40.0, 41.0, 41.0]
    assert outcome.best == outcome.trials[3]


def test_a_model_without_chance_is_not_fitted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = scored_by(monkeypatch, lambda fields, seed: (50.0, 20.0))
    outcome = search_on(ITEM_KNN, 2, tmp_path)
    assert len(asked) == 2
    assert outcome.refits[0] == Refit(outcome.trials[0].fields, [50.0] * 3, [20.0] * 3)


def test_a_failed_trial_is_noted_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_with, calls = search.run_with, []

    def failing(options: RunOptions, one: Experiment, split: Split) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise ModelError("item_knn: the loss is not a finite number")
        return run_with(options, one, split)

    monkeypatch.setattr(search, "run_with", failing)
    outcome = search_on(ITEM_KNN, 3, tmp_path)
    assert [one.recall is None for one in outcome.trials] == [False, True, False]
    assert outcome.trials[1].why == "item_knn: the loss is not a finite number"
    assert [one.fields for one in outcome.refits] == [outcome.trials[0].fields, outcome.trials[2].fields]


def test_what_fails_with_another_seed_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scores(fields: Mapping[str, object], seed: int) -> tuple[float, float]:
        if seed == 2 and fields["spread"] == 0.05:
            raise ModelError("it diverged")
        return (60.0 if fields["spread"] == 0.05 else 50.0), 20.0

    scored_by(monkeypatch, scores)
    outcome = search_on(BPR_MF, 3, tmp_path)
    assert outcome.refits[0] == Refit(outcome.trials[0].fields, [60.0], [20.0], "it diverged")
    assert outcome.best == outcome.trials[1]
    with pytest.raises(ModelError, match="the best trials failed with other seeds: it diverged"):
        search_on(BPR_MF, 1, tmp_path)


def test_the_best_of_equals_has_the_higher_mrr_then_is_the_earlier_and_failures_are_not_best() -> None:
    trials = [
        Trial({"a": 1}, 1.0, 0.5),
        Trial({"a": 2}, 3.0, 0.5),
        Trial({"a": 3}, None, None),
        Trial({"a": 4}, 3.0, 0.9),
        Trial({"a": 5}, 3.0, 0.9),
    ]
    assert [one.fields["a"] for one in best_of(trials)] == [4, 5, 2, 1]
    anew = [Refit(one.fields, [3.0], [0.1]) for one in trials]
    assert Found("pop", {}, "", trials, anew).best == trials[0]
    anew[3] = Refit({"a": 4}, [2.0, 4.0], [0.2, 0.1])
    assert Found("pop", {}, "", trials, anew).best == trials[3]


def test_a_search_does_not_touch_what_another_protocol_or_budget_came_to(tmp_path: Path) -> None:
    old = tmp_path / "search/cycle/item_knn-seed0.json"
    old.parent.mkdir(parents=True)
    old.write_text("evidence")
    for trials in (1, 2):
        search_on(ITEM_KNN, trials, tmp_path)
    assert old.read_text() == "evidence"
    assert {file.name for file in old.parent.glob("*.json")} == {
        "item_knn-seed0.json",
        "item_knn-seed0-1-trials-protocol2.json",
        "item_knn-seed0-2-trials-protocol2.json",
    }


def test_a_committed_search_of_before_is_read_as_of_the_older_protocol() -> None:
    """Three of V-SKNN's twenty trials on YOOCHOOSE 1/64 drew a setting again, so that 17 count."""
    (vsknn,) = (one for one in search.found(RESULTS, "yoochoose1_64") if one.model == "vsknn" and not one.refits)
    assert len(vsknn.trials) == 20
    assert vsknn.protocol == Protocol(1, 17, None, 0, 0)
    assert str(vsknn.protocol) == "17 trials by an older protocol: the best of single fits"


def test_the_command_never_sees_the_test_part_and_prints_options_that_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    split = catalog.load_split("cycle", ".")
    useless = replace(split, test=Sessions.of([[0, 0]], split.train.n_items))
    monkeypatch.setattr(catalog, "load_split", lambda name, data: useless)
    words = ["search", "item_knn", "--dataset", "cycle", "--trials", "4", "--quiet", "--results", str(tmp_path)]
    assert main([*words, "--set", "item_knn.neighbours=1"]) == 0
    told = capsys.readouterr().out.strip().splitlines()
    assert told[0] == "item_knn on cycle: 4 trials; the best 3 fitted anew with 3 seeds each"
    assert told[2] == "searched: regularisation 0.0 to 100.0; alpha 0.0 to 1.0"
    command, _, folder = told[-1].partition(" --quiet --results ")
    assert folder == str(tmp_path)
    before, word, options = command.partition("--set ")
    assert before == "python -m reproduce table2 --dataset cycle --model item_knn "
    options = word + options
    assert "item_knn.neighbours=1" in options
    fields = dict(word.removeprefix("item_knn.").split("=") for word in options.split()[1:])
    kept = json.loads((tmp_path / "search/cycle/item_knn,neighbours=1-seed0-4-trials-protocol2.json").read_text())
    model = catalog.make_recommender("item_knn", fields)
    assert catalog.resolved(model) == {**catalog.resolved(model), **kept["fixed"], **kept["best"]["fields"]}
    assert kept["options"] == options and len(kept["trials"]) == 4
    assert kept["protocol"] == {
        "version": 2,
        "trials": 4,
        "trial_epochs": None,
        "refitted": 3,
        "refits": 3,
        "sampler": "optuna",
    }
    assert kept["ranges"] == {"regularisation": [0.0, 100.0], "alpha": [0.0, 1.0]} and kept["seeds"] == [1, 2, 3]
    (found,) = search.found(tmp_path, "cycle")
    assert found.protocol == Protocol(**kept["protocol"]) and len(found.refits) == 3
    assert found.best.fields == kept["best"]["fields"] and found.reached[0] >= found.trials[0].recall  # type: ignore


def test_what_a_search_found_stands_below_the_table_with_its_numbers_on_the_test_set(tmp_path: Path) -> None:
    kept = {
        "model": "item_knn",
        "fixed": {},
        "scored_on": "the newest 10 training sessions, held out whole",
        "trials": [
            {"fields": {"regularisation": regularisation}, "recall": recall, "mrr": recall / 2}
            for regularisation, recall in (
                (20.0, 40.0),
                (5.0, 50.0),
                (1.0, 30.0),
                (1.0, 30.0),
                (2.0, 30.0),
                (3.0, 30.0),
            )
        ],
    }
    file = tmp_path / "search/cycle/item_knn-seed0.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(kept))
    words = ["table2", "--dataset", "cycle", "--quiet", "--results", str(tmp_path), "--model", "item_knn"]
    assert main(words) == 0
    page = tmp_path / "table2.md"
    told = (
        "- Item-KNN: 5 trials by an older protocol: the best of single fits, scored on the newest 10 training "
        "sessions, held out whole; the defaults are those of that time.\n"
    )
    line = "| Item-KNN (regularisation=5.0) | 40.00 / 20.00 | 50.00 / 25.00 |"
    in_the_table = re.compile(r"\n\| Item-KNN \(regularisation=5\.0\) \|[^|]*±")

    def tabulated() -> str:
        return re.sub("[ \N{NO-BREAK SPACE}]+", " ", page.read_text())

    assert told in page.read_text() and f"{line} not run |" in tabulated()
    assert main([*words, "--set", "item_knn.regularisation=5.0"]) == 0
    assert in_the_table.search(tabulated())  # it was asked for
    assert main(words) == 0
    assert not in_the_table.search(tabulated())
    assert told in page.read_text() and f"{line} 100.00 / 50.00 |" in tabulated()
    assert main([*words, "--ties", "favour"]) == 0
    assert f"{line} 100.00 / 100.00 |" in tabulated()

    anew = {"fields": {"regularisation": 5.0}, "recalls": [44.0, 45.0, 46.0], "mrrs": [22.0] * 3}
    protocol = {"version": 2, "trials": 7, "trial_epochs": 5, "refitted": 3, "refits": 3}
    file.write_text(json.dumps({**kept, "protocol": protocol, "refits": [anew]}))
    assert main(words) == 0
    assert (
        "- Item-KNN: 7 trials, a network in each for at most 5 epochs; the best 3 fitted anew with 3 seeds each, "
        "scored on the newest 10 training sessions, held out whole.\n" in page.read_text()
    )
    assert f"{line} 45.00 / 22.00 | 100.00 / 50.00 |" in tabulated()
    file.write_text(json.dumps({**kept, "trials": kept["trials"][:1]}))
    assert main(words) == 0
    assert "| Item-KNN | 40.00 / 20.00 | the defaults |" in tabulated()
    failed = {"fields": {"regularisation": 20.0}, "recall": None, "mrr": None, "why": "it diverged"}
    file.write_text(json.dumps({**kept, "trials": [failed, *kept["trials"][1:]]}))
    assert main(words) == 0
    assert "| Item-KNN (regularisation=5.0) | failed | 50.00 / 25.00 |" in tabulated()
    for broken in (
        {"trials": [{"fields": {"gone": 1}, "recall": 60.0, "mrr": 30.0}]},
        {"trials": []},
        {"protocol": protocol, "refits": [{**anew, "fields": {"regularisation": 6.0}}]},
        {"protocol": {**protocol, "trials": "many"}, "refits": [anew]},
        {"protocol": protocol, "refits": [{**anew, "recalls": [101.0] * 3}]},
        {"protocol": protocol, "refits": [{**anew, "recalls": []}]},
    ):
        file.write_text(json.dumps({**kept, **broken}))
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


def test_a_default_outside_its_own_range_and_no_epochs_at_all_are_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--dataset", "cycle", "--results", str(tmp_path)]
    assert main(["search", "narm", *words, "--trial-epochs", "0"]) == 2
    assert "'0' is not a number from 1 to" in capsys.readouterr().err
    (tmp_path / "level.py").write_text(OUTSIDE)
    assert main(["search", str(tmp_path / "level.py"), *words]) == 2
    assert "level.share: its default 0.001 is not among what a search may try" in capsys.readouterr().err


OUTSIDE = """
from dataclasses import dataclass

from reproduce import Recommender, setting


@dataclass(kw_only=True)
class Level(Recommender):
    share: float = setting(0.001, search=(0.01, 0.1))

    def fit(self, train, *, seed, device, journal):
        raise AssertionError

    def score(self, prefixes):
        raise AssertionError
"""
