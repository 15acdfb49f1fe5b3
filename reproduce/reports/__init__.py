"""The pages, one file each. A page is drawn from stored records; drawing it trains nothing.

A page is a module of that name with PAGE. It returns a Document with its figures and CSV files and writes no file.
Its command and options stand in cli.py.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reproduce.paper.rows import Row
    from reproduce.reports.document import Document
    from reproduce.runs.request import Request

INDEX = "all"  # the page of all pages; its file is README.md, which code forges show for a folder


def no_rows(request: Request) -> list[Row]:
    """Return no rows: a page that is only a view runs nothing."""
    return []


@dataclass(frozen=True)
class Page:
    """A page, which a module in reports/ defines as PAGE."""

    draw: Callable[[Request, Mapping[str, str]], Document]  # takes the request, and why cells failed, by their path
    rows: Callable[[Request], list[Row]] = no_rows  # the rows that it runs
    reads_logs: bool = False  # it cannot be drawn from records alone

    @property
    def runs(self) -> bool:
        return self.rows is not no_rows


def load(name: str) -> Page:
    page = importlib.import_module(f"{__name__}.{name}").PAGE
    assert isinstance(page, Page), f"{name}.py: PAGE must be a Page"
    return page


def pages() -> dict[str, Page]:
    """Return every page, by name."""
    modules = {one.name: importlib.import_module(f"{__name__}.{one.name}") for one in pkgutil.iter_modules(__path__)}
    return {name: load(name) for name in sorted(modules) if hasattr(modules[name], "PAGE")}


def file_of(name: str) -> str:
    """Return the name of a page's file in the results folder."""
    return "README.md" if name == INDEX else f"{name}.md"
