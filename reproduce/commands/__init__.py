"""The commands that are not pages, one file each: a module with ABOUT and COMMAND, named like the command.

Both are described in reports/description.py.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from reproduce import source_text
from reproduce.reports.description import About, Command


def abouts() -> dict[str, About]:
    """Return the ABOUT of every command by the command's name, without importing any."""
    found = {}
    for place in sorted(one.name for one in pkgutil.iter_modules(__path__)):
        file = Path(__path__[0]) / f"{place}.py"
        if "COMMAND" in source_text.assigned(file):
            about = source_text.evaluate(file, source_text.assigned(file)["ABOUT"])
            assert isinstance(about, About), f"{file}: ABOUT must be an About"
            found[place] = about
    return found


def load(name: str) -> Command:
    made = importlib.import_module(f"{__name__}.{name}").COMMAND
    assert isinstance(made, Command), f"{name}.py: COMMAND must be a Command"
    return made
