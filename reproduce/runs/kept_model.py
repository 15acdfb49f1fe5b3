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
from reproduce.errors import InputError, ModelError, SuiteError, UsageError, in_a_line
from reproduce.evaluation import ranking
from reproduce.fitting import user_model
from reproduce.fitting.recommender import Recommender
from reproduce.reading import own_data
from reproduce.reading.sessions import Sessions, Split, vocabulary_digest
from reproduce.runs import state_file
from reproduce.runs.environment import choose_device
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import Result, load_file, split_of_record

ENDING, KIND, REMEDY = ".model", "model", "fit it again with --keep-model"
PLAIN = (bool, int, float, str, type(None))


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
        texts = [text for text in map(str, clicks) if not skip_unknown or text in self.known]
        for text in texts:
            if text not in self.known:
                told = (
                    f"item {in_a_line(repr(text))}: not among the {self.n_items:,} items that the model was fitted on"
                )
                raise UsageError(f"{told}; skip such items with --skip-unknown (skip_unknown=True)")
        return np.array([self.known[text] for text in texts], dtype=np.int64)

    def id_of(self, number: int) -> str:
        return str(number if self.vocabulary is None else self.vocabulary[number])

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
        (items,) = self.recommend_each([clicks], k, skip_unknown=skip_unknown, exclude_seen=exclude_seen)
        if not items:
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
        if not all(map(len, sessions)):
            raise UsageError("no clicks: name at least one item for each session")
        clicks = [self.numbers(session, skip_unknown=skip_unknown) for session in sessions]
        answers: list[list[tuple[str, float]]] = [[] for _ in clicks]
        some = [i for i, numbers in enumerate(clicks) if len(numbers)]
        at_once = ranking.chunk_rows(self.n_items)
        for part in (some[begin : begin + at_once] for begin in range(0, len(some), at_once)):
            lengths = np.array([len(clicks[i]) for i in part])
            prefixes = Sessions.packed(np.concatenate([clicks[i] for i in part]), lengths, self.n_items)
            with self._asked():
                scores = self.model.score(prefixes)
            if scores.shape != (len(part), self.n_items) or not bool(torch.isfinite(scores).all()):
                raise InputError(f"{self.place}: its scores are not {self.n_items:,} finite numbers; {REMEDY}")
            if exclude_seen:
                items, owner = (torch.as_tensor(array, device=scores.device) for array in prefixes.clicks())
                scores = scores.index_put((owner, items), scores.new_full((), -torch.inf))
            ordered = torch.sort(scores, dim=1, descending=True, stable=True)
            values, best = ordered.values[:, :k].tolist(), ordered.indices[:, :k].tolist()
            for i, numbers, row in zip(part, best, values, strict=True):
                answers[i] = [(self.id_of(n), one) for n, one in zip(numbers, row, strict=True) if one > -np.inf]
        return answers

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Say of a model that cannot compute that its file is at fault."""
        try:
            yield
        except (IndexError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise InputError(f"{self.place}: cannot score ({type(error).__name__}); {REMEDY}") from error

    def item_vectors(self) -> tuple[list[str], np.ndarray]:
        """Return the items' ids and a vector for each, (n_items, D), of a network or a factor model.

        An item's score is the product of its vector with a query made from the clicks, plus the item's bias.

        Raises:
            ModelError: the model does not score by such a product.
        """
        return list(self.known), self.model.item_vectors().cpu().numpy()

    def attention(self, clicks: Sequence[object]) -> np.ndarray | None:
        """The attention weight of every click that the model reads, (clicks read,); None if it has no attention."""
        with self._asked():
            weights = self.model.extras(self.prefix(clicks)).get("attention")
        return None if weights is None else np.asarray(weights)[0]

    def prefix(self, clicks: Sequence[object]) -> Sessions:
        """Make some clicks a single prefix with the model's item numbers. Raises UsageError if there are no clicks."""
        if not clicks:
            raise UsageError("no clicks: name at least one item")
        return Sessions.packed(self.numbers(clicks), np.array([len(clicks)]), self.n_items)


def place_of(experiment: Experiment, results: Path) -> Path:
    place = results / experiment.path
    return place.with_name(place.name + ENDING)


def store(model: Recommender, experiment: Experiment, identity: str, split: Split, results: Path) -> None:
    """Store a fitted model. Raises ModelError if its learned state has a type that cannot be stored."""
    content = {
        "experiment": {**asdict(experiment), "params": dict(experiment.params)},
        "identity": identity,
        "source": user_model.source(experiment.model),
        "n_items": split.train.n_items,
        "vocabulary": None if split.vocabulary is None else split.vocabulary.tolist(),
        "state": {name: _packed(model.name, name, value) for name, value in vars(model).items() if name.endswith("_")},
    }
    state_file.write(place_of(experiment, results), KIND, content)


def is_of(place: Path, identity: str, split: Split) -> bool:
    """Whether a file holds the kept model of a run: its identity and item ids. False if it is absent or broken."""
    try:
        return not _fault(_read(place), identity, split_of_record(split))
    except SuiteError:
        return False


def fault(place: Path, result: Result) -> str:
    """Say how a kept model does not belong to the record of its run; "" if it does.

    Raises:
        InputError: the file is absent, broken or changed.
    """
    return _fault(_read(place), result.identity, result.split)


def _fault(kept: Mapping[str, Any], identity: str, split: Mapping[str, Any]) -> str:
    if kept.get("identity") != identity:
        return "of another run than its record"
    words = kept.get("vocabulary")
    known = None if words is None else vocabulary_digest(np.array(words, dtype=object))
    return "" if known == split.get("vocabulary") else "with other item ids than its record"


def load_model(place: Path | str, device: torch.device | str = "auto") -> KeptModel:
    """Load the model in a file that --keep-model wrote, ready to score.

    For a model of your own the class is needed as well: name its file first, with
    `reproduce.make_recommender("mine.py")` or --model.

    Raises:
        InputError: the file is absent, broken or changed, does not fit today's version of its model, or is of another
            run or other data than the record beside it.
        UsageError: there is no such device.
    """
    place = Path(place)
    kept = _read(place)
    table = place.with_suffix(".json")
    if table.is_file() and (told := _fault(kept, (record := load_file(table)[1]).identity, record.split)):
        raise InputError(f"{place}: {told}; {REMEDY} --force")
    where = choose_device(device)
    try:
        said = kept["experiment"]
        experiment = Experiment(said["dataset"], said["model"], said["params"], said["seed"])
        own = catalog.datasets().get(experiment.dataset) if own_data.NAME.fullmatch(experiment.dataset) else None
        if own is not None:  # a user's own data that were named: their split is at hand
            split = own.read(Path())
            if told := _fault(kept, experiment.identity(split.digest), split_of_record(split)):
                raise InputError(f"{place}: {told.removesuffix('its record')}the data named; {REMEDY}")
        if experiment.model not in catalog.recommenders():
            raise InputError(f"{place}: a model of your own, {experiment.model}.py; name its file too")
        if kept["source"] != user_model.source(experiment.model):
            raise InputError(f"{place}: was fitted by another source of {experiment.model}.py; {REMEDY}")
        if not 0 < int(kept["n_items"]) <= place.stat().st_size:  # no model learns less than a byte of an item
            raise ValueError("more items than the file can hold")
        model = experiment.recommender()
        for name, packed in kept["state"].items():
            if not name.endswith("_") or name.startswith("_"):
                raise ValueError(f"{name} is not learned")
            setattr(model, name, _unpacked(model, packed, int(kept["n_items"]), where))
        words = kept["vocabulary"]
        if words is not None and (type(words) is not list or len(words) != kept["n_items"]):
            raise ValueError("a vocabulary of another length")
        vocabulary = None if words is None else np.array(words, dtype=object)
        return KeptModel(model, experiment, str(kept["identity"]), int(kept["n_items"]), vocabulary, place)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, UsageError) as error:
        told = in_a_line(str(error).partition("\n")[0], 200)
        raise InputError(f"{place}: does not fit its model as it is today ({told}); {REMEDY}") from error


def _read(place: Path) -> dict[str, Any]:
    return state_file.read(place, KIND, REMEDY)


def _packed(model: str, name: str, value: Any) -> tuple[str, Any]:
    """Convert an attribute that a model learned to tensors and plain values, together with its kind."""
    if isinstance(value, torch.device):
        return "device", None
    if isinstance(value, nn.Module):
        return "network", {key: one.detach().cpu().clone() for key, one in value.state_dict().items()}
    if isinstance(value, Tensor):
        return "tensor", value.detach().cpu().clone()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return "array", torch.from_numpy(np.ascontiguousarray(value))
    if isinstance(value, Sessions):
        return "sessions", [*(torch.from_numpy(one) for one in (value.items, value.starts, value.stops)), value.n_items]
    if isinstance(value, sparse.csr_array | sparse.csr_matrix):
        parts = [torch.from_numpy(np.ascontiguousarray(one)) for one in (value.data, value.indices, value.indptr)]
        return "sparse", [*parts, list(map(int, value.shape))]
    if isinstance(value, np.generic):
        return "plain", value.item()
    if _is_plain(value):
        return "plain", value
    raise ModelError(f"{model}: cannot be kept: {name} is a {type(value).__name__}, not a tensor, array or plain value")


def _is_plain(value: Any) -> bool:
    if type(value) in (list, tuple):
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(type(key) in PLAIN and _is_plain(one) for key, one in value.items())
    return type(value) in PLAIN


def _unpacked(model: Any, packed: Any, n_items: int, device: torch.device) -> Any:
    kind, value = packed
    if kind == "device":
        return device
    if kind == "network":
        network = model.network(n_items)
        network.load_state_dict(value)  # raises for other names or shapes
        return network.to(device).eval()
    if kind == "tensor":
        return value.to(device)
    if kind == "array":
        return value.numpy()
    if kind == "sessions":
        items, starts, stops = (one.numpy() for one in value[:3])
        ends = np.concatenate([starts, stops])
        if ends.size and not 0 <= ends.min() <= ends.max() <= len(items):
            raise ValueError("sessions beyond their clicks")
        if items.size and not 0 <= items.min() <= items.max() < int(value[3]):
            raise ValueError("items outside their catalogue")
        return Sessions(items, starts, stops, int(value[3]))
    if kind == "sparse":
        data, indices, indptr = (one.numpy() for one in value[:3])
        matrix = sparse.csr_array((data, indices, indptr), shape=tuple(value[3]))
        matrix.check_format(full_check=True)  # an index out of range would be read from foreign memory
        return matrix
    if kind == "plain":
        return value
    raise ValueError(f"a part of the unknown kind {kind}")
