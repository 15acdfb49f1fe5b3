"""Figures: the same bytes when drawn again, and one colour for a model wherever it is drawn."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np

from reproduce.paper import controls, rows
from reproduce.reports import figures

ROOT = Path(__file__).resolve().parent.parent


def draw(folder: Path) -> dict[str, bytes]:
    bars = [figures.Bar("POP", 1.0, 1.5), figures.Bar("NARM", None, 2.0), figures.Bar("x", -1.0, None, (-2.0, 0.5))]
    figures.bars(folder, "bars", [figures.Panel("a", "b", bars)] * 3)
    line = figures.Line("NARM", [1, 2], [3.0, 4.0], [(2.0, 4.0), (3.0, 5.0)])
    figures.lines(folder, "lines", [figures.Panel("a", "b", [line], "c")])
    mark = np.array([False, True])
    figures.heat_map(folder, "map", [figures.Session("0", np.array([0.25, 0.75], np.float16), mark)])
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_a_figure_drawn_twice_has_the_same_bytes(tmp_path: Path) -> None:
    first, second = draw(tmp_path / "one"), draw(tmp_path / "two")
    assert sorted(first) == ["bars.png", "bars.svg", "lines.png", "lines.svg", "map.png", "map.svg"]
    assert first == second


def test_a_figure_tells_no_date_and_no_program(tmp_path: Path) -> None:
    for name, content in draw(tmp_path).items():
        told = [word for word in (b"dc:date", b"Software", b"tEXt") if word in content]
        assert told == [], name


def test_every_model_of_the_tables_has_a_colour_of_its_own() -> None:
    labels = [row.label for row in (*rows.ROWS, *controls.ROWS)]
    assert set(labels) <= set(figures.COLOURS)
    assert len({figures.COLOURS[label] for label in labels}) == len(labels)
    assert figures.OTHER not in figures.COLOURS.values()


def test_a_row_with_other_fields_keeps_its_models_colour() -> None:
    assert figures.colour("NARM (hidden=50)") == figures.colour("NARM") != figures.colour("nobody's")


def test_only_figures_imports_matplotlib() -> None:
    importers = set()
    for file in [*(ROOT / "reproduce").rglob("*.py"), *(ROOT / "baselines").glob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.partition(".")[0] == "matplotlib" for name in names):
                importers.add(file.name)
    assert importers == {"figures.py"}
