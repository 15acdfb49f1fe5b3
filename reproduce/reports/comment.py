"""The request that a page was drawn with, as JSON in a comment on its last line, so that it can be drawn again.

It names models and data sets but no files: pages are passed on, and no page may make `check` run code.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from reproduce import catalog
from reproduce.errors import InputError, SuiteError, in_a_line
from reproduce.reports.records import Records
from reproduce.reports.study import Page
from reproduce.runs import request as requests
from reproduce.runs.listing import listed
from reproduce.runs.request import Request

COMMENT = re.compile(r"\n<!-- request: ([^\n]{1,4000}) -->\n\Z")
PARTS = ("datasets", "models", "settings", "options")


class NotHere(SuiteError):
    """A page shows a model or data set that is not part of the suite and was not named to `check`."""


def comment(page: Page, request: Request) -> str:
    """Return the last line of a page; "" where the command without options draws the same page."""
    recorded = set(Records.load(request.results).datasets()) - set(catalog.current().data)
    shown_anyway = recorded if page.runs and not page.reads_logs else set()
    parts = {
        "datasets": [name for name in request.datasets if name != request.folder and name not in shown_anyway],
        "models": list(request.models),
        "settings": request.settings,
        "options": request.options,
    }
    kept = {name: part for name, part in parts.items() if part}
    if not kept:
        return ""
    text = json.dumps(kept)
    for sign in "<>":  # nothing in it may end the comment
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f"\n<!-- request: {text} -->\n"


def request_of(text: str, results: Path) -> Request:
    """Read from a stored page the request that draws it again.

    Args:
        text: the page as it is stored.
        results: the folder of the records to draw it from.

    Raises:
        InputError: the last line is not a request.
        NotHere: the page shows a model or data set that is not part of the suite and was not named.
        UsageError: a model has no such field, or not with that value.
    """
    found = COMMENT.search(text)
    plain = Request(datasets=[], data=Path(), results=results)
    if found is None:
        return plain
    try:
        parts = json.loads(found[1])
    except (ValueError, RecursionError) as error:
        raise InputError("its last line is no request") from error
    if not _well_formed(parts):
        raise InputError("its last line is no request")
    settings = parts.get("settings", {})
    folders = [file.name for file in (results / "runs").glob("*")]
    models = {one.experiment.model for name in folders for one in listed(results, name) if one.experiment}
    _known(parts.get("datasets", []), catalog.datasets(), folders, "--dataset")
    _known([*parts.get("models", []), *settings], catalog.recommenders(), models, "--model")
    for model, fields in settings.items():
        catalog.make_recommender(model, fields)
    return replace(plain, **parts)


def _well_formed(parts: Any) -> bool:
    """Return whether parts of a request have the types that `comment` writes."""
    if not isinstance(parts, dict) or not set(parts) <= set(PARTS):
        return False
    lists = [parts.get("datasets", []), parts.get("models", [])]
    tables = [parts.get("options", {}), parts.get("settings", {})]
    return (
        all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists)
        and all(isinstance(table, dict) for table in tables)
        and all(isinstance(fields, dict) for fields in tables[1].values())
        and all(_option(value) for value in tables[0].values())
    )


def _option(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, list) and all(isinstance(one, str | int) for one in value))


def _known(names: list[str], there: Mapping[str, object], recorded: Collection[str], flag: str) -> None:
    for name in names:
        if name not in there and name not in recorded:
            raise InputError(f"its last line names {in_a_line(name, 60)}, of which there is no record")
        if name not in there:
            raise NotHere(f"it shows {in_a_line(name, 60)}: name its file with {flag}")


def only(request: Request) -> AbstractContextManager[catalog.Catalog]:
    """Hide the user's own models and data that the request does not name: a page shows all that are known."""
    return catalog.using(catalog.current().only(request.models, request.datasets))


def again(name: str, page: Page, request: Request) -> str:
    """Return a sentence with the command that draws a page again from stored records, with the same rows."""
    runs = page.runs and name != "all"
    if runs and not request.datasets:
        request = replace(request, datasets=Records.load(request.results).datasets())
    words = [*requests.words(name, request), *(["--stored"] if runs else []), "--results", str(request.results)]
    return f"python -m reproduce {shlex.join(words)} draws it again"
