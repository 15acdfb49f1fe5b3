"""README.md and docs/: the numbers are those of the committed records, the links resolve, the commands parse."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reproduce import cli
from reproduce.__main__ import main
from reproduce.paper import controls, numbers
from reproduce.paper.rows import ROWS
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import Result, load

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "results/findings.md"]
LINKING = [*PAGES[:-1], ROOT / "WITHSTANDS.md", *sorted((ROOT / "results").glob("*.md"))]


def runs(dataset: str, model: str) -> list[Result]:
    """Load the committed records of a model with its row's settings, one per seed."""
    found: list[Result] = []
    row = next(row for row in (*ROWS, *controls.ROWS) if row.model == model).at(dataset)
    for seed in range(10):
        result = load(Experiment.of(dataset, model, row.fields, seed), ROOT / "results")
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


def cells(page: str, title: str, row: str) -> list[str]:
    """The cells of a row of a committed page, below the heading of a data set; `check` holds pages to their records."""
    section = (ROOT / "results" / page).read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    line = next(line for line in section.splitlines() if re.match(rf"\| {re.escape(row)} +\|", line))
    return [" ".join(cell.split()) for cell in line.strip("|").split("|")]  # without no-break spaces


def turned(difference: str) -> str:
    """A difference with its interval, seen from the other row: +1.00 (−2.00 to +3.00) is −1.00 (−3.00 to +2.00)."""
    value, low, high = re.findall(r"[+−]?[\d.]+", difference.translate(str.maketrans("+−", "−+")))
    return f"{value} ({high} to {low})"


def findings() -> str:
    """The README's three findings, from the committed records and pages."""
    yoochoose, in_file_order, by_time = (
        mean(dataset, "narm") for dataset in ("yoochoose1_64", "diginetica-file-order", "diginetica")
    )
    published = {name: paper("NARM", name) for name in ("yoochoose1_64", "diginetica-file-order")}
    count = {1: "one run", 5: "five runs"}
    seeds = [count[len(runs(name, "narm"))] for name in published]
    ahead = {
        title: cells("significance.md", title, "V-SKNN")[2].strip("*≈ ")
        for title in ("YOOCHOOSE 1/64", "DIGINETICA, time order", "DIGINETICA, file order")
    }
    later = [cell.strip("*≈ ") for cell in cells("significance.md", "DIGINETICA, file order", "GRU4Rec (2018)")[2:]]
    sasrec = cells("significance.md", "YOOCHOOSE 1/64", "SASRec (softmax)")[2].strip("*≈ ")
    signs = [difference[0] for difference in ahead.values()]
    short, long = (cells("lengths.md", "YOOCHOOSE 1/64", clicks)[4] for clicks in ("up to 19", ">19"))
    assert [*signs, short[0], long[0], sasrec[0]] == ["+", "+", "−", "+", "−", "+"]
    for title, dataset in zip(ahead, ("yoochoose1_64", "diginetica", "diginetica-file-order"), strict=True):
        difference = mean(dataset, "vsknn")[0] - mean(dataset, "narm")[0]
        assert float(ahead[title].split()[0].replace("−", "-")) == pytest.approx(difference, abs=0.0051)
    return f"""\
1. **NARM's numbers are reproduced.** Recall@20 / MRR@20 are {pair(yoochoose)} on YOOCHOOSE 1/64
   (paper {pair(published["yoochoose1_64"])}; {seeds[0]}) and {pair(in_file_order)} on DIGINETICA in
   file order, which is reconstructed (paper {pair(published["diginetica-file-order"])}; {seeds[1]}).
2. **62.58 and 49.70 are both right.** Later papers report 49.70 for NARM on DIGINETICA because they sort the clicks of
   a session by time. The NARM paper keeps the order of the raw file. With the same sessions and code, Recall@20 is
   {in_file_order[0]:.2f} in file order and {by_time[0]:.2f} in time order ([audit](results/audit.md)).
3. **Who wins depends on the data.** V-SKNN, a neighbour method without training, differs from NARM in Recall@20 by
   {ahead["YOOCHOOSE 1/64"]} on YOOCHOOSE 1/64, by {ahead["DIGINETICA, time order"]} on DIGINETICA in time
   order and by {ahead["DIGINETICA, file order"]} in file order ([significance](results/significance.md));
   there GRU4Rec (2018) differs by {later[0]} in Recall@20 and by {later[1]} in MRR@20.
   On YOOCHOOSE 1/64 SASRec (softmax) differs by {sasrec} in Recall@20. There only long prefixes
   put V-SKNN ahead: up to 19 clicks NARM leads it, {short}; beyond the 19 that NARM reads, V-SKNN
   leads, {turned(long)} ([lengths](results/lengths.md)). In brackets: 95 % intervals; those of
   SASRec and GRU4Rec, and all on DIGINETICA, are provisional, because they rest on one run."""


def rows() -> str:
    """The README's table: the paper's eight rows on both of its data sets."""
    lines = [
        "| model | YOOCHOOSE 1/64: paper | predicted | ours | DIGINETICA, file order: paper | predicted | ours |",
        "|:--|--:|--:|--:|--:|--:|--:|",
    ]
    for row in ROWS:
        line = [row.label]
        for dataset, title in (
            ("yoochoose1_64", "YOOCHOOSE 1/64"),
            ("diginetica-file-order", "DIGINETICA, file order"),
        ):
            _, published, predicted, *_ = cells("table2.md", title, row.label)
            assert published == pair(paper(row.label, dataset))
            line += [published, predicted, pair(mean(dataset, row.model))]
        lines.append(f"| {' | '.join(line)} |")
    return "\n".join(lines)


def leaders() -> str:
    """The table of results/findings.md: NARM's numbers, and two models without training that differ from it."""
    lines = [
        "| data set | NARM | V-SKNN − NARM: Recall@20 | MRR@20 | SR − NARM: Recall@20 | MRR@20 |",
        "|:--|--:|--:|--:|--:|--:|",
    ]
    for dataset, title in (
        ("yoochoose1_64", "YOOCHOOSE 1/64"),
        ("diginetica-file-order", "DIGINETICA, file order"),
        ("diginetica", "DIGINETICA, time order"),
        ("eshop", "E-shop"),
    ):
        differences = [
            cell.strip("*≈ ") for row in ("V-SKNN", "SR") for cell in cells("significance.md", title, row)[2:]
        ]
        lines.append(f"| {' | '.join([title, pair(mean(dataset, 'narm')), *differences])} |")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("page", "mark", "due"),
    [("README.md", "findings", findings), ("README.md", "rows", rows), ("results/findings.md", "leaders", leaders)],
)
def test_the_numbers_are_those_of_the_records(page: str, mark: str, due: Callable[[], str]) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert text.split(f"<!-- {mark} -->\n")[1].split("\n<!-- end -->")[0] == due()


@pytest.mark.parametrize("page", LINKING, ids=lambda page: f"{page.parent.name}-{page.name}")
def test_every_relative_link_resolves(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    absent = [name for name in targets if "://" not in name and not (page.parent / name).exists()]
    assert not absent


@pytest.mark.parametrize("page", PAGES[:-1], ids=lambda page: page.name)
def test_every_command_is_one_that_the_command_line_takes(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL)
    lines = [line.partition("python -m reproduce ")[2] for block in blocks for line in block.splitlines()]
    for line in filter(None, lines):
        cli.parser().parse_args(shlex.split(line, comments=True))  # exits with 2 if it does not


def words(page: Path) -> int:
    """Count the words of prose and table cells; what links lead to is not counted."""
    text = re.sub(r"<!--.*?-->|\]\([^)]*\)", "", page.read_text(encoding="utf-8"))
    return len(re.findall(r"[^\s|]*\w[^\s|]*", text))


def test_the_pages_are_short() -> None:
    budget = {"README.md": 1_500, "findings.md": 1_800}
    assert not {page.name: words(page) for page in PAGES if words(page) > budget.get(page.name, 900)}


def test_the_commands_of_the_docs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the synthetic log, without training: method.md's as they stand, the others with --dry-run."""
    text = (ROOT / "docs/own-models.md").read_text(encoding="utf-8")
    (model,) = [block for block in text.split("```python\n") if block.startswith("# mean_click.py")]
    (tmp_path / "mean_click.py").write_text(model.partition("```")[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    lines = [
        line.partition("python -m reproduce ")[2]
        for name in ("method", "cluster-and-gpu", "own-models")
        for line in (ROOT / f"docs/{name}.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("python -m reproduce ") and "--dataset synthetic" in line
    ]
    commands = [shlex.split(line) for line in lines]
    assert [command[0] for command in commands] == ["table1", "audit", "table2", "table2", "search"]
    for command in commands[:-1]:  # a search has no --dry-run
        trains = command[0] == "table2" and "--dry-run" not in command
        assert main([*command, *["--dry-run"] * trains]) == 0
