"""Rows of the public code of the paper's time: each has a model of its fields and a label of its own."""

from __future__ import annotations

import pytest

from reproduce import catalog
from reproduce.paper.originals import ROWS
from reproduce.paper.rows import Row


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.label)
def test_a_row_names_fields_of_its_model_that_are_not_the_defaults(row: Row) -> None:
    assert catalog.changed(catalog.make_recommender(row.model, row.fields)) == row.fields


def test_no_two_rows_have_one_label() -> None:
    assert len({row.label for row in ROWS}) == len(ROWS)
