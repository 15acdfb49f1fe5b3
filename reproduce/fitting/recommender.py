"""Recommender: the interface that every model implements, with its settings and its journal."""

from __future__ import annotations

import dataclasses
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import torch

from reproduce.errors import InputError, ModelError
from reproduce.reading.sessions import Sessions


class Recommender(ABC):
    """The base class of models: dataclasses whose fields, made with `setting`, are the hyper-parameters.

    The constructor only stores the fields. Learned state is created in `fit`, in attributes whose names end in `_`. All
    randomness comes from the seed, and `fit` leaves the global random state as it was.
    """

    name: ClassVar[str]  # as on the command line
    label: ClassVar[str]  # as in a table
    learns_order: ClassVar[bool] = True  # whether it can learn that one item follows another; see contract.py
    deterministic: ClassVar[bool] = False  # whether every seed gives the same ranks
    # The models that vary about as much between seeds: "softmax" (trained by a softmax over all items), "sampled" (by
    # pairs or sampled items), or "", this model alone. See evaluation/uncertainty.py.
    family: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        """Give `fit` of every subclass default arguments: seed 0, the CPU and the quiet journal."""
        super().__init_subclass__()
        if "fit" in vars(cls):
            cls.fit = _with_the_rest(cls.fit)  # type: ignore[method-assign]

    @abstractmethod
    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        """Learn from whole training sessions; a model that needs validation data takes it from these.

        Progress in the terminal, the history of epochs and the checkpoint all go through the journal. A caller may
        leave out the seed (0), the device (the CPU) and the journal (one that saves nothing).
        """

    @abstractmethod
    def score(self, prefixes: Sessions) -> torch.Tensor:
        """Return finite scores, (len(prefixes), n_items), on the device of `fit`; higher is better.

        This is a pure function of the prefixes.
        """

    def extras(self, prefixes: Sessions) -> dict[str, Any]:
        """Return what figures show of some prefixes, such as NARM's attention; nothing by default."""
        return {}

    def item_vectors(self) -> torch.Tensor:
        """Return a vector for every item, (n_items, D): an item's score is its product with a query, plus its bias.

        Raises:
            ModelError: the model does not score by such a product (the default).
        """
        raise ModelError(f"{self.name}: has no vectors of items; networks and factor models have")


UNKNOWN: Any = object()  # no value at all, since None can be a value


def setting(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    search: Any = None,
    note: str = "",
    before: Any = UNKNOWN,
) -> Any:
    """Define a hyper-parameter of a model as a dataclass field.

    Args:
        default: the value if no other is given.
        low, high: the bounds of a number, low <= x <= high. Choices among names are typed with Literal instead.
        search: what a search may try, a pair (low, high) or a list of values.
        note: a remark, mostly on where the default comes from.
        before: for a field that was added after runs of the model were recorded: the value that describes those runs.
            A field with this value is left out of a run's identity, so that those records stay valid.
    """
    metadata = {"low": low, "high": high, "search": search, "note": note, "before": before}
    return dataclasses.field(default=default, metadata=metadata)


Batch = TypeVar("Batch")


@dataclass
class Journal:
    """The quiet journal: it holds the history of epochs in memory, saves nothing and prints nothing."""

    history: list[dict[str, float]] = field(default_factory=list)

    def steps(
        self,
        batches: Iterable[Batch],
        *,
        epoch: int,
        epochs: int,
        examples: int,
        loss: Callable[[], float] | None = None,
    ) -> Iterator[Batch]:
        """Yield the batches of an epoch; a journal that shows progress does so in between.

        `loss` returns the mean loss of the batches so far; calling it waits for the device.
        """
        yield from batches

    def epoch(self, numbers: Mapping[str, float]) -> None:
        """Add the numbers of a finished epoch to the history."""
        self.history.append(dict(numbers))

    def restore(self) -> dict[str, Any] | None:
        """Return the state that an interrupted fit last saved, and restore its history; None if there is none."""
        return None

    def misfit(self, name: str, why: str) -> InputError:
        """Return the error to raise if the state from `restore` does not belong to this model."""
        return InputError(f"the checkpoint does not fit {name} ({why}); --fresh starts over")

    def save(self, state: dict[str, Any]) -> None:
        """Save the tensors and plain values from which this fit can be resumed."""


def _with_the_rest(fit: Callable[..., None]) -> Callable[..., None]:
    """Wrap `fit` so that seed, device and journal have defaults."""

    @functools.wraps(fit)
    def whole(
        self: Recommender,
        train: Sessions,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        journal: Journal | None = None,
    ) -> None:
        fit(self, train, seed=seed, device=torch.device(device), journal=Journal() if journal is None else journal)

    return whole
