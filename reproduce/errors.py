"""The errors shown to the user, each with its exit status, and the words for a wrong name and for foreign text."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable


class SuiteError(Exception):
    """An error that is shown to the user as one clear line, without a traceback."""

    status = 1


class UsageError(SuiteError):
    """The command asks for something that does not exist: exit status 2."""

    status = 2


class InputError(SuiteError):
    """A file or folder is absent, broken or of the wrong kind: exit status 3. The message names it and the remedy."""

    status = 3


class ModelError(SuiteError):
    """A model broke its contract during a run: exit status 1. Other runs continue."""


OWN = {"model": ", and your own by its file: mine.py", "data set": ", and your own by its path: clicks.csv"}


def known(what: str, name: str, names: Iterable[str]) -> str:
    """Return `name` if it is one of `names`; otherwise raise UsageError with the nearest of them."""
    names = sorted(names)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3)
        own = OWN.get(what, "")
        if own and os.path.isfile(f"{name}.py"):  # noqa: PTH113 (False for a name that is too long)
            near.insert(0, f"{name}.py")
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise UsageError(f"unknown {what} {in_a_line(repr(name))}; {hint}available: {', '.join(names) or 'none'}{own}")
    return name


def in_a_line(text: str, most: int = 120) -> str:
    """Make foreign text fit for a message: printable, on one line, and of at most `most` characters."""
    line = text.encode("unicode_escape").decode("ascii")
    return line if len(line) <= most else line[: most - 3] + "..."
