"""One's own model: a file joins the catalogue under its name, and what is wrong with it is told in a line naming it.

The file defines one dataclass that is a Recommender, as the files in baselines/ do. A file that cannot be used still
joins, as a model that fails with the reason, so that the other cells of a table go on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import torch

from reproduce.errors import InputError, ModelError, SuiteError, UsageError
from reproduce.fitting.determinism import Precision, deterministic
from reproduce.fitting.recommender import Journal, Recommender
from reproduce.reading.sessions import Sessions


@dataclasses.dataclass(frozen=True)
class Own:
    """A model that was taken in from a file."""

    file: Path
    sha256: str  # of the source: other source, other experiment
    kind: type[Recommender]


MODELS: dict[str, Own] = {}  # those taken in by this process, by name


@dataclasses.dataclass
class Unusable(Recommender):
    """Stands for a file that gives no model."""

    why: ClassVar[str]

    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        raise ModelError(self.why)

    def score(self, prefixes: Sessions) -> torch.Tensor:
        raise ModelError(self.why)


def adopt(file: Path, taken: Callable[[str], bool]) -> str:
    """Take a model in from its file; its name is the file's without .py. The same file twice is one model.

    Args:
        taken: whether the suite has a model of a name itself.

    Raises:
        InputError: there is no such file.
        UsageError: the name is taken, or no name for a file of records.
    """
    name = file.stem
    try:
        source = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: cannot read this model file ({error.strerror})") from error
    if taken(name):
        raise UsageError(f"{file}: the suite has a model called {name}; rename the file")
    if not name.isidentifier():
        raise UsageError(f"{file}: its name names the model; use letters, digits and underscores, such as my_model.py")
    sha256 = hashlib.sha256(source).hexdigest()
    known = MODELS.get(name)
    if known is None or known.sha256 != sha256:
        MODELS[name] = Own(file, sha256, _kind(name, file))
    elif known.file.resolve() != file.resolve():
        raise UsageError(f"{file}: {known.file} is a model called {name} too; rename one of the files")
    return name


def _kind(name: str, file: Path) -> type[Recommender]:
    try:
        found = _find(_load(name, file))
    except Exception as error:  # a user's file may raise anything
        found = raised(error)
    if isinstance(found, str):
        kind: type[Recommender] = type(name, (Unusable,), {"why": f"{name}: {file.name} {found}"})
    else:
        kind = found
    kind.name = name
    kind.label = getattr(kind, "label", name)
    return kind


def _load(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"_own_{name}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module


def _find(module: ModuleType) -> type[Recommender] | str:
    """The one model of a module, or what is wrong with it."""
    kinds = [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Recommender) and kind.__module__ == module.__name__
    ]
    if len(kinds) != 1:
        names = ", ".join(kind.__name__ for kind in kinds) or "none"
        return f"must define one class that is a reproduce.Recommender; there is: {names}"
    kind = kinds[0]
    if inspect.isabstract(kind):
        return f"lacks {' and '.join(sorted(kind.__abstractmethods__))} in its class {kind.__name__}"
    if "__dataclass_fields__" not in vars(kind):
        return f"must have @dataclass(kw_only=True) above its class {kind.__name__}"
    without = [one.name for one in dataclasses.fields(kind) if one.default is dataclasses.MISSING]  # type: ignore[arg-type]
    if without:
        return f"must give its fields a default: {', '.join(without)}"
    return kind


def raised(error: BaseException) -> str:
    """An exception in a line: its kind, what it says, and its innermost place, in an own model if it passed one."""
    frames = traceback.extract_tb(error.__traceback__)
    files = {str(one.file) for one in MODELS.values()}
    place = next((one for one in reversed(frames) if one.filename in files), frames[-1])
    text = str(error).partition("\n")[0]
    where = "" if isinstance(error, SyntaxError) else f" ({Path(place.filename).name}:{place.lineno})"
    return f"raised {type(error).__name__}{f': {text}' if text else ''}{where}"


class Guard(Recommender):
    """An own model behind a fence: it works on copies, and whatever it breaks is a ModelError that names it.

    It computes as the suite's models do, with deterministic algorithms and without TF32, and may not change that.
    """

    def __init__(self, model: Recommender) -> None:
        self.model = model

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.model.name

    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        self._call("fit", lambda given: self.model.fit(given, seed=seed, device=device, journal=journal), train)

    def score(self, prefixes: Sessions) -> torch.Tensor:
        return self._call("score", self.model.score, prefixes)

    def extras(self, prefixes: Sessions) -> dict[str, Any]:
        return self._call("extras", self.model.extras, prefixes)

    def _call(self, verb: str, work: Callable[[Sessions], Any], sessions: Sessions) -> Any:
        given = Sessions(sessions.items.copy(), sessions.starts.copy(), sessions.stops.copy(), sessions.n_items)
        precision = Precision()
        try:
            with deterministic():
                answer = work(given)
                precision.look()
        except SuiteError:
            raise
        except Exception as error:
            raise ModelError(f"{self.name}: {verb} {raised(error)}") from error
        if precision != Precision():
            raise ModelError(f"{self.name}: {verb} turned deterministic algorithms off or TF32 on; leave both alone")
        for array in ("items", "starts", "stops"):
            if not np.array_equal(getattr(given, array), getattr(sessions, array)):
                raise ModelError(f"{self.name}: {verb} changed the {array} of the sessions it was given")
        return answer


def guarded(model: Recommender) -> Recommender:
    """The model itself if it is the suite's; behind a fence if it is a user's."""
    return Guard(model) if any(type(model) is one.kind for one in MODELS.values()) else model


def asked_for_as(name: str) -> str:
    """How a model is asked for on the command line: an own one by its file."""
    return str(MODELS[name].file) if name in MODELS else name


def source(name: str) -> str | None:
    """The sha256 of an own model's source; None of the suite's models."""
    return MODELS[name].sha256 if name in MODELS else None
