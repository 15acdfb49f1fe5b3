"""The options that a page was drawn with, kept as a comment in its last line so that it can be drawn again.

The comment names models and data sets but no files: pages are passed on, and no page may make `check` run code.
"""

from __future__ import annotations

import argparse
import html
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from reproduce import catalog
from reproduce.errors import InputError, SuiteError
from reproduce.fitting import user_model
from reproduce.reading import own_data
from reproduce.reports.description import CHOICE, AboutPage
from reproduce.reports.shelf import Shelf
from reproduce.runs import request as requests
from reproduce.runs.request import Request

COMMENT = re.compile(r"\n<!-- drawn by: ([^\n]{1,4000}) -->\n\Z")


class NotHere(SuiteError):
    """A page shows a model or data set that is not part of the suite and was not named to `check`."""


def comment(name: str, about: AboutPage, request: Request) -> str:
    """Return the last line of a page; "" where the command without options draws the same page."""
    recorded = set(Shelf.at(request.results).datasets()) - set(own_data.TAKEN)  # pages with runs show these anyway
    datasets = [one for one in request.datasets if not about.runs or one not in recorded]
    words = _words(about, request, datasets, request.models)
    return f"\n<!-- drawn by: {html.escape(shlex.join([name, *words]), quote=False)} -->\n" if words else ""


def _words(about: AboutPage, request: Request, datasets: Sequence[str], models: Sequence[str]) -> list[str]:
    """Return the options that decide what a page shows, as words of its command."""
    settings = [f"{m}.{key}={value}" for m, fields in request.settings.items() for key, value in fields.items()]
    values = {"--dataset": datasets, "--model": models, "--set": settings}
    given = {one.name: request.options.get(one.key) for one in about.options}
    given |= {f"--{key}": values[f"--{key}"] for key in about.heeds}
    words = []
    for flag, value in given.items():
        if value is not None and value is not False and value != []:
            words.append(flag)
            words += map(str, value if isinstance(value, Sequence) and not isinstance(value, str) else [value])
    return [one for one in words if one != "True"]


def request_of(text: str, name: str, about: AboutPage, results: Path) -> Request:
    """Read from a stored page the request that draws it again.

    Args:
        text: the page as it is stored.
        results: the folder of the records to draw it from.

    Raises:
        InputError: the last line is not a command that draws this page.
        NotHere: the page shows a model or data set that is not part of the suite and was not named.
        UsageError: a model has no such field, or not with that value.
    """
    found = COMMENT.search(text)
    plain = Request(datasets=[], data=Path(), results=results)
    if found is None:
        return plain
    given = _parsed(html.unescape(found[1]), name, about)
    settings = given.get("set", [])
    named = {"model": [*given.get("model", []), *(word.partition(".")[0] for word in settings)]}
    named["dataset"] = given.get("dataset", [])
    there = {"model": set(catalog.recommenders()), "dataset": set(catalog.datasets())}
    for key, names in named.items():
        if missing := [one for one in names if one not in there[key]]:
            raise NotHere(f"not compared, it shows {missing[0][:60]}: name its file with --{key}")
    return replace(
        plain,
        datasets=named["dataset"],
        models=given.get("model", []),
        settings=requests.settings(settings),
        options={one.key: given[one.key] for one in about.options},
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError("its last line is no command that draws it")


def _parsed(line: str, name: str, about: AboutPage) -> dict[str, Any]:
    parser = _Parser(add_help=False, allow_abbrev=False)
    for option in (*about.options, *(CHOICE[key] for key in about.heeds)):
        option.add_to(parser)
    try:
        words = shlex.split(line)
        if not words or words[0] != name:
            raise ValueError(line)
        return vars(parser.parse_args(words[1:]))
    except ValueError as error:
        raise InputError("its last line is no command that draws it") from error


@contextmanager
def only(request: Request) -> Iterator[None]:
    """Hide the user's own models and data that the request does not name: a page shows all that are known."""
    models, data, sets = dict(user_model.MODELS), dict(own_data.TAKEN), catalog.datasets()
    hidden = {name: sets.pop(name) for name in data if name not in request.datasets}
    for name in set(models) - set(request.models):
        del user_model.MODELS[name]
    for name in hidden:
        del own_data.TAKEN[name]
    try:
        yield
    finally:
        user_model.MODELS.update(models)
        own_data.TAKEN.update(data)
        sets.update(hidden)


def again(name: str, about: AboutPage, request: Request) -> str:
    """Return a sentence with the command that draws a page again from stored records, with the same rows."""
    datasets, runs = request.datasets, about.runs and not about.runs_only_with
    if runs and not datasets:
        datasets = Shelf.at(request.results).datasets()
    paths = [word for one in datasets for word in shlex.split(own_data.asked_for_as(one))]
    words = _words(about, request, paths, [user_model.asked_for_as(one) for one in request.models])
    told = shlex.join([name, *words, *(["--stored"] if runs else []), "--results", str(request.results)])
    return f"python -m reproduce {told} draws it again"
