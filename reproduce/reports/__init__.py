"""A file per page. A page is a view of stored records: nothing is trained to draw one.

A page module offers HELP (a line), `rows(request)` (what it runs) and `page(request, failed)` (its text). It may offer
`arguments(parser)` for options of its own, `status(request)` for an exit status of its own, FILE, where its text goes
in the results folder if not to <name>.md, VIEW = True if it runs nothing, so that no log need be found, and LOGS = True
if it reads logs, so that records alone do not give it. Figures go to figures/ there and are embedded by their relative
path. The command line finds a page by its file's name.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def pages() -> dict[str, ModuleType]:
    """Every page by name."""
    modules = {
        found.name: importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
    }
    return {name: module for name, module in modules.items() if hasattr(module, "HELP")}
