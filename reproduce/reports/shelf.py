"""Shelf: the records of a results folder, as pages look for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reproduce import catalog
from reproduce.errors import InputError
from reproduce.paper import controls, numbers
from reproduce.paper.rows import ROWS, Row
from reproduce.runs.experiment import Experiment
from reproduce.runs.listing import listed
from reproduce.runs.record import Result, current, load


@dataclass(frozen=True)
class Shelf:
    """The records of a results folder, read without a data set. What it could not use it says in `remarks`."""

    folder: Path
    remarks: list[str]

    @classmethod
    def at(cls, folder: Path) -> Shelf:
        return cls(folder, [])

    def results(self, row: Row, dataset: str) -> list[Result]:
        """All seeds of a row on a data set, in the order of the seeds; outdated and broken records are left out."""
        if row.model not in catalog.recommenders():
            return []
        wanted = Experiment.of(dataset, row.model, row.at(dataset).fields)
        found = []
        for one in listed(self.folder, dataset):
            if one.experiment is None:
                self._remark(f"{one.file.name}: {one.fault}")
            elif (one.experiment.model, one.experiment.params) == (wanted.model, wanted.params):
                try:
                    result = load(one.experiment, self.folder)
                except InputError as error:
                    self._remark(f"{one.file.name}: {str(error).partition(': ')[2]}")
                    continue
                if result is not None and current(result):
                    found.append(result)
                elif result is not None:
                    self._remark(f"{one.file.name}: made with fields the model no longer has; left out.")
        return sorted(found, key=lambda one: one.experiment.seed)

    def _remark(self, line: str) -> None:
        """Say it once, however many rows meet it."""
        if line not in self.remarks:
            self.remarks.append(line)

    def datasets(self) -> list[str]:
        """The data sets that have records here: the paper's in its order, then any others, but the synthetic log."""
        runs = self.folder / "runs"
        here = {place.parent.name for place in runs.glob("*/*.json")} & set(catalog.datasets())
        known = [name for name in numbers.DATASETS if name in here]
        others = sorted(here - set(known) - {"synthetic"})
        return known + others or sorted(here)  # the synthetic log where there is nothing else

    def others(self, *datasets: str) -> list[Row]:
        """A row for every model that is in no published table and has a record on one of the data sets."""
        placed = {row.model for row in (*ROWS, *controls.ROWS)}
        rows = [Row(kind.label, name) for name, kind in catalog.recommenders().items() if name not in placed]
        shelf = Shelf.at(self.folder)  # what it could not use is said where the row is shown
        return [row for row in rows if any(shelf.results(row, dataset) for dataset in datasets)]
