"""The data sets that a command asks for: names, or one's own data by its path, which joins the catalogue here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reproduce import catalog
from reproduce.errors import UsageError
from reproduce.reading import own_data

KEYS = ("columns", "gap", "time_unit", "test_days", "test_share", "min_support", "min_length")


def datasets(asked: Sequence[str], options: Mapping[str, Any]) -> list[str]:
    """The names of the data sets asked for; of the options those of an own log are looked at.

    Raises:
        UsageError: an unknown name, a wrong value, or options of an own log without one.
        InputError: there is no such file.
    """
    given = {key: value for key in KEYS if (value := options.get(key))}
    names = [catalog.dataset(one, given).name for one in asked]
    if given and not any(name in own_data.TAKEN for name in names):
        flag = f"--{next(iter(given)).replace('_', '-')}"
        raise UsageError(f"{flag} is for a log of your own; name it with --dataset PATH")
    return names
