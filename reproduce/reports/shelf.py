"""Shelf: the records of a results folder, found by row and data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reproduce import catalog
from reproduce.errors import InputError
from reproduce.fitting import user_model
from reproduce.paper import controls, numbers
from reproduce.paper.rows import ROWS, Row
from reproduce.runs import stored_search
from reproduce.runs.experiment import Experiment
from reproduce.runs.listing import Listed, listed
from reproduce.runs.record import OUTSIDE, Result, current, load
from reproduce.runs.request import Request, recorded
from reproduce.runs.stored_search import Found


@dataclass(frozen=True)
class Shelf:
    """The records of a results folder, read without the logs. `remarks` says which could not be used, and why."""

    folder: Path
    remarks: list[str]
    digests: Mapping[str, str] = field(default_factory=dict)  # data set -> digest of its split, where it is at hand
    outside: Mapping[str, Mapping[str, Sequence[Result]]] = field(
        default_factory=dict
    )  # data set -> label -> its seeds

    @classmethod
    def at(cls, folder: Path, digests: Mapping[str, str] | None = None) -> Shelf:
        return cls(folder, [], digests or {})

    @classmethod
    def of(cls, request: Request) -> Shelf:
        """Return the records of the folder that a request names, and its rows from outside."""
        return cls(request.results, [], request.digests, request.outside)

    def _digest(self, dataset: str) -> str:
        """Return the digest of the split whose records are shown: that at hand, else that of most records."""
        found = Counter(one.split for one in listed(self.folder, dataset) if one.experiment is not None)
        return self.digests.get(dataset) or max(found, key=found.__getitem__, default="")

    def results(self, row: Row, dataset: str) -> list[Result]:
        """Return the records of a row on a data set, ordered by seed.

        Records that are broken, outdated or made with another source of an own model are left out, with a remark.
        """
        if row.model.startswith(OUTSIDE):
            return list(self.outside.get(dataset, {}).get(row.label, ()))
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
                if one.split != self._digest(dataset):
                    self._remark(f"{one.file.name}: made from other data called {dataset}; left out.")
                elif self._of_other_source(one, dataset):
                    self._remark(f"{one.file.name}: made with another source of {row.model}.py; left out.")
                elif result is not None and current(result):
                    found.append(result)
                elif result is not None:
                    self._remark(f"{one.file.name}: made with fields the model no longer has; left out.")
        return sorted(found, key=lambda one: one.experiment.seed)

    def _of_other_source(self, one: Listed, dataset: str) -> bool:
        """Return whether a record of an own model was made with another source.

        Its source is compared with that of the file that was named or, if none was, with that of the newest run on the
        data set.
        """
        if one.own is None or one.experiment is None:
            return False
        model = one.experiment.model
        if model in catalog.recommenders():
            return one.own.source != user_model.source(model)
        runs = (other for other in listed(self.folder, dataset) if other.experiment and other.experiment.model == model)
        newest = max((other.own for other in runs if other.own), key=lambda own: own.started)
        return one.own.source != newest.source

    def _remark(self, line: str) -> None:
        """Add a remark once, even if several rows cause it."""
        if line not in self.remarks:
            self.remarks.append(line)

    def searches(self, dataset: str) -> list[Found]:
        """Return the searches on a data set, by file name; none, with a remark, if one is broken."""
        try:
            searches = stored_search.found(self.folder, dataset)
            return [one for one in searches if one.split in ("", self._digest(dataset))]
        except InputError as error:
            self._remark(str(error))
            return []

    def datasets(self) -> list[str]:
        """Return the data sets with records: the paper's in its order, then the others except the synthetic log."""
        runs = self.folder / "runs"
        here = {place.parent.name for place in runs.glob("*/*.json")} & set(catalog.datasets())
        known = [name for name in numbers.DATASETS if name in here]
        others = sorted(here - set(known) - {"synthetic"})
        return known + others or sorted(here)  # the synthetic log only if there is nothing else

    def others(self, *datasets: str) -> list[Row]:
        """Return the rows with a record on one of the data sets whose model is neither in the paper nor a control.

        A model of the suite has one row, with its default fields. An own model has a row for every setting that was
        run, whether or not its file was named: a record states the model's label and the fields that were set.
        """
        placed = {row.model for row in (*ROWS, *controls.ROWS)}
        rows = [Row(kind.label, name) for name, kind in catalog.recommenders().items() if name not in placed]
        shelf = Shelf(self.folder, [], self.digests, self.outside)
        for dataset in datasets:
            for one in listed(self.folder, dataset):
                if one.experiment is None or one.own is None or one.experiment.model in placed:
                    continue
                if shelf._of_other_source(one, dataset):
                    self._remark(f"{one.file.name}: made with another source of {one.experiment.model}.py; left out.")
                else:
                    rows.append(recorded(one.own.label, one.experiment.model, one.experiment.params))
        rows += [Row(label, f"{OUTSIDE}{label}") for dataset in datasets for label in self.outside.get(dataset, {})]
        distinct = {(row.model, str(sorted(row.fields.items()))): row for row in rows}
        return [row for row in distinct.values() if any(shelf.results(row, dataset) for dataset in datasets)]
