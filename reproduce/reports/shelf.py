"""Shelf: the records of a results folder, as pages look for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reproduce import catalog
from reproduce.errors import InputError
from reproduce.fitting import user_model
from reproduce.paper import controls, numbers
from reproduce.paper.rows import ROWS, Row
from reproduce.runs import stored_search
from reproduce.runs.experiment import Experiment
from reproduce.runs.listing import Listed, listed
from reproduce.runs.record import Result, current, load
from reproduce.runs.request import recorded
from reproduce.runs.stored_search import Found


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
        if row.model in catalog.recommenders():
            params = Experiment.of(dataset, row.model, row.at(dataset).fields).params
        else:
            params = row.fields
        found = []
        for one in listed(self.folder, dataset):
            if one.experiment is None:
                self._remark(f"{one.file.name}: {one.fault}")
            elif (one.experiment.model, one.experiment.params) == (row.model, params):
                try:
                    result = load(one.experiment, self.folder)
                except InputError as error:
                    self._remark(f"{one.file.name}: {str(error).partition(': ')[2]}")
                    continue
                if self._of_other_source(one, dataset):
                    self._remark(f"{one.file.name}: made with another source of {row.model}.py; left out.")
                elif result is not None and current(result):
                    found.append(result)
                elif result is not None:
                    self._remark(f"{one.file.name}: made with fields the model no longer has; left out.")
        return sorted(found, key=lambda one: one.experiment.seed)

    def _of_other_source(self, one: Listed, dataset: str) -> bool:
        """Whether a record of an own model is not of the file that was named, or, without one, of the newest run's."""
        if one.own is None or one.experiment is None:
            return False
        model = one.experiment.model
        if model in catalog.recommenders():
            return one.own.source != user_model.source(model)
        runs = (other for other in listed(self.folder, dataset) if other.experiment and other.experiment.model == model)
        newest = max((other.own for other in runs if other.own), key=lambda own: own.started)
        return one.own.source != newest.source

    def _remark(self, line: str) -> None:
        """Say it once, however many rows meet it."""
        if line not in self.remarks:
            self.remarks.append(line)

    def searches(self, dataset: str) -> list[Found]:
        """The searches on a data set, by model; none, with a remark, where one is broken."""
        try:
            return stored_search.found(self.folder, dataset)
        except InputError as error:
            self._remark(str(error))
            return []

    def datasets(self) -> list[str]:
        """The data sets that have records here: the paper's in its order, then any others, but the synthetic log."""
        runs = self.folder / "runs"
        here = {place.parent.name for place in runs.glob("*/*.json")} & set(catalog.datasets())
        known = [name for name in numbers.DATASETS if name in here]
        others = sorted(here - set(known) - {"synthetic"})
        return known + others or sorted(here)  # the synthetic log where there is nothing else

    def others(self, *datasets: str) -> list[Row]:
        """The rows with a record on one of the data sets whose model is in no published table.

        Of a model of the suite that is the row of its defaults. Of one's own model it is every setting that was run,
        whether or not its file was named: a record says what such a model is called and which fields were set.
        """
        placed = {row.model for row in (*ROWS, *controls.ROWS)}
        rows = [Row(kind.label, name) for name, kind in catalog.recommenders().items() if name not in placed]
        shelf = Shelf.at(self.folder)
        for dataset in datasets:
            for one in listed(self.folder, dataset):
                if one.experiment is None or one.own is None or one.experiment.model in placed:
                    continue
                if shelf._of_other_source(one, dataset):
                    self._remark(f"{one.file.name}: made with another source of {one.experiment.model}.py; left out.")
                else:
                    rows.append(recorded(one.own.label, one.experiment.model, one.experiment.params))
        distinct = {(row.model, str(sorted(row.fields.items()))): row for row in rows}
        return [row for row in distinct.values() if any(shelf.results(row, dataset) for dataset in datasets)]
