"""Figures: the same bytes when drawn again, and one look for a model wherever it is drawn."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np

from reproduce.paper import later_baselines, rows
from reproduce.reports import figures
from reproduce.reports.figures import Dot, DotPanel, Dots

ROOT = Path(__file__).resolve().parent.parent


def draw() -> dict[str, bytes]:
    ours, paper = Dots("ours", figures.DARK), Dots("paper", figures.MID, "D", hollow=True)
    points = [Dot(0, 0.2, ours, (-0.5, 0.9)), Dot(1, -7.0, ours, (-8.0, -6.0)), Dot(1, 0.4, paper, offset=0.2)]
    panel = DotPanel("Recall@20", points, {2: "not run"}, values=True, reach=2.0, whole=True)
    drawn = figures.dots("dots", [["A", "B", "C"]], [[panel, panel]], label="points", band=0.5)
    lines = [figures.Line("NARM", [1, 2, 3], [3.0, 4.0, 5.0], ring=2), figures.Line("POP", [1, 2], [3.0, 5.0])]
    drawn |= figures.curves("curves", {"a": lines, "b": lines[:1]})
    drawn |= figures.by_bin("bins", lines[:1], ["1", "2", ">19"], ["9k", "8", "3"], panel, "points")
    bars = [figures.Bar("POP", 1.0, 0.2, 1.5), figures.Bar("NARM", 60.0)]
    drawn |= figures.bars("bars", {"Recall@20": bars, "MRR@20": bars})
    attended = np.array([0.25, 0.75], np.float16), np.array([False, True])
    drawn |= figures.heat_maps("map", "2 sessions", {"a": [attended, attended], "b": [attended]})
    return drawn | figures.from_last("means", {"a": [1.5, 0.9], "b": [1.2, 1.0, 0.8]})


def test_a_figure_drawn_twice_has_the_same_bytes() -> None:
    first, second = draw(), draw()
    names = ("bars", "bins", "curves", "dots", "map", "means")
    assert sorted(first) == [f"{name}.{kind}" for name in names for kind in ("png", "svg")]
    assert first == second


def test_a_figure_tells_no_date_and_no_program() -> None:
    for name, content in draw().items():
        assert not [word for word in (b"dc:date", b"Software", b"tEXt") if word in content], name


def test_every_model_of_the_tables_has_a_look_of_its_own() -> None:
    labels = [row.label for row in (*rows.ROWS, *later_baselines.ROWS)]
    looks = [figures.look(label) for label in labels]
    assert len({look.colour for look in looks}) == len({look.marker for look in looks}) == len(labels)


def test_a_row_with_other_fields_keeps_its_models_look() -> None:
    assert figures.look("NARM (hidden=50)") == figures.look("NARM") != figures.look("nobody's")
    assert figures.look("GRU4Rec (2018)") != figures.look("GRU4Rec")


def test_a_model_that_is_not_named_here_has_a_colour_that_no_other_model_has() -> None:
    mine = figures.look("Mine")
    assert mine == figures.look("Mine (k=3)")
    assert re.fullmatch("#[0-9a-f]{6}", mine.colour)
    assert mine.colour not in {look.colour for look in figures.LOOKS.values()}
    assert len({figures.look(f"model {i}").colour for i in range(50)}) > 45
    assert mine.colour.encode() in figures.curves("x", {"a": [figures.Line("Mine", [1, 2], [3.0, 4.0])]})["x.svg"]


def test_an_svg_names_the_matplotlib_that_drew_it() -> None:
    assert figures.drawn_with(draw()["bars.svg"]) == figures.version()
    assert figures.drawn_with(b"<svg/>") == ""


def test_a_value_off_the_scale_is_written_and_one_on_it_is_not() -> None:
    kind = Dots("ours", figures.DARK)

    def svg(value: float) -> bytes:
        return figures.dots("x", [["A"]], [[DotPanel("t", [Dot(0, value, kind)], reach=2.0)]])["x.svg"]

    assert b"<!-- \xe2\x88\x927.0 -->" in svg(-7.0)
    assert b"<!-- +1.7 -->" not in svg(1.7)


def test_only_figures_import_matplotlib() -> None:
    importers = set()
    for file in [*(ROOT / "reproduce").rglob("*.py"), *(ROOT / "baselines").glob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.partition(".")[0] == "matplotlib" for name in names):
                importers.add(file.name)
    assert importers == {"figures.py"}
