"""Recommender: the contract every model keeps, and only the contract."""

from __future__ import annotations

import dataclasses
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import torch

from reproduce.errors import InputError
from reproduce.evaluation.shared_row import SharedRow
from reproduce.reading.sessions import Sessions


class Recommender(ABC):
    """Subclasses are dataclasses whose fields are the hyper-parameters, made with `setting`.

    The constructor does nothing. Learned state ends in `_` and is born in `fit`. Randomness comes in by the seed;
    global random state is as before when `fit` returns.
    """

    name: ClassVar[str]  # as on the command line
    label: ClassVar[str]  # as in a table
    learns_order: ClassVar[bool] = True  # whether it can tell a click from the one after it; see contract.py
    deterministic: ClassVar[bool] = False  # whether another seed gives the same ranks: a model without chance

    def __init_subclass__(cls) -> None:
        """`fit` may be called with train alone, whoever wrote it: the rest is seed 0, the CPU and the quiet journal."""
        super().__init_subclass__()
        if "fit" in vars(cls):
            cls.fit = _with_the_rest(cls.fit)  # type: ignore[method-assign]

    @abstractmethod
    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        """Learn from whole training sessions. A model that wants validation data carves it out of these.

        The journal is fit's one window: progress to the terminal, the history of epochs, the checkpoint. A caller may
        leave out the seed (0), the device (the CPU) and the journal (one that keeps nothing).
        """

    @abstractmethod
    def score(self, prefixes: Sessions) -> torch.Tensor:
        """(len(prefixes), n_items) finite scores on the device of `fit`, higher is better; a pure function."""

    def shared_row(self, prefixes: Sessions) -> SharedRow | None:
        """The same scores as one row for all prefixes and the cells that differ, where they are of this form.

        Such scores are ranked without a row for every prefix, hundreds of times faster. None by default.
        """
        return None

    def extras(self, prefixes: Sessions) -> dict[str, Any]:
        """What a figure may want of some prefixes: NARM's attention. Nothing by default."""
        return {}


UNKNOWN: Any = object()  # no value at all: not even None


def setting(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    search: Any = None,
    note: str = "",
    before: Any = UNKNOWN,
) -> Any:
    """A hyper-parameter of a model.

    Args:
        default: the value where nothing else is given.
        low, high: the values allowed, low <= x <= high. Choices among names are typed with Literal instead.
        search: what a search may try, a pair (low, high) or a list of values.
        note: whose choice the default is.
        before: for a field that a model gained after runs of it were recorded: the value that describes those runs.
            With this value the field is left out of a run's identity, so that their records stand.
    """
    metadata = {"low": low, "high": high, "search": search, "note": note, "before": before}
    return dataclasses.field(default=default, metadata=metadata)


Batch = TypeVar("Batch")


@dataclass
class Journal:
    """The quiet journal: remembers the history of epochs while it lives, and keeps nothing."""

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
        """Hand the batches of an epoch through, telling how far it is.

        `loss`: the mean loss of the batches so far; who asks waits for the device.
        """
        yield from batches

    def epoch(self, numbers: Mapping[str, float]) -> None:
        """Note an epoch that is finished."""
        self.history.append(dict(numbers))

    def restore(self) -> dict[str, Any] | None:
        """The state that an interrupted fit last saved, or None; the history is as it was then."""
        return None

    def misfit(self, name: str, why: str) -> InputError:
        """What to raise where the state that `restore` gave is not of this model."""
        return InputError(f"the checkpoint does not fit {name} ({why}); --fresh starts over")

    def save(self, state: dict[str, Any]) -> None:
        """Keep tensors and plain values, from which this fit can go on."""


def _with_the_rest(fit: Callable[..., None]) -> Callable[..., None]:
    """`fit` with what its caller left out."""

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
