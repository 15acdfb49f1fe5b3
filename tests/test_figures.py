"""Figures: the same bytes when drawn again, and one colour for a model wherever it is drawn."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np

from reproduce.paper import controls, rows
from reproduce.reports import figures, figures_heat

ROOT = Path(__file__).resolve().parent.parent


def draw() -> dict[str, bytes]:
    bars = [figures.Bar("POP", 1.0, 1.5), figures.Bar("NARM", None, 2.0), figures.Bar("x", -1.0, None, (-2.0, 0.5))]
    bars.append(figures.Bar("y", 0.2, None, (-0.4, 0.8), inner=(-0.3, 0.7)))
    drawn = figures.bars("bars", [figures.Panel("a", "b", bars, near=0.5)] * 3)
    line = figures.Line("NARM", [1, 2], [3.0, 4.0], [(2.0, 4.0), (3.0, 5.0)])
    drawn |= figures.lines("lines", [figures.Panel("a", "b", [line], "c")])
    faint = figures.Line("POP", [1, 2, 4], [3.0, 4.0, 5.0], [(2.0, 4.0)] * 3, faint=True, apart=True)
    panel = figures.Panel("a", "b", [line, faint], "c", {1: "1", 4: ">19"})
    drawn |= figures.curves("curves", panel, [panel] * 5)
    mark = np.array([False, True])
    return drawn | figures_heat.heat_map("map", [figures_heat.Session("0", np.array([0.25, 0.75], np.float16), mark)])


def test_a_figure_drawn_twice_has_the_same_bytes() -> None:
    first, second = draw(), draw()
    assert sorted(first) == [f"{name}.{kind}" for name in ("bars", "curves", "lines", "map") for kind in ("png", "svg")]
    assert first == second


def test_a_figure_tells_no_date_and_no_program() -> None:
    for name, content in draw().items():
        told = [word for word in (b"dc:date", b"Software", b"tEXt") if word in content]
        assert told == [], name


def test_every_model_of_the_tables_has_a_colour_of_its_own() -> None:
    labels = [row.label for row in (*rows.ROWS, *controls.ROWS)]
    assert set(labels) <= set(figures.COLOURS)
    assert len({figures.COLOURS[label] for label in labels}) == len(labels)
    assert figures.OTHER not in figures.COLOURS.values()


def test_a_row_with_other_fields_keeps_its_models_colour() -> None:
    assert figures.colour("NARM (hidden=50)") == figures.colour("NARM") != figures.colour("nobody's")
    assert figures.marker("NARM (hidden=50)") == figures.marker("NARM") == "s"
    assert figures.colour("GRU4Rec (2018)") != figures.colour("GRU4Rec")


def test_a_model_that_is_not_named_here_has_a_colour_and_a_marker_that_no_other_model_has() -> None:
    colour, marker = figures.colour("Mine"), figures.marker("Mine")
    assert (colour, marker) == (figures.colour("Mine (k=3)"), figures.marker("Mine (k=3)"))
    assert re.fullmatch("#[0-9A-F]{6}", colour) and colour not in {*figures.COLOURS.values(), figures.OTHER}
    assert marker not in figures.MARKERS.values()
    assert len({figures.colour(f"model {i}") for i in range(50)}) > 45
    line = figures.Line("Mine", [1, 2], [3.0, 4.0], None, colour, marker)
    assert colour.lower().encode() in figures.lines("x", [figures.Panel("a", "b", [line])])["x.svg"]


def test_an_svg_names_the_matplotlib_that_drew_it() -> None:
    assert figures.drawn_with(draw()["bars.svg"]) == figures.version()
    assert figures.drawn_with(b"<svg/>") == ""


def test_only_figures_import_matplotlib() -> None:
    importers = set()
    for file in [*(ROOT / "reproduce").rglob("*.py"), *(ROOT / "baselines").glob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.partition(".")[0] == "matplotlib" for name in names):
                importers.add(file.name)
    assert importers == {"figures.py", "figures_dots.py", "figures_heat.py", "figures_matrix.py"}
