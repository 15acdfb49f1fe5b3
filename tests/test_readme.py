"""README.md and docs/: the numbers are those of the committed records, the links resolve, the commands parse."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reproduce import cli
from reproduce.paper import controls, numbers
from reproduce.paper.rows import ROWS
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import Result, load

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "results/findings.md"]
TRUNCATION = 19  # clicks of a prefix that NARM reads


def runs(dataset: str, model: str) -> list[Result]:
    """Load the committed records of a model with its row's settings, one per seed."""
    found, params = [], controls.VSKNN.get(dataset, {}) if model == "vsknn" else {}
    for seed in range(10):
        result = load(Experiment(dataset, model, params, seed), ROOT / "results")
        if result is not None:
            found.append(result)
    assert found, f"no record of {model} on {dataset}"
    return found


def mean(dataset: str, model: str) -> tuple[float, float]:
    """Return Recall@20 and MRR@20, the means over seeds."""
    found = runs(dataset, model)
    return float(np.mean([run.recall() for run in found])), float(np.mean([run.mrr() for run in found]))


def pair(values: tuple[float, float]) -> str:
    return f"{values[0]:.2f} / {values[1]:.2f}"


def paper(label: str, dataset: str) -> tuple[float, float]:
    score = numbers.TABLE3[label][numbers.PAPER_COLUMN[dataset]]
    return score.recall, score.mrr


def recall_by_length(model: str, *, longer: bool) -> float:
    """Recall@20 on the prefixes of YOOCHOOSE 1/64 that are longer than NARM reads, or on the others."""
    hits = [
        np.mean((run.greater + run.equal < 20)[(run.length > TRUNCATION) == longer])
        for run in runs("yoochoose1_64", model)
    ]
    return 100 * float(np.mean(hits))


def findings() -> str:
    """The README's three findings, from the committed records."""
    yoochoose, in_file_order, by_time = (
        mean(dataset, "narm") for dataset in ("yoochoose1_64", "diginetica-file-order", "diginetica")
    )
    published = {name: paper("NARM", name) for name in ("yoochoose1_64", "diginetica-file-order")}
    count = {1: "one run", 5: "five runs"}
    seeds = [count[len(runs(name, "narm"))] for name in published]
    ahead = mean("yoochoose1_64", "vsknn")[0] - yoochoose[0]
    short, long = (
        recall_by_length("narm", longer=longer) - recall_by_length("vsknn", longer=longer) for longer in (False, True)
    )
    assert ahead > 0 and short > 0 > long
    return f"""\
1. **NARM's numbers are reproduced.** Recall@20 / MRR@20 are {pair(yoochoose)} on YOOCHOOSE 1/64
   (paper {pair(published["yoochoose1_64"])}; {seeds[0]}) and {pair(in_file_order)} on DIGINETICA in
   file order, which is reconstructed (paper {pair(published["diginetica-file-order"])}; {seeds[1]}).
2. **62.58 and 49.70 are both right.** Later papers report 49.70 for NARM on DIGINETICA because they sort the clicks of
   a session by time. The NARM paper keeps the order of the raw file. With the same sessions and code, Recall@20 is
   {in_file_order[0]:.2f} in file order and {by_time[0]:.2f} in time order ([audit](results/audit.md)).
3. **Long sessions decide who wins.** On YOOCHOOSE 1/64, V-SKNN, a neighbour method without training, is {ahead:.1f}
   points of Recall@20 above NARM. On prefixes of up to {TRUNCATION} clicks NARM is {short:.1f} ahead. On longer ones,
   of which it reads the first {TRUNCATION} clicks, it is {-long:.1f} behind ([lengths](results/lengths.md))."""


def rows() -> str:
    """The README's table: the paper's eight rows on both of its data sets, from the committed records."""
    lines = [
        "| model | YOOCHOOSE 1/64: paper | ours | DIGINETICA, file order: paper | ours |",
        "|:--|--:|--:|--:|--:|",
    ]
    for row in ROWS:
        cells = [
            pair(values)
            for name in ("yoochoose1_64", "diginetica-file-order")
            for values in (paper(row.label, name), mean(name, row.model))
        ]
        lines.append(f"| {' | '.join([row.label, *cells])} |")
    return "\n".join(lines)


@pytest.mark.parametrize(("mark", "due"), [("findings", findings), ("rows", rows)])
def test_the_readmes_numbers_are_those_of_the_records(mark: str, due: Callable[[], str]) -> None:
    assert README.split(f"<!-- {mark} -->\n")[1].split("\n<!-- end -->")[0] == due()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_resolves(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    absent = [name for name in targets if "://" not in name and not (page.parent / name).exists()]
    assert targets or page.parent.name == "docs"
    assert not absent


@pytest.mark.parametrize("page", PAGES[:-1], ids=lambda page: page.name)
def test_every_command_is_one_that_the_command_line_takes(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL)
    lines = [line.partition("python -m reproduce ")[2] for block in blocks for line in block.splitlines()]
    for line in filter(None, lines):
        cli.parser().parse_args(shlex.split(line, comments=True))  # exits with 2 if it does not


def test_the_pages_are_short() -> None:
    budget = {page.name: 1_500 if page.name == "README.md" else 900 for page in PAGES[:-1]}
    words = {page.name: len(re.findall(r"[^\s|]*\w[^\s|]*", page.read_text(encoding="utf-8"))) for page in PAGES[:-1]}
    assert not {name: count for name, count in words.items() if count > budget[name]}
