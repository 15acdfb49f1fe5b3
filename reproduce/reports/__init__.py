"""The pages, one file each. A page is drawn from stored records; drawing it trains nothing.

A page is a module named like the page, with ABOUT, which tells the command line about it, and PAGE, which draws it
(description.py). A page returns its text and its figures and writes no file itself. Its text embeds figures by their
relative path, figures/<name>.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from reproduce import source_text
from reproduce.reports.description import AboutPage, Page


def abouts() -> dict[str, AboutPage]:
    """Return the ABOUT of every page, by the page's name, without importing the pages."""
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
    """Return every page, by name."""
    return {name: load(name) for name in abouts()}


def file_of(name: str, about: AboutPage) -> str:
    """Return the name of a page's file in the results folder."""
    return about.file or f"{name}.md"
