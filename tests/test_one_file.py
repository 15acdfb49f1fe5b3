"""A model and a data set are each one file, a page is one and its lines in cli.py; all else follows by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent.parent

MODEL = """
from dataclasses import dataclass
from typing import ClassVar

import torch

from reproduce.fitting.recommender import Recommender, setting


@dataclass(kw_only=True)
class LastItem(Recommender):
    name: ClassVar[str] = "last_item"
    label: ClassVar[str] = "Last item"
    learns_order: ClassVar[bool] = False

    weight: float = setting(1.5, low=0.0, note="of the last click")

    def fit(self, train, *, seed, device, journal):
        self.device_ = device

    def score(self, prefixes):
        scores = torch.zeros(len(prefixes), prefixes.n_items)
        scores[torch.arange(len(prefixes)), torch.as_tensor(prefixes.last)] = self.weight
        return scores.to(self.device_)
"""

DATASET = """
import numpy as np

from reproduce.reading.preprocessing import to_sessions
from reproduce.reading.sessions import Provenance, Split, count
from reproduce.reading.source import Dataset


def read(data):
    part = np.tile([0, 0, 1, 1], 30), np.full(30, 4)
    train, test = to_sessions(part, part)
    origin = Provenance(source="made up", order="time", emulated=False, counts=count(train, test))
    return Split("pairs", train, test, origin)


DATASETS = (
    Dataset(name="pairs", title="Pairs of items", find=lambda data: [], read=read, obtain=""),
)
"""

PAGE = """
\"\"\"Counts records.\"\"\"

from reproduce.reports.document import Document
from reproduce.reports.study import Page, Study


def draw(study: Study) -> Document:
    records = study.records
    lines = [f"{name}: {[row.label for row in records.others(name)]}" for name in records.datasets()]
    return Document("Counted", lines)


PAGE = Page(draw)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the source tree with a new model, a new data set and a new page, one file each."""
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("reproduce", "baselines", "datasets"):
        shutil.copytree(HERE / name, tmp_path / name, ignore=ignored)
    shutil.copy(HERE / "tox.ini", tmp_path)
    for place, text in (
        ("baselines/last_item.py", MODEL),
        ("datasets/pairs.py", DATASET),
        ("reproduce/reports/counted.py", PAGE),
    ):
        (tmp_path / place).write_text(text.lstrip())
    cli = tmp_path / "reproduce/cli.py"
    before = "    # Other commands.\n"
    line = '    command("counted", "count records", PAGE, datasets, results, own)\n'
    assert before in cli.read_text()
    cli.write_text(cli.read_text().replace(before, line + before))
    return tmp_path


def test_a_model_a_data_set_and_a_page_each_touch_one_file_and_a_page_cli_too(checkout: Path) -> None:
    program = """
import sys
from reproduce.__main__ import main
for words in (
    "list",
    "table2 --dataset pairs --model last_item pop --quiet",
    "figure5",
    "lengths",
    "significance",
    "counted",
    "all",
):
    print("==", words, flush=True)
    assert main(words.split()) == 0, words
print("== end", main(["counted", "--dataset", "paris"]))
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=checkout,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    said = {part.partition("\n")[0].split()[0]: part.partition("\n")[2] for part in run.stdout.split("== ")[1:]}
    assert "last_item  (Last item)\n    weight = 1.5   (of the last click)" in said["list"]
    assert "    pairs                  Pairs of items" in said["list"]
    (row,) = [line for line in said["table2"].splitlines() if line.startswith("Last item")]
    assert "Pairs of items" in said["table2"] and "100.00" in row
    assert "Last item" in said["lengths"] and "POP" in said["lengths"]
    assert "POP" in said["significance"] and "Last item" in said["significance"]
    assert "- pairs: ['Last item']\n" in said["counted"]
    assert "counted       Counts records." in said["all"]
    assert "Last item 1" in " ".join(said["all"].split())
    assert run.stdout.endswith("== end 2\n") and "did you mean pairs?" in run.stderr
    drawing = (checkout / "results/local/figures/lengths-pairs.svg").read_text()
    from reproduce.reports import figures

    assert figures.look("Last item").colour in drawing
    assert figures.look("POP").colour in drawing
