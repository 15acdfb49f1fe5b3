"""The data sets requested by a command: names, or paths of the user's own data, which join the catalogue here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reproduce import catalog
from reproduce.errors import UsageError
from reproduce.reading import own_data

KEYS = ("columns", "gap", "time_unit", "test_days", "test_share", "min_support", "min_length")


def datasets(asked: Sequence[str], options: Mapping[str, Any]) -> list[str]:
    """The names of the requested data sets, whose paths are read with the options for a user's own log.

    Args:
        asked: names of data sets, or paths of a user's own data.
        options: the options of the command; only those in KEYS are used.

    Raises:
        UsageError: a name is unknown, a value is wrong, or options for a user's own log are given without one.
        InputError: there is no such file.
    """
    given = {key: value for key in KEYS if (value := options.get(key))}
    names = [catalog.dataset(one, given, options.get("data", "data")).name for one in asked]
    if given and not any(own_data.is_path(one, catalog.datasets()) for one in asked):
        flag = f"--{next(iter(given)).replace('_', '-')}"
        raise UsageError(f"{flag} is for a log of your own; name it with --dataset PATH")
    return names
