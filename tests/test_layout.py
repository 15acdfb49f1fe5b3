"""The layout: no module is loaded under two names, and imports go one way."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections import Counter
from pathlib import Path

import pytest

import reproduce
from reproduce import catalog, reports

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("baselines", "datasets", "reproduce")
# The layers of the suite: a module imports from its own layer and those above it in this list, never from below.
FLOORS = (
    ("errors", "files", "own_process", "paper", "terminal"),
    ("reading",),
    ("evaluation",),
    ("fitting",),
    ("catalog",),
    ("runs",),
    ("reports",),
    ("bench", "expect", "export", "overview", "recommend", "search"),
    ("cli",),
    ("__main__",),
)
FLOOR = {name: place for place, names in enumerate(FLOORS) for name in names}
# What a model or a data set may import from.
OF_A_MODEL = {"errors", "files", "paper", "reading", "evaluation", "fitting"}
OF_A_SOURCE = {"errors", "files", "paper", "reading"}


def test_no_module_is_loaded_under_two_names() -> None:
    assert catalog.recommenders() and catalog.datasets() and reports.pages()
    files = Counter(
        Path(module.__file__).resolve()
        for name, module in list(sys.modules.items())
        if name != "__main__" and getattr(module, "__file__", None)
    )
    rooms = [ROOT / name for name in ("reproduce", "baselines", "datasets")]  # not .tox or .venv, which lie there too
    ours = {file: n for file, n in files.items() if any(file.is_relative_to(room) for room in rooms)}
    assert ROOT / "baselines" / "pop.py" in ours and ROOT / "datasets" / "synthetic.py" in ours
    assert [file for file, n in ours.items() if n > 1] == []


def imports(file: Path) -> set[str]:
    """Return the full names of the modules that a file imports and of what it imports from them."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file.name}: a relative import"
            found |= {f"{node.module}.{one.name}" for one in node.names}
    return found


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def rooms_imported(file: Path) -> set[str]:
    """Return the parts of `reproduce` that a file imports from, not counting the public names and the version."""
    names = [name.split(".") for name in imports(file) if name.split(".")[0] == "reproduce"]
    return {parts[1] for parts in names if len(parts) > 1} - {"__version__", *reproduce.__all__}


@pytest.mark.parametrize("file", python_files("reproduce"), ids=lambda f: str(f.relative_to(ROOT / "reproduce")))
def test_a_room_imports_from_its_own_floor_and_those_above(file: Path) -> None:
    room = file.relative_to(ROOT / "reproduce").parts[0].removesuffix(".py")
    if room == "__init__":  # the public interface: it imports a name when it is first used
        return
    below = {name for name in rooms_imported(file) if FLOOR[name] > FLOOR[room]}
    assert not below, f"{file.name} of {room} imports from {', '.join(sorted(below))}"


@pytest.mark.parametrize("file", python_files("baselines"), ids=lambda f: f.name)
def test_a_model_imports_from_no_neighbour_and_knows_no_page(file: Path) -> None:
    assert rooms_imported(file) <= OF_A_MODEL


@pytest.mark.parametrize("file", python_files("datasets"), ids=lambda f: f.name)
def test_a_source_imports_from_no_neighbour_and_knows_no_model(file: Path) -> None:
    assert rooms_imported(file) <= OF_A_SOURCE


@pytest.mark.parametrize("file", [file for room in ROOMS for file in python_files(room)], ids=lambda f: f.stem)
def test_no_module_goes_by_its_generic_name(file: Path) -> None:
    assert not {name.split(".")[0] for name in imports(file)} & {"baselines", "datasets", "tests", "results"}


def test_nothing_of_a_checkout_but_two_rooms_can_be_imported_through_the_package() -> None:
    for name in ("reproduce.tests", "reproduce.reproduce", "reproduce.results"):
        assert importlib.util.find_spec(name) is None
