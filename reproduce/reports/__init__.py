"""The pages, one file each. A page is drawn from stored records; drawing it trains nothing.

A page is a module of that name with PAGE. It returns a Document with its figures and CSV files and writes no file.
Its command and options stand in cli.py.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reproduce.reports.study import Page

INDEX = "all"  # the page of all pages; its file is README.md, which code forges show for a folder


def load(name: str) -> Page:
    page: Page = importlib.import_module(f"{__name__}.{name}").PAGE
    return page


def pages() -> dict[str, Page]:
    """Return every page, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: load(name) for name in names if hasattr(importlib.import_module(f"{__name__}.{name}"), "PAGE")}


def file_of(name: str) -> str:
    """Return the name of a page's file in the results folder."""
    return "README.md" if name == INDEX else f"{name}.md"
