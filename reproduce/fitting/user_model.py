"""A user's own model: a file that defines one dataclass that is a Recommender, as the files in baselines/ do.

A command knows such a model by a stand-in, a class with the same fields and label but without the file's code, which
runs in processes of its own only (own_process.py). There, and where the library is used, the class itself is loaded. A
file that cannot be used gives a model that fails with the reason, so that the other cells of a table still run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Literal, get_origin, get_type_hints

import torch

from reproduce import own_process
from reproduce.errors import InputError, ModelError, UsageError
from reproduce.fitting.recommender import UNKNOWN, Journal, Recommender, setting
from reproduce.reading.sessions import Sessions

CLASS_VARIABLES = ("label", "learns_order", "deterministic", "family")  # that a stand-in has too


@dataclasses.dataclass(frozen=True)
class OwnModel:
    """A user's model, known from a file whose name without .py is the model's."""

    file: Path
    sha256: str  # of the text: another source makes another experiment
    kind: type[Recommender]
    stands_in: bool  # whether `kind` is a stand-in, whose runs happen in another process

    @property
    def described(self) -> dict[str, str]:
        """What records keep of the model, so that pages do not need its file."""
        return {"source": self.sha256, "label": self.kind.label}


@dataclasses.dataclass
class Unusable(Recommender):
    """The model of a file that cannot be used."""

    why: ClassVar[str]

    def fit(self, train: Sessions, *, seed: int, device: torch.device, journal: Journal) -> None:
        raise ModelError(self.why)

    def score(self, prefixes: Sessions) -> torch.Tensor:
        raise ModelError(self.why)


def read(file: Path, known: OwnModel | None, *, load: bool) -> OwnModel:
    """Return the model of a file.

    Args:
        known: the model of that name that is known already.
        load: run the file here and return its class; otherwise the class is a stand-in.

    Raises:
        InputError: the file cannot be read.
        UsageError: its name is another file's, or cannot be used for files of records.
    """
    name = file.stem
    try:
        source = file.read_bytes()
        sha256 = hashlib.sha256(source).hexdigest()
    except OSError as error:
        raise InputError(f"{file}: cannot read this model file ({error.strerror})") from error
    if not name.isidentifier():
        raise UsageError(f"{file}: its name names the model; use letters, digits and underscores, such as my_model.py")
    if known is not None and known.file.resolve() != file.resolve():
        raise UsageError(f"{file}: {known.file} is a model called {name} too; rename one of the files")
    if known is not None and known.sha256 == sha256 and not (load and known.stands_in):
        return known
    kind = _loaded(name, file, source) if load else _stand_in(name, file)
    kind.name = name
    kind.label = sound_label(getattr(kind, "label", None)) or name
    return OwnModel(file, sha256, kind, stands_in=not (load or issubclass(kind, Unusable)))


def _unusable(name: str, why: str) -> type[Recommender]:
    return type(name, (Unusable,), {"why": why})


def _loaded(name: str, file: Path, source: bytes) -> type[Recommender]:
    """Return the class that a file with this source defines, by running it here."""
    try:
        found = _find(_load(name, file, source))
    except BaseException as error:  # the code may raise anything, SystemExit too
        if isinstance(error, KeyboardInterrupt):
            raise
        found = own_process.raised(error, file)
    return found if not isinstance(found, str) else _unusable(name, f"{name}: {file.name} {found}")


@dataclasses.dataclass(frozen=True)
class _Declared:
    """What a stand-in is made from: plain values, which can be sent from the process that ran the file."""

    base: tuple[str, str]  # module and name of the suite's class that the model is derived from
    variables: dict[str, Any]
    fields: list[tuple[str, Any, Any, dict[str, Any]]]  # name, type, default, arguments of `setting`


def _declared(file: Path, name: str) -> _Declared | str:
    """Describe the class that a file defines; a text says why it cannot be used."""
    kind = _loaded(name, file, file.read_bytes())
    if issubclass(kind, Unusable):
        return kind.why
    base = next(base for base in kind.__mro__ if base.__module__.startswith("reproduce."))
    types = get_type_hints(kind)
    fields = [
        (
            field.name,
            types[field.name],
            field.default,
            {key: value for key, value in field.metadata.items() if value is not UNKNOWN},
        )
        for field in dataclasses.fields(kind)  # type: ignore[arg-type]
    ]
    variables = {key: getattr(kind, key) for key in CLASS_VARIABLES if hasattr(kind, key)}
    return _Declared((base.__module__, base.__qualname__), variables, fields)


def _stand_in(name: str, file: Path) -> type[Recommender]:
    """Return a class with the fields, label and base of the class that a file defines; it runs none of its code."""
    try:
        declared = own_process.call(file, _declared, name)
    except ModelError as error:
        return _unusable(name, f"{name}: {file.name} {error}")
    if isinstance(declared, str):
        return _unusable(name, declared)
    module, base_name = declared.base
    base = getattr(importlib.import_module(module), base_name)
    methods = dict.fromkeys({"fit", "score", *base.__abstractmethods__}, _elsewhere)
    fields = [(key, kind, setting(default, **words)) for key, kind, default, words in declared.fields]
    return dataclasses.make_dataclass(
        name, fields, bases=(base,), namespace={**methods, **declared.variables}, kw_only=True
    )


def _elsewhere(self: Recommender, *args: object, **named: object) -> Any:
    raise ModelError(f"{self.name}: its code runs in a process of its own only")


def sound_label(label: Any) -> str:
    """Return the label if a table can show it, else ""."""
    sound = isinstance(label, str) and 0 < len(label) <= 60 and label.isprintable() and "|" not in label
    return str(label) if sound else ""


def _load(name: str, file: Path, source: bytes) -> ModuleType:
    """Run the source itself: Python's cache of compiled files may hold an older one of the same size and time."""
    module = ModuleType(f"_own_{name}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # dataclasses look their module up there
    exec(compile(source, str(file), "exec", dont_inherit=True), module.__dict__)
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
    without = [field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING]  # type: ignore[arg-type]
    if without:
        return f"must give its fields a default: {', '.join(without)}"
    return _wrong_fields(kind) or kind


def _wrong_fields(kind: type[Recommender]) -> str:
    """Say what is wrong with a model's fields, which records keep and the command line sets; "" if nothing is."""
    try:
        types = get_type_hints(kind)
    except Exception as error:
        return f"must annotate its fields with names that there are ({type(error).__name__})"
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if types[field.name] not in (bool, int, float, str) and get_origin(types[field.name]) is not Literal:
            return f"must annotate {field.name} as bool, int, float, str or Literal[...]"
        value: Any = field.default
        if not (type(value) in (bool, str) or (type(value) in (int, float) and abs(value) < 1e300)):
            return f"must have a number, a word or a truth value as the default of {field.name}"
    return ""
