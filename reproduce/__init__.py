"""Rebuild every table and figure of the NARM paper (Li et al., CIKM 2017) from click logs.

These names are the interface for notebooks and for models of your own. Each is loaded when it is first used:

    load_split(name, data)               a data set, from a folder of logs
    make_recommender(name, fields)       a model, with some of its fields set
    Experiment, run(experiment, ...)     a run: read from its record, or made and recorded
    load_model(file)                     a fitted model that --keep-model kept
    compare(split, rows)                 results, and ranks from other libraries, in a data frame
    Recommender, Neural, setting, Batch  the parts that a model is made of
"""

from __future__ import annotations

import importlib
import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reproduce.catalog import load_split as load_split
    from reproduce.catalog import make_recommender as make_recommender
    from reproduce.export import compare as compare
    from reproduce.fitting.batches import Batch as Batch
    from reproduce.fitting.neural import Neural as Neural
    from reproduce.fitting.recommender import Recommender as Recommender
    from reproduce.fitting.recommender import setting as setting
    from reproduce.runs.experiment import Experiment as Experiment
    from reproduce.runs.kept_model import load_model as load_model
    from reproduce.runs.runner import run as run

# cuBLAS reads this at its first call in a process; without it the deterministic algorithms refuse to run on CUDA.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

__version__ = "0.1.0"

_WHERE = {
    "load_split": "reproduce.catalog",
    "make_recommender": "reproduce.catalog",
    "Batch": "reproduce.fitting.batches",
    "Neural": "reproduce.fitting.neural",
    "Recommender": "reproduce.fitting.recommender",
    "setting": "reproduce.fitting.recommender",
    "Experiment": "reproduce.runs.experiment",
    "load_model": "reproduce.runs.kept_model",
    "run": "reproduce.runs.runner",
    "compare": "reproduce.export",
}
__all__ = tuple(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def _beside(checkout: Path) -> None:
    """Make baselines/ and datasets/ of a checkout importable as sub-packages; in a wheel they are inside the package.

    Their names are generic, and `datasets` is also the name of a widely installed package. They are therefore imported
    only as reproduce.baselines.x and reproduce.datasets.x. Nothing else in the checkout can be imported through this
    package.
    """
    for room in ("baselines", "datasets"):
        spec = ModuleSpec(f"{__name__}.{room}", None, is_package=True)
        spec.submodule_search_locations = [str(checkout / room)]
        sys.modules[spec.name] = globals()[room] = module_from_spec(spec)


_parent = Path(__file__).resolve().parent.parent
if (_parent / "tox.ini").is_file():
    _beside(_parent)
