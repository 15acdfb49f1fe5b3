"""A fitted model beside its record: what it learned, as tensors and plain values; see state_file.py for the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from reproduce import catalog
from reproduce.errors import InputError, ModelError, UsageError, in_a_line
from reproduce.evaluation import ranking
from reproduce.fitting.recommender import Recommender
from reproduce.reading.sessions import Sessions, Split, vocabulary_digest
from reproduce.runs import state_file
from reproduce.runs.environment import choose_device
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import Result, load_file, split_of_record

ENDING, KIND, REMEDY = ".model", "model", "fit it again with --keep-model"


@dataclass(frozen=True, eq=False)
class KeptModel:
    """A fitted model, the experiment that made it, and the ids of its items."""

    model: Recommender
    experiment: Experiment
    identity: str
    n_items: int
    vocabulary: np.ndarray | None  # (n_items,) the log's own ids; None if the suite does not know them
    place: Path  # its file

    @cached_property
    def known(self) -> dict[str, int]:
        """The model's number of each item, by its id as text."""
        ids = range(self.n_items) if self.vocabulary is None else self.vocabulary.tolist()
        return {str(item): number for number, item in enumerate(ids)}

    def numbers(self, clicks: Sequence[object], *, skip_unknown: bool = False) -> np.ndarray:
        """Convert item ids, as text or in the log's own type, to the model's numbers, (clicks,) int64.

        Raises:
            UsageError: the model was not fitted on an item, and unknown ones are not skipped.
        """
        ids = list(map(str, clicks))
        unknown = [item for item in ids if item not in self.known]
        if unknown and not skip_unknown:
            raise UsageError(
                f"item {in_a_line(repr(unknown[0]))}: not among the {self.n_items:,} items that the model was fitted "
                "on; skip such items with --skip-unknown (skip_unknown=True)"
            )
        return np.array([self.known[item] for item in ids if item in self.known], dtype=np.int64)

    def recommend(
        self, clicks: Sequence[object], k: int = 20, *, skip_unknown: bool = False, exclude_seen: bool = False
    ) -> list[tuple[str, float]]:
        """Return the k items that score highest after some clicks, best first, with their scores.

        Args:
            clicks: item ids, oldest first, as text or in the log's own type.
            skip_unknown: leave out clicks on items that the model was not fitted on.
            exclude_seen: do not recommend the items clicked.

        Raises:
            UsageError: there are no clicks, or the model was not fitted on one of the items.
            InputError: what the file holds gives no scores, or some that are not finite.
        """
        if k < 1:
            raise UsageError(f"k = {k}: recommend one item or more")
        (items,) = self.recommend_each([clicks], k, skip_unknown=skip_unknown, exclude_seen=exclude_seen)
        if not len(self.numbers(clicks, skip_unknown=skip_unknown)):
            raise UsageError("no clicks: none of the items is one that the model was fitted on")
        return items

    def recommend_each(
        self,
        sessions: Sequence[Sequence[object]],
        k: int = 20,
        *,
        skip_unknown: bool = False,
        exclude_seen: bool = False,
    ) -> list[list[tuple[str, float]]]:
        """Return what `recommend` returns, for each of several sessions; nothing after clicks that are all skipped.

        Raises:
            UsageError: a session has no clicks, or the model was not fitted on one of the items.
        """
        clicks = [self.numbers(session, skip_unknown=skip_unknown) for session in sessions]
        if not all(map(len, sessions)):
            raise UsageError("no clicks: name at least one item for each session")
        answers: list[list[tuple[str, float]]] = [[] for _ in clicks]
        known = [i for i, numbers in enumerate(clicks) if len(numbers)]
        at_once, ids = ranking.chunk_rows(self.n_items), list(self.known)
        for part in (known[begin : begin + at_once] for begin in range(0, len(known), at_once)):
            lengths = np.array([len(clicks[i]) for i in part])
            prefixes = Sessions.packed(np.concatenate([clicks[i] for i in part]), lengths, self.n_items)
            with self._blaming_file():
                scores = self.model.score(prefixes)
            if scores.shape != (len(part), self.n_items) or not bool(torch.isfinite(scores).all()):
                raise InputError(f"{self.place}: its scores are not {self.n_items:,} finite numbers; {REMEDY}")
            for i, row in zip(part, scores, strict=True):
                values, order = torch.sort(row, descending=True, stable=True)
                seen = set(clicks[i].tolist()) if exclude_seen else set()
                best = zip(order[: k + len(seen)].tolist(), values[: k + len(seen)].tolist(), strict=True)
                answers[i] = [(ids[n], score) for n, score in best if n not in seen][:k]
        return answers

    def item_vectors(self) -> tuple[list[str], np.ndarray]:
        """Return the items' ids and a vector for each, (n_items, D), of a network or a factor model.

        An item's score is the product of its vector with a query made from the clicks, plus the item's bias.

        Raises:
            ModelError: the model does not score by such a product.
        """
        return list(self.known), self.model.item_vectors().cpu().numpy()

    def attention(self, clicks: Sequence[object]) -> np.ndarray | None:
        """The attention weight of every click that the model reads, (clicks read,); None if it has no attention."""
        numbers = self.numbers(clicks)
        with self._blaming_file():
            prefix = Sessions.packed(numbers, np.array([len(numbers)]), self.n_items)
            weights = self.model.extras(prefix).get("attention")
        return None if weights is None else np.asarray(weights)[0]

    @contextmanager
    def _blaming_file(self) -> Iterator[None]:
        """Say of a model that cannot compute that its file is at fault."""
        try:
            yield
        except (IndexError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise InputError(f"{self.place}: cannot score ({type(error).__name__}); {REMEDY}") from error


def store(model: Recommender, experiment: Experiment, identity: str, split: Split, results: Path) -> None:
    """Store a fitted model. Raises ModelError if its learned state has a type that cannot be stored."""
    content = {
        "experiment": {**asdict(experiment), "params": dict(experiment.params)},
        "identity": identity,
        "source": catalog.current().source(experiment.model),
        "n_items": split.train.n_items,
        "vocabulary": None if split.vocabulary is None else split.vocabulary.tolist(),
        "state": {name: _packed(model.name, name, value) for name, value in vars(model).items() if name.endswith("_")},
    }
    state_file.write(experiment.file(results, ENDING), KIND, content)


def read(place: Path) -> dict[str, Any]:
    """Return the content of a file. Raises InputError if it is absent, broken or changed."""
    return state_file.read(place, KIND, REMEDY)


def fault(kept: Mapping[str, Any], identity: str, split: Mapping[str, Any]) -> str:
    """Say how the content of a file is not of a run; "" if it is.

    Args:
        identity: of the run.
        split: what a record of the run says about its split.
    """
    ids = kept.get("vocabulary")
    digest = None if ids is None else vocabulary_digest(np.array(ids, dtype=object))
    if kept.get("identity") != identity:
        return "of another run"
    return "" if digest == split.get("vocabulary") else "with other item ids"


def is_kept(place: Path, result: Result) -> bool:
    """Return whether a file holds the model of a record, whole."""
    try:
        return not fault(read(place), result.identity, result.split)
    except InputError:  # absent or broken
        return False


def load_model(place: Path | str, device: torch.device | str = "auto") -> KeptModel:
    """Load the model in a file that --keep-model wrote, ready to score.

    For a model of your own the class is needed as well: name its file first, with
    `reproduce.make_recommender("mine.py")` or --model.

    Raises:
        InputError: the file is absent, broken or changed, does not fit today's version of its model, or is of another
            run or other data than the record beside it.
        UsageError: there is no such device.
    """
    place, where = Path(place), choose_device(device)
    kept, table = read(place), place.with_suffix(".json")
    if table.is_file():
        record = load_file(table)[1]
        if wrong := fault(kept, record.identity, record.split):
            raise InputError(f"{place}: {wrong} than its record; {REMEDY} --force")
    here = catalog.current()
    try:
        experiment, n_items, ids = Experiment(**kept["experiment"]), int(kept["n_items"]), kept["vocabulary"]
        if experiment.dataset in here.data:  # a user's own data that were named: their split is at hand
            split = here.data[experiment.dataset].dataset.read(Path())
            if wrong := fault(kept, experiment.identity(split.digest), split_of_record(split)):
                raise InputError(f"{place}: {wrong} than the data named; {REMEDY}")
        if experiment.model not in catalog.recommenders():
            raise InputError(f"{place}: a model of your own, {experiment.model}.py; name its file too")
        if kept["source"] != here.source(experiment.model):
            raise InputError(f"{place}: was fitted by another source of {experiment.model}.py; {REMEDY}")
        if not 0 < n_items <= place.stat().st_size:  # no model learns less than a byte of an item
            raise ValueError("more items than the file can hold")
        if ids is not None and len(ids) != n_items:
            raise ValueError("a vocabulary of another length")
        model = experiment.recommender()
        for name, (kind, value) in kept["state"].items():
            if not name.endswith("_") or name.startswith("_"):
                raise ValueError(f"{name} is not learned")
            setattr(model, name, _unpacked(model, kind, value, n_items, where))
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, UsageError) as error:
        why = in_a_line(str(error).partition("\n")[0], 200)
        raise InputError(f"{place}: does not fit its model as it is today ({why}); {REMEDY}") from error
    vocabulary = None if ids is None else np.array(ids, dtype=object)
    return KeptModel(model, experiment, str(kept["identity"]), n_items, vocabulary, place)


def _packed(model: str, name: str, value: Any) -> tuple[str, Any]:
    """Convert an attribute that a model learned to tensors and plain values, together with its kind."""
    match value:
        case torch.device():
            return "device", None
        case nn.Module():
            return "network", value.state_dict()
        case Tensor():
            return "tensor", value.detach().clone()  # a view would be stored with all that it is a view of
        case np.ndarray() if value.dtype.kind in "biuf":
            return "array", _tensors(value)[0]
        case Sessions():
            return "sessions", [*_tensors(value.items, value.starts, value.stops), value.n_items]
        case sparse.csr_array() | sparse.csr_matrix():
            return "sparse", [*_tensors(value.data, value.indices, value.indptr), list(map(int, value.shape))]
        case np.generic():
            return "plain", value.item()
    if _is_plain(value):
        return "plain", value
    raise ModelError(f"{model}: cannot be kept: {name} is a {type(value).__name__}, not a tensor, array or plain value")


def _tensors(*arrays: np.ndarray) -> list[Tensor]:
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]


def _is_plain(value: Any) -> bool:
    if type(value) is dict:
        return all(map(_is_plain, (*value.keys(), *value.values())))
    if type(value) in (list, tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def _unpacked(model: Any, kind: str, value: Any, n_items: int, device: torch.device) -> Any:
    """Make an attribute of a model again. Raises ValueError, RuntimeError or TypeError if it cannot be one."""
    match kind:
        case "device":
            return device
        case "network":
            network = model.network(n_items)
            network.load_state_dict(value)  # raises for other names or shapes
            return network.to(device).eval()
        case "tensor":
            return value.to(device)
        case "array":
            return value.numpy()
        case "sessions":
            items, starts, stops = (tensor.numpy() for tensor in value[:3])
            if not all(((ends >= 0) & (ends <= len(items))).all() for ends in (starts, stops)):
                raise ValueError("sessions beyond their clicks")
            if not ((items >= 0) & (items < int(value[3]))).all():
                raise ValueError("items outside their catalogue")
            return Sessions(items, starts, stops, int(value[3]))
        case "sparse":
            matrix = sparse.csr_array(tuple(tensor.numpy() for tensor in value[:3]), shape=tuple(value[3]))
            matrix.check_format(full_check=True)  # an index out of range would be read from foreign memory
            return matrix
        case "plain":
            return value
    raise ValueError(f"a part of the unknown kind {kind}")
