"""The house: no module under two names, and imports that run one way."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path

import pytest

import reproduce.__main__  # noqa: F401  # loads every page, and with the catalogue every model and data set
from reproduce import catalog

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("baselines", "datasets", "reproduce")


def test_no_module_is_loaded_under_two_names() -> None:
    assert catalog.recommenders() and catalog.datasets()
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
    """What a file imports, as full names of modules and of what is taken from them."""
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


@pytest.mark.parametrize("file", [file for room in ROOMS for file in python_files(room)], ids=lambda f: f.stem)
def test_imports_run_one_way(file: Path) -> None:
    room = file.relative_to(ROOT).parts[0]
    banned = {
        "reproduce": ("reproduce.baselines", "reproduce.datasets"),
        "baselines": ("reproduce.baselines", "reproduce.datasets", "reproduce.reports"),
        "datasets": ("reproduce.baselines", "reproduce.reports", "reproduce.experiment"),
    }[room]
    if room == "reproduce" and file.parent.name != "reports" and file.name != "__main__.py":
        banned += ("reproduce.reports",)
    banned += ("baselines", "datasets")  # the generic names: the second names these modules would go by
    assert [name for name in imports(file) if any(f"{name}.".startswith(f"{one}.") for one in banned)] == []
