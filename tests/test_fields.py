"""The fields of the networks: each has a line that says what it is, and every number has bounds."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import get_type_hints

import pytest

from reproduce import catalog
from reproduce.errors import UsageError
from reproduce.fitting.recommender import Recommender

MODELS = ("improved_gru_rec", "narm", "sr_gnn", "stamp")


def explained(kind: type[Recommender]) -> set[str]:
    """Return the names under Args in the docstrings of a model and of its base classes."""
    texts = [inspect.getdoc(one) or "" for one in kind.__mro__ if one is not object]
    return {name for text in texts for name in re.findall(r"^    (\w+): \w", text.partition("Args:")[2], re.MULTILINE)}


@pytest.mark.parametrize("name", MODELS)
def test_every_field_has_a_line_and_no_line_is_without_its_field(name: str) -> None:
    kind = catalog.recommender(name)
    assert explained(kind) == {one.name for one in dataclasses.fields(kind)}  # type: ignore[arg-type]


@pytest.mark.parametrize("name", catalog.recommenders())
def test_every_number_has_bounds_that_hold_its_default_and_what_a_search_tries(name: str) -> None:
    kind = catalog.recommender(name)
    types = get_type_hints(kind)
    for one in dataclasses.fields(kind):  # type: ignore[arg-type]
        if types[one.name] in (int, float):
            low, high = one.metadata["low"], one.metadata["high"]
            for value in (one.default, *(one.metadata["search"] or ())):
                assert low <= value <= high, one.name
            for outside in (low - 1, high * 2, 10**20, -(10**20), "9" * 20):
                with pytest.raises(UsageError, match=f"{name}.{one.name}=.*must be at least"):
                    catalog.make_recommender(name, {one.name: outside})
