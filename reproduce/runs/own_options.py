"""The data sets requested by a command: names, or paths of the user's own data, which join the catalogue here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reproduce import catalog
from reproduce.errors import UsageError
from reproduce.reading import own_data


def datasets(named: Sequence[str], rules: Mapping[str, Any], data: Path) -> list[str]:
    """The names of the requested data sets, whose paths are read with the options for a user's own log.

    Args:
        named: names of data sets, or paths of a user's own data.
        rules: how a user's own log is read and split; see reading.own_log.Rules.
        data: the data folder, which own data in a .py may read from.

    Raises:
        UsageError: a name is unknown, a value is wrong, or options for a user's own log are given without one.
        InputError: there is no such file.
    """
    names = [catalog.dataset(name, rules, data).name for name in named]
    if rules and not any(own_data.is_path(name, catalog.datasets()) for name in named):
        flag = f"--{next(iter(rules)).replace('_', '-')}"
        raise UsageError(f"{flag} is for a log of your own; name it with --dataset PATH")
    return names
