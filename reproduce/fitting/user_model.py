"""A user's own model: its file joins the catalogue under its name, and errors are reported in a line that names it.

The file defines one dataclass that is a Recommender, as the files in baselines/ do. A file that cannot be used joins as
a model that fails with the reason, so that the other cells of a table still run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Literal, get_origin, get_type_hints

import numpy as np
import torch

from reproduce.errors import InputError, ModelError, SuiteError, UsageError, in_a_line
from reproduce.files import Terminated
from reproduce.fitting.determinism import Precision, deterministic
from reproduce.fitting.recommender import Journal, Recommender
from reproduce.reading.sessions import Sessions


@dataclasses.dataclass(frozen=True)
class Own:
    """A user's model, loaded from a file."""

    file: Path
    text: bytes  # as it was when the file was loaded
    sha256: str  # of the text: another source makes another experiment
    kind: type[Recommender]


MODELS: dict[str, Own] = {}  # the models loaded by this process, by name


@dataclasses.dataclass
class Unusable(Recommender):
    """Stands in for the model of a file that cannot be used."""

    why: ClassVar[str]

    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        raise ModelError(self.why)

    def score(self, prefixes: Sessions) -> torch.Tensor:
        raise ModelError(self.why)


def adopt(file: Path, taken: Callable[[str], bool]) -> str:
    """Load a model from its file and return its name, which is the file's name without .py.

    Loading the same file again gives the same model.

    Args:
        taken: whether the suite itself has a model of a given name.

    Raises:
        InputError: the file cannot be read.
        UsageError: the name is taken, or cannot be used for files of records.
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
    if known is not None and known.file.resolve() != file.resolve():
        raise UsageError(f"{file}: {known.file} is a model called {name} too; rename one of the files")
    if known is None or known.sha256 != sha256:
        MODELS[name] = Own(file, source, sha256, _kind(name, file))
    return name


def _kind(name: str, file: Path) -> type[Recommender]:
    try:
        with own_model():
            found = _find(_load(name, file))
    except Raised as error:
        found = str(error)
    if isinstance(found, str):
        kind: type[Recommender] = type(name, (Unusable,), {"why": f"{name}: {file.name} {found}"})
    else:
        kind = found
    kind.name = name
    kind.label = sound_label(getattr(kind, "label", None)) or name
    return kind


def sound_label(label: Any) -> str:
    """Return the label if a table can show it, else ""."""
    told = isinstance(label, str) and 0 < len(label) <= 60 and label.isprintable() and "|" not in label
    return str(label) if told else ""


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
    """Return the one model of a module, or what is wrong with it."""
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
    return _wrong_fields(kind) or kind


def _wrong_fields(kind: type[Recommender]) -> str:
    """Say what is wrong with a model's fields, which records keep and the command line sets; "" if nothing is."""
    try:
        types = get_type_hints(kind)
    except Exception as error:
        return f"must annotate its fields with names that there are ({type(error).__name__})"
    for one in dataclasses.fields(kind):  # type: ignore[arg-type]
        if types[one.name] not in (bool, int, float, str) and get_origin(types[one.name]) is not Literal:
            return f"must annotate {one.name} as bool, int, float, str or Literal[...]"
        value: Any = one.default
        if not (type(value) in (bool, str) or (type(value) in (int, float) and abs(value) < 1e300)):
            return f"must have a number, a word or a truth value as the default of {one.name}"
    return ""


@dataclasses.dataclass
class _Traceback:
    shown: bool = False
    printed: set[str] = dataclasses.field(default_factory=set)  # a repeated error is printed once


_traceback = _Traceback()


def show_tracebacks(on: bool) -> None:
    """Set whether errors of a user's model are also printed with a traceback on standard error (--traceback)."""
    _traceback.shown, _traceback.printed = on, set()


def shows_tracebacks() -> bool:
    return _traceback.shown


class Raised(Exception):
    """What a user's model raised, in one line."""


@contextmanager
def own_model() -> Iterator[None]:
    """Guard a call into a user's model: it may not end the process or the grid, or move the working directory.

    Whatever it raises becomes Raised, even SystemExit; only the suite's own errors, Ctrl-C and SIGTERM pass through.
    """
    here = Path.cwd()
    try:
        yield
    except (SuiteError, KeyboardInterrupt, Terminated):
        raise
    except BaseException as error:
        told = raised(error)
        if _traceback.shown and told not in _traceback.printed:
            _traceback.printed.add(told)
            traceback.print_exception(error)
        raise Raised(told) from error
    finally:
        os.chdir(here)


def raised(error: BaseException) -> str:
    """Describe an exception in one line: type, message and innermost place, in a user's model if there is one."""
    frames = traceback.extract_tb(error.__traceback__)
    files = {str(one.file) for one in MODELS.values()}
    place = next((one for one in reversed(frames) if one.filename in files), frames[-1] if frames else None)
    try:
        text = in_a_line(str(error).partition("\n")[0], 200)
    except Exception:  # its __str__ fails too
        text = ""
    where = "" if isinstance(error, SyntaxError) or not place else f" ({Path(place.filename).name}:{place.lineno})"
    return f"raised {type(error).__name__}{f': {text}' if text else ''}{where}"


class Guard(Recommender):
    """A wrapper of a user's model: the model gets copies, and every fault becomes a ModelError that names it.

    The model computes as the suite's do, with deterministic algorithms and without TF32, and may not change that.
    """

    def __init__(self, model: Recommender) -> None:
        self.model = model

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.model.name

    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        before = repr(_fields(self.model))
        self._call("fit", lambda given: self.model.fit(given, seed=seed, device=device, journal=journal), train)
        if repr(_fields(self.model)) != before:
            raise ModelError(f"{self.name}: fit changed the model's fields; learned state has names that end in _")

    def score(self, prefixes: Sessions) -> torch.Tensor:
        scores = self._call("score", self.model.score, prefixes)
        if isinstance(scores, torch.Tensor) and (wrong := _unusable(scores)):
            raise ModelError(f"{self.name}: score must return plain real numbers, not {wrong}")
        return scores

    def extras(self, prefixes: Sessions) -> dict[str, Any]:
        extras = self._call("extras", self.model.extras, prefixes)
        if not isinstance(extras, dict):
            raise ModelError(f"{self.name}: extras must return a dict, not a {type(extras).__name__}")
        attention = extras.get("attention")
        plain = isinstance(attention, np.ndarray) and attention.ndim == 2 and attention.dtype.kind in "fiu"
        if attention is None or (plain and len(attention) == len(prefixes) and np.isfinite(attention).all()):
            return extras
        raise ModelError(f"{self.name}: attention must be an array of finite weights, (prefixes, clicks)")

    def _call(self, verb: str, work: Callable[[Sessions], Any], sessions: Sessions) -> Any:
        given = Sessions(sessions.items.copy(), sessions.starts.copy(), sessions.stops.copy(), sessions.n_items)
        precision = Precision()
        try:
            with own_model(), deterministic():
                answer = work(given)
                precision.look()
        except Raised as error:
            raise ModelError(f"{self.name}: {verb} {error}") from error.__cause__
        if precision != Precision():
            raise ModelError(f"{self.name}: {verb} turned deterministic algorithms off or TF32 on; leave both alone")
        for array in ("items", "starts", "stops"):
            if not np.array_equal(getattr(given, array), getattr(sessions, array)):
                raise ModelError(f"{self.name}: {verb} changed the {array} of the sessions it was given")
        return answer


def _fields(model: Recommender) -> dict[str, Any]:
    return {one.name: getattr(model, one.name, None) for one in dataclasses.fields(model)}  # type: ignore[arg-type]


def _unusable(scores: torch.Tensor) -> str:
    """Say why a tensor's numbers cannot be compared; "" if they can."""
    if scores.layout != torch.strided or scores.is_nested:
        return "a sparse or nested tensor"
    if scores.is_quantized or scores.device.type == "meta":
        return "a quantised tensor" if scores.is_quantized else "a tensor without numbers (device meta)"
    return "" if not scores.is_complex() else f"numbers of type {str(scores.dtype).removeprefix('torch.')}"


def guarded(model: Recommender) -> Recommender:
    """Return the model itself if it is the suite's, or in a Guard if it is a user's."""
    return Guard(model) if any(type(model) is one.kind for one in MODELS.values()) else model


def asked_for_as(name: str) -> str:
    """Return how a model is named on the command line: a user's model by its file."""
    return str(MODELS[name].file) if name in MODELS else name


def word(name: str, absolute: bool) -> str:
    """Return the word that names a model on the command line: an own model by its path."""
    if name not in MODELS:
        return name
    file = MODELS[name].file
    return str(file.resolve() if absolute else file)


def source(name: str) -> str | None:
    """Return the sha256 of the source of a user's model; None for the suite's models."""
    return MODELS[name].sha256 if name in MODELS else None


def described(name: str) -> dict[str, str]:
    """Return what records keep of a user's model, so that pages do not need its file; {} for the suite's models."""
    return {"source": MODELS[name].sha256, "label": MODELS[name].kind.label} if name in MODELS else {}
