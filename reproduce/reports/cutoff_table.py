"""A comparison in any measures and any view of the stored ranks; another metric or cut-off needs no new run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reproduce.evaluation import metrics
from reproduce.evaluation.metrics import Measure
from reproduce.reports import comparison, measuring
from reproduce.reports.document import Block, Cell, Number, Table
from reproduce.reports.measuring import USUAL, Seeds, View
from reproduce.runs.record import Result


def table(rows: Mapping[str, Sequence[Result]], measures: Sequence[Measure], seeds: Seeds, view: View = USUAL) -> Table:
    """Return every measure for each row with records, with 95 % intervals; the highest of a column is bold."""
    kept = {label: results for label, results in rows.items() if results}
    columns: dict[str, dict[str, Number]] = {}
    for measure in dict.fromkeys(measures):
        found = measuring.measured(kept, measure, seeds, view.where, view.rule)
        best = max((one.value for one in found.values()), default=0.0)
        columns[measure.title] = {
            label: comparison.number(one, "highest" if one.value == best else None) for label, one in found.items()
        }
    lines: list[list[Cell]] = [
        [label, str(len(runs)), *(column[label] for column in columns.values())] for label, runs in kept.items()
    ]
    return Table(["model", "seeds", *columns], lines, "Other measures")


def blocks(rows: Mapping[str, Sequence[Result]], names: Sequence[str], seeds: Seeds, view: View = USUAL) -> list[Block]:
    """Return the table for a page; nothing where no other measure was asked for, or no row has a record."""
    if not names or not any(rows.values()):
        return []
    text = "In other measures, counted as above; bold is the highest of a column:"
    return [text, table(rows, [metrics.parse(name) for name in names], seeds, view)]
