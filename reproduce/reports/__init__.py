"""A file per page. A page is a view of stored records: nothing is trained to draw one.

A page is a module with ABOUT, what the command line knows of it, and PAGE, which draws it (description.py). Its file's
name is the page's. It returns its text and its figures; only the caller writes. In the text, figures are embedded by
their relative path, figures/<name>.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from reproduce import source_text
from reproduce.reports.description import AboutPage, Page


def abouts() -> dict[str, AboutPage]:
    """What every page says of itself, by the page's name, without importing one."""
    found = {}
    for place in sorted(one.name for one in pkgutil.iter_modules(__path__)):
        file = Path(__path__[0]) / f"{place}.py"
        if "PAGE" in source_text.assigned(file):
            about = source_text.evaluate(file, source_text.assigned(file)["ABOUT"])
            assert isinstance(about, AboutPage), f"{file}: ABOUT must be an AboutPage"
            found[place] = about
    return found


def load(name: str) -> Page:
    made = importlib.import_module(f"{__name__}.{name}").PAGE
    assert isinstance(made, Page), f"{name}.py: PAGE must be a Page"
    return made


def pages() -> dict[str, Page]:
    """Every page by name."""
    return {name: load(name) for name in abouts()}


def file_of(name: str, about: AboutPage) -> str:
    """The file of a page in the results folder."""
    return about.file or f"{name}.md"
