"""The rows as their authors most likely made them: each sets fields of its model; every row of the table has one."""

from __future__ import annotations

import pytest

from reproduce import catalog
from reproduce.paper import numbers
from reproduce.paper.originals import BPR_MF_ORDERS, GRU_REC_EXAMPLE, ORIGINALS
from reproduce.paper.rows import ROWS, Row

EVERY = [
    GRU_REC_EXAMPLE,
    *BPR_MF_ORDERS,
    *(one.row.at(name) for one in ORIGINALS.values() for name in numbers.DATASETS),
]


@pytest.mark.parametrize("row", EVERY, ids=str)
def test_a_row_sets_fields_of_its_model_that_are_not_the_defaults(row: Row) -> None:
    assert catalog.changed(catalog.make_recommender(row.model, row.fields)) == row.fields


def test_every_row_of_the_papers_table_has_an_original_of_its_model() -> None:
    assert {label: one.row.model for label, one in ORIGINALS.items()} == {row.label: row.model for row in ROWS}


def test_no_two_orders_of_rows_have_one_label() -> None:
    assert len({row.label for row in BPR_MF_ORDERS}) == len(BPR_MF_ORDERS)
