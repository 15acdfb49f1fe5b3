"""Mistakes in a user's own model are told once, by the suite rather than torch, and alike in contract and table2."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from reproduce import catalog
from reproduce.__main__ import main
from reproduce.errors import ModelError
from reproduce.evaluation.ranking import rank_all
from reproduce.fitting.item_softmax import item_softmax
from reproduce.fitting.recommender import Journal
from reproduce.reading.sessions import Sessions

HERE = Path(__file__).resolve().parent.parent
NEURAL = """
from dataclasses import dataclass

from torch import nn

from reproduce import Neural, setting


@dataclass(kw_only=True)
class Mean(Neural):
    epochs: int = setting(1, low=1)
    width: int = setting(8, low=1)
    learns_order = False

    def network(self, n_items):
        return nn.Embedding(n_items, self.width)

    def loss(self, network, batch):
        return nn.functional.cross_entropy(self.scores(network, batch), batch.labels)

    def scores(self, network, batch):
        clicks = network(batch.items) * batch.mask[..., None]
        return clicks.sum(1) / batch.lengths[:, None] @ network.weight.T
"""
LOSS = "return nn.functional.cross_entropy(self.scores(network, batch), batch.labels)"


def write(folder: Path, text: str) -> str:
    file = folder / "mine.py"
    file.write_text(text)
    return str(file)


def table2(tmp_path: Path, *words: str) -> int:
    return main(["table2", "--dataset", "cycle", "--quiet", "--results", str(tmp_path / "results"), *words])


def test_the_model_without_a_mistake_keeps_the_contract(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract", write(tmp_path, NEURAL)]) == 0
    assert "mine keeps 9 of 9 rules" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (LOSS, LOSS[:-1] + ", reduction='none')", "mine: loss must return the mean loss of the batch, a tensor of"),
        (LOSS, LOSS + ".item()", "mine: loss must return a tensor of shape (), not a float"),
        (LOSS, LOSS + ".detach()", "mine: loss does not depend on the network's weights"),
        (LOSS, "raise ValueError('no')", "raised ValueError: no (mine.py:19)"),
        (
            LOSS,
            "from reproduce.fitting.item_softmax import item_softmax\n"
            "        return item_softmax(network(batch.items)[:, 0], network.weight[:3], batch.labels)",
            "is outside the catalogue, items 0 to 2 (mine.py:",
        ),
        ("return nn.Embedding(n_items, self.width)", "return None", "mine: network must return a torch.nn.Module"),
        (
            "@ network.weight.T",
            "@ network.weight.T[:, 1:]",
            "mine: score must return a tensor of shape (2, ",
        ),
    ],
)
def test_a_mistake_reads_the_same_in_contract_and_in_table2_and_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, told: str
) -> None:
    assert before in NEURAL
    file = write(tmp_path, NEURAL.replace(before, after))
    codes = main(["contract", file]), table2(tmp_path, "--model", file)
    contract, table = capsys.readouterr().err.split("cycle/mine-seed0: ")
    assert codes == (1, 1)
    first, *rest = contract.removeprefix("reproduce: ").splitlines()
    assert first.startswith("mine: ") and told in first  # of several models, each line names its own
    here, there = (re.sub(r"\d+", "n", line.strip().removeprefix("mine: ")) for line in (first, table))
    assert here == there
    assert rest == ["mine must fit and score before the 9 rules can be checked"]


def test_what_several_rules_meet_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = NEURAL.replace("    def scores", "    def score(self, prefixes):\n"
        "        if len(prefixes) < 2:\n            raise ValueError('too few')\n"
        "        return super().score(prefixes)\n\n    def scores")  # fmt: skip
    assert main(["contract", write(tmp_path, text)]) == 1
    told = capsys.readouterr().err.splitlines()
    assert sum("too few" in line for line in told) == 1
    assert "a batch of one and an empty batch work: raised ValueError: too few (mine.py:23) (met by 2 rules)" in told[0]
    assert told[-1] == "mine keeps 7 of 9 rules"


@pytest.mark.parametrize("command", ["contract", "table2 --dataset synthetic --jobs 2"])
def test_traceback_shows_where_once(command: str, tmp_path: Path) -> None:
    file = write(tmp_path, NEURAL.replace(LOSS, "return self.deeper()\n\n    def deeper(self):\n        1 / 0"))
    first, *words = command.split()
    words += ["--results", str(tmp_path / "r")] if words else []
    model = [file] if first == "contract" else ["--model", file]
    for more in ([], ["--traceback"]):
        line = [sys.executable, "-m", "reproduce", first, *model, *words, *more]
        told = subprocess.run(line, cwd=HERE, capture_output=True, text=True, check=False).stderr
        assert told.count("Traceback (most recent call last)") == len(more)
        assert told.count("return self.deeper()") == len(more) and "division by zero" in told


def test_a_target_outside_the_catalogue_is_named() -> None:
    prefixes = Sessions.of([[0], [1]], 3)
    with pytest.raises(ModelError, match="pop: a target is outside the catalogue, items 0 to 2"):
        rank_all(catalog.make_recommender("pop"), prefixes, np.array([0, 3]))


def test_item_softmax_names_shapes_that_do_not_fit() -> None:
    queries, items, labels = torch.zeros(4, 5), torch.zeros(7, 5), torch.zeros(4, dtype=torch.int64)
    item_softmax(queries, items, labels)
    with pytest.raises(ValueError, match=r"not \(4, 5\), \(5, 7\), \(4,\)"):
        item_softmax(queries, items.T, labels)
    with pytest.raises(ValueError, match=r"not \(4, 5\), \(7, 5\), \(4,\) and \(4,\)"):
        item_softmax(queries, items, labels, torch.zeros(4))
    with pytest.raises(ValueError, match="label 7 is outside the catalogue, items 0 to 6"):
        item_softmax(queries, items, labels + 7)
    with pytest.raises(ValueError, match="label -1 is outside"):
        item_softmax(queries, items, labels - 1)


@pytest.mark.parametrize("name", ["pop", "item_knn", "bpr_mf", "narm"])
def test_fit_may_be_called_with_train_alone(name: str) -> None:
    train = Sessions.of([[0, 1, 2], [1, 2, 0]] * 20)
    fields = {"epochs": 1} if name in ("bpr_mf", "narm") else {}
    alone, told = catalog.make_recommender(name, fields), catalog.make_recommender(name, fields)
    alone.fit(train)  # type: ignore[call-arg]
    told.fit(train, seed=0, device=torch.device("cpu"), journal=Journal())
    assert torch.equal(alone.score(train), told.score(train))


def test_an_own_model_too_may_be_fitted_with_train_alone(tmp_path: Path) -> None:
    model = catalog.make_recommender(write(tmp_path, NEURAL))
    train = Sessions.of([[0, 1, 2], [1, 2, 0]] * 20)
    model.fit(train)  # type: ignore[call-arg]
    assert model.score(train).shape == (40, 3)
