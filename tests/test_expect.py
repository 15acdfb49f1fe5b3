"""What a published number should be: the verdict's side, and the cause that explains another number."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from reproduce.__main__ import main
from reproduce.expect import Expectation, explaining, verdict
from reproduce.runs.experiment import Experiment
from reproduce.runs.runner import run

RECALL = Expectation("Recall@20", published=62.58, ours=49.70, half=0.5, noise=0.8)
MRR = Expectation("MRR@20", published=27.35, ours=16.17, half=0.4, noise=0.6)
ORDER = {"the clicks in the order of the file": [62.60, 27.30]}
TIES = {"ties in favour of the target": [49.72, 16.20]}


@pytest.mark.parametrize(
    ("published", "side"), [(49.70, "within noise"), (50.49, "within noise"), (50.51, "above"), (48.89, "below")]
)
def test_a_number_is_judged_by_the_noise_of_the_difference(published: float, side: str) -> None:
    assert Expectation("Recall@20", published, ours=49.70, half=0.5, noise=0.8).side == side


def test_the_cause_that_brings_every_metric_within_noise_is_named() -> None:
    assert verdict([RECALL, MRR], {**TIES, **ORDER}) == (
        "Above ours: Recall@20 +12.88 (noise 0.8), MRR@20 +11.18 (noise 0.6). "
        "Explained by the clicks in the order of the file: ours is 62.60 / 27.30 then."
    )


def test_the_nearest_of_several_causes_comes_first_and_one_that_fits_one_metric_only_is_none() -> None:
    causes = {"far": [62.0, 27.35], "half": [62.58, 16.17], "near": [62.5, 27.35]}
    assert explaining([RECALL, MRR], causes) == ["near", "far"]


def test_without_a_cause_the_usual_ones_of_that_side_are_named() -> None:
    low = Expectation("Recall@20", published=48.0, ours=49.70, half=0.5, noise=0.8)
    assert verdict([low], {"ties in favour of the target": [49.72]}) == (
        "Below ours: Recall@20 -1.70 (noise 0.8). No cause on record explains it; the usual ones are an undertrained "
        "run, another split, or a tie rule or cut-off that costs hits."
    )
    assert "the usual ones are an evaluation protocol that gives hits away" in verdict([RECALL], {})


def test_metrics_on_different_sides_are_told_apart() -> None:
    same = Expectation("MRR@20", published=16.2, ours=16.17, half=0.4, noise=0.6)
    low = Expectation("MRR@20", published=14.17, ours=16.17, half=0.4, noise=0.6)
    assert verdict([RECALL, same], {}).startswith("Above ours: Recall@20 +12.88 (noise 0.8), MRR@20 +0.03 (noise 0.6).")
    assert verdict([RECALL, low], {}).startswith("Above and below ours: Recall@20 +12.88 (noise 0.8), MRR@20 -2.00")
    assert verdict([same], ORDER) == "Within noise: MRR@20 +0.03 (noise 0.6)."


# From stored records: the first three of the reference, the others of a log made here.


def told(capsys: pytest.CaptureFixture[str], words: str) -> tuple[int, str]:
    status = main(["expect", *words.split()])
    return status, " ".join(capsys.readouterr().out.split())


def test_the_papers_number_on_yoochoose_is_within_noise(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = told(capsys, "narm --dataset yoochoose1_64 68.32 28.76")
    assert status == 0 and "Within noise: Recall@20 -0." in text


def test_the_papers_number_on_diginetica_by_time_is_explained_by_the_order_of_the_clicks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, text = told(capsys, "narm --dataset diginetica 62.58 27.35")
    assert status == 4 and "Explained by the clicks of a session in the order of the raw file, not of time" in text


def test_a_wrong_number_of_gru4rec_is_below(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = told(capsys, "gru4rec --dataset yoochoose1_64 57.48")
    assert status == 4 and "Below ours: Recall@20 -" in text


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    run(Experiment.of("cycle", "item_knn"), data=".", results=folder, device="cpu")
    return folder


def test_ours_and_the_causes_are_what_the_ranks_give(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ranks = run(Experiment.of("cycle", "item_knn"), data=".", results=results).frame()
    last = ranks.groupby("session")["length"].transform("max") == ranks["length"]
    worst, best = ranks["rank"], ranks["greater"] + 1
    words = f"item_knn --dataset cycle 10 --metric recall@2 --json --results {results}"
    status, text = told(capsys, words)
    answer = json.loads(text)
    assert status == 4 and answer["verdict"].startswith("Below ours")
    assert answer["metrics"][0]["ours"] == pytest.approx(100 * np.mean(worst <= 2))
    values = {one["cause"]: one["values"][0] for one in answer["causes"]}
    assert values["ties in favour"] == pytest.approx(100 * np.mean(best <= 2))
    assert values["hits at a rank below the cut-off, not up to it"] == pytest.approx(100 * np.mean(worst < 2))
    assert values["a cut-off of 5"] == pytest.approx(100 * np.mean(worst <= 5))
    assert values["only the last click of each session"] == pytest.approx(100 * np.mean(worst[last] <= 2))
    answer = json.loads(told(capsys, f"{words} --protocol last --ties favour")[1])
    assert answer["metrics"][0]["ours"] == pytest.approx(100 * np.mean(best[last] <= 2))


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ("pop --dataset cycle 101", 2, "101 is not per cent"),
        ("pop --dataset cycle nan", 2, "nan is not per cent"),
        ("pop --dataset cycle 1 2 3", 2, "3 numbers for recall@20 mrr@20; give one for each"),
        ("narn --dataset cycle 1", 2, "unknown model"),
        ("s_pop --dataset cycle 1", 3, "no record of S-POP on cycle; python -m reproduce table2"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    words: str, status: int, message: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["expect", *words.split(), "--results", str(results)]) == status
    assert message in capsys.readouterr().err


def test_the_command_that_makes_a_record_can_be_pasted_for_own_data_and_a_row_with_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    clicks = [f"{visit},{(visit + click) % 9},{60 * visit + click}" for visit in range(60) for click in range(4)]
    Path("my clicks.csv").write_text("\n".join(["session,item,time", *clicks]))
    words = ["my clicks.csv", "--test-share", "0.2", "--results", "r"]
    expect = ["expect", "item_knn", "50", "--set", "item_knn.neighbours=3", "--dataset", *words]
    assert main(expect) == 3
    command = capsys.readouterr().err.partition("python -m reproduce ")[2].removesuffix(" makes one\n")
    assert main([*shlex.split(command), "--quiet"]) == 0
    assert main(expect) in (0, 4)


MINE = """
from dataclasses import dataclass

import torch

from reproduce import Recommender


@dataclass(kw_only=True)
class Mine(Recommender):
    def fit(self, train, *, seed, device, journal):
        self.scores_ = torch.rand(train.n_items, generator=torch.Generator().manual_seed(seed))

    def score(self, prefixes):
        return self.scores_.repeat(len(prefixes), 1)
"""


def test_a_row_whose_noise_is_not_known_is_not_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, words = tmp_path / "mine.py", ["--dataset", "cycle", "--results", str(tmp_path / "results")]
    file.write_text(MINE)
    assert main(["table2", *words, "--model", str(file), "--quiet"]) == 0
    assert main(["expect", str(file), "50", *words]) == 3
    assert "not judged: how far another seed moves it is not known; run several" in capsys.readouterr().err


def test_a_single_test_session_judges_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "clicks.csv"
    rows = [f"s{s},{(s + k) % 6},{(s == 9) * 200_000 + s * 60 + k}" for s in range(10) for k in range(3)]
    log.write_text("\n".join(["session_id,item_id,timestamp", *rows]) + "\n")
    words = ["--dataset", str(log), "--results", str(tmp_path / "results")]
    with pytest.warns(UserWarning, match="the test is a single session"):
        assert main(["table2", *words, "--model", "pop", "--quiet"]) == 0
        assert main(["expect", "pop", "50", *words]) == 3
    assert "not judged: too few test sessions" in capsys.readouterr().err


def test_an_own_model_runs_in_a_process_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "boom.py").write_text("import os\nos._exit(0)\n")
    for words in (
        ["expect", str(tmp_path / "boom.py"), "--dataset", "cycle", "50"],
        ["bench", "--model", str(tmp_path / "boom.py")],
    ):
        assert main(words) != 0
        assert "boom" in capsys.readouterr().err
