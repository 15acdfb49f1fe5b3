"""The records of a results folder, each read once, found by row and data set; the logs are not needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

import reproduce
from reproduce import catalog
from reproduce.errors import InputError
from reproduce.evaluation import metrics
from reproduce.fitting import user_model
from reproduce.paper import later_baselines, numbers
from reproduce.paper.counting import Counting
from reproduce.paper.rows import ROWS, Row
from reproduce.reading import own_data
from reproduce.reading.sessions import exactness
from reproduce.runs import search
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import OUTSIDE, Result, current, load_file
from reproduce.runs.request import Request, recorded
from reproduce.runs.search import Found


class Records:
    """The records of a folder. A data set's are read when they are first asked for, and only once."""

    def __init__(self, folder: Path, digests: Mapping[str, str] | None = None) -> None:
        """Name a folder of records.

        Args:
            folder: the results folder.
            digests: of data sets whose split is at hand; records of another split under their names are left out. For
                the others, the split of most records is taken.
        """
        self.folder, self._digests = folder, digests or {}
        self._files: dict[str, dict[Path, Result | str]] = {}  # data set -> its records, or what is wrong with a file
        self._usable: dict[str, list[Result]] = {}  # data set -> its records that can be shown
        self._remarks: dict[str, dict[str, None]] = {}  # data set -> why records could not be used
        self._own: dict[str, list[Row]] = {}  # data set -> the rows of own models with usable records
        self._outside: Mapping[str, Mapping[str, Sequence[Result]]] = {}  # data set -> label -> ranks from outside
        self._only = ""  # the one data set whose pages lie in a folder of its name

    @classmethod
    def of_request(cls, request: Request) -> Records:
        """Return the records of the folder that a request names."""
        records = cls(request.results, request.digests)
        records._outside = request.outside
        records._only = request.folder if own_data.NAME.fullmatch(request.folder) else ""
        return records

    def of(self, dataset: str) -> list[Result]:
        """Return all usable records on a data set, ordered by file name."""
        if dataset not in self._usable:
            self._read(dataset)
        return list(self._usable[dataset])

    def readable(self, dataset: str) -> list[Result]:
        """Return all whole records on a data set, also of another split or source, ordered by file name."""
        if dataset not in self._files:
            self._files[dataset] = {}
            for file in sorted((self.folder / "runs" / dataset).glob("*.json")):
                try:
                    found: Result | str = _load(file, file.stat().st_mtime_ns, file.stat().st_size)
                except (InputError, OSError) as error:
                    found = str(error).partition(": ")[2]
                self._files[dataset][file] = found
        return [result for result in self._files[dataset].values() if isinstance(result, Result)]

    def results(self, row: Row, dataset: str) -> list[Result]:
        """Return the records of a row on a data set, ordered by seed."""
        if row.model.startswith(OUTSIDE):
            return list(self._outside.get(dataset, {}).get(row.model.removeprefix(OUTSIDE), ()))
        if row.model in catalog.recommenders():
            params = Experiment.of(dataset, row.model, row.at(dataset).fields).params
        else:
            params = row.fields
        wanted = [
            run for run in self.of(dataset) if (run.experiment.model, run.experiment.params) == (row.model, params)
        ]
        return sorted(wanted, key=lambda run: run.experiment.seed)

    def remarks(self) -> list[str]:
        """Return a line for each record that was asked for and could not be used, with the reason."""
        return list(dict.fromkeys(line for lines in self._remarks.values() for line in lines))

    def searches(self, dataset: str) -> list[Found]:
        """Return the searches on a data set, by file name; none, with a remark, if one is broken."""
        try:
            searches = search.found(self.folder, dataset)
            return [search for search in searches if search.split in ("", self.digest(dataset))]
        except InputError as error:
            self.of(dataset)
            self._remarks[dataset][str(error)] = None
            return []

    def datasets(self) -> list[str]:
        """Return the data sets with records: the paper's in its order, then the others except the synthetic log.

        Own data are shown by their records, whether or not their file was named.
        """
        stored = {file.parent.name for file in (self.folder / "runs").glob(f"{self._only or '*'}/*.json")}
        here = {name for name in stored if name in catalog.datasets() or own_data.NAME.fullmatch(name)}
        known = [name for name in numbers.DATASETS if name in here]
        others = sorted(here - set(known) - {"synthetic"})
        return known + others or sorted(here)  # the synthetic log only if there is nothing else

    def others(self, *datasets: str) -> list[Row]:
        """Return the rows with a record on one of the data sets whose model is not in the paper or a later baseline.

        A model of the suite has one row, with its default fields. An own model has a row for every setting that was
        run, whether or not its file was named: a record states the model's label and the fields that were set.
        """
        placed = {row.model for row in (*ROWS, *later_baselines.ROWS)}
        rows = [Row(kind.label, name) for name, kind in catalog.recommenders().items() if name not in placed]
        for dataset in datasets:
            self.of(dataset)
            rows += [row for row in self._own[dataset] if row.model not in placed]
            rows += [Row(label, f"{OUTSIDE}{label}") for label in self._outside.get(dataset, {})]
        distinct = {(row.model, str(sorted(row.fields.items()))): row for row in rows}
        return [row for row in distinct.values() if any(self.results(row, dataset) for dataset in datasets)]

    def digest(self, dataset: str) -> str:
        """Return the digest of the split whose records are shown: that at hand, else that of most records."""
        splits = Counter(result.split["digest"] for result in self.readable(dataset))
        return self._digests.get(dataset) or max(splits, key=splits.__getitem__, default="")

    def runs(self) -> pd.DataFrame:
        """Return a row for every usable record: what was run, what came out, and under what circumstances."""
        return pd.DataFrame([_line(dataset, run) for dataset in self.datasets() for run in self.of(dataset)])

    def _read(self, dataset: str) -> None:
        usable, remarks, own = [], dict[str, None](), []
        self.readable(dataset)
        for file, result in self._files[dataset].items():
            why = result if isinstance(result, str) else self._left_out(result)
            if isinstance(result, str) or why:
                remarks[f"{file.name}: {why}"] = None
                continue
            model, where = result.experiment.model, result.environment
            if "source" in where:
                label = user_model.sound_label(str(where.get("label") or "")) or model
                own.append(recorded(label, model, result.experiment.params))
            usable.append(result)
        self._usable[dataset], self._remarks[dataset], self._own[dataset] = usable, remarks, own

    def _left_out(self, result: Result) -> str:
        """Say why a record cannot be shown, "" if it can.

        The source of an own model is compared with that of the file that was named or, if none was, with that of the
        newest run on the data set.
        """
        dataset, model = result.experiment.dataset, result.experiment.model
        if result.split["digest"] != self.digest(dataset):
            return f"made from other data called {dataset}; left out."
        if "source" in result.environment:
            runs = [other.environment for other in self.readable(dataset) if other.experiment.model == model]
            newest = max((run for run in runs if "source" in run), key=lambda run: str(run.get("started") or ""))
            named = model in catalog.recommenders()
            if result.environment["source"] != (catalog.current().source(model) if named else newest["source"]):
                return f"made with another source of {model}.py; left out."
        return "" if current(result) else "made with fields the model no longer has; left out."


def _line(dataset: str, run: Result) -> dict[str, object]:
    """Return a row of runs.csv; whole numbers as text, so that a missing one makes none of them a fraction."""
    where, kept = run.environment, run.best_epoch
    numbers_of = {
        f"{measure.title}, ties {ties}": measure.mean(run.greater, run.equal, Counting(ties=ties))
        for ties in ("against", "at random", "in favour")
        for measure in metrics.PAPERS.values()
    }
    validation = [epoch["validation_recall"] for epoch in run.epochs if epoch["epoch"] == kept]
    line = {
        "data set": dataset,
        "model": run.experiment.model,
        "settings": ", ".join(f"{key}={value}" for key, value in sorted(run.experiment.params.items())),
        "seed": run.experiment.seed,
        "test prefixes": len(run.greater),
        **numbers_of,
        "epoch kept": kept,
        "epochs run": len(run.epochs) or None,
        "epochs allowed": run.fields.get("epochs"),
        "validation Recall@20": validation[0] if validation else None,
        "device": where["device"],
        "threads": where["threads"],
        "torch": where["torch"],
        "commit": where["commit"],
        "uncommitted changes": where["dirty"],
        "resumed": "yes" if where["resumed"] else "no",
        "fit seconds": where.get("fit_seconds"),
        "peak memory MiB": where.get("peak_memory_mib"),
        "catalogue": run.split["n_items"],
        "click order": exactness(run.split["provenance"]),
    }
    return {name: value if value is None or "@" in name else str(value) for name, value in line.items()}


@lru_cache(maxsize=512)
def _load(file: Path, modified: int, size: int) -> Result:
    """Load a record; `modified` and `size` tell the cache of a changed file."""
    return load_file(file)[1]


def reference_folder() -> Path:
    """Return the folder results/ of the checkout, with the project's own reference runs."""
    return Path(reproduce.__file__).resolve().parent.parent / "results"


def reference(results: Path) -> Records | None:
    """Return the reference to show beside the user's records; None if it does not exist or is the user's folder."""
    folder = reference_folder()
    return None if folder == results.resolve() or not folder.is_dir() else Records(folder)


def of_published_size(provenance: Mapping[str, Any]) -> bool:
    """Return whether the test set is as large as the paper's; True if the paper does not have the data set.

    False means that the data are a sample or another version.
    """
    ours, theirs = (provenance[key].get("test_sequences") for key in ("counts", "published"))
    return theirs is None or ours == theirs


def papers_task(dataset: str, results: Sequence[Result]) -> bool:
    """Return whether the paper's numbers are for exactly this task: the same order of clicks, and no sample."""
    known = dataset in numbers.PAPER_COLUMN and dataset not in numbers.OTHER_ORDER
    return known and all(of_published_size(run.split["provenance"]) for run in results)
