"""When memory runs out: training names the remedy; scoring, which loses nothing by it, tries half the chunk."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import torch

from reproduce import catalog
from reproduce.errors import ModelError
from reproduce.evaluation import ranking
from reproduce.evaluation.ranking import Scorer
from reproduce.fitting.recommender import Recommender
from reproduce.reading.sessions import Sessions


def out_of_memory(error: BaseException | None) -> bool:
    """torch has an error of its own for a GPU's memory; for the machine's it raises a plain RuntimeError.

    That of an own model is the cause of the ModelError that names it.
    """
    if isinstance(error, ModelError):
        return out_of_memory(error.__cause__)
    told = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and ("can't allocate memory" in told or "not enough memory" in told)
    )


def fit(model: Recommender, work: Callable[[], None]) -> None:
    """Do a model's training. Raises ModelError, with the remedy, where memory does not suffice for it."""
    try:
        work()
        return
    except Exception as error:
        if not out_of_memory(error):
            raise
    # Outside the except clause: the error holds the frames, and they hold the memory.
    batch = catalog.resolved(model).get("batch")
    remedy = f"try a smaller batch, --set {model.name}.batch={max(1, batch // 2)}" if batch else "it has no batch"
    raise ModelError(f"out of memory in training; {remedy}")


def rank_all(
    model: Scorer, prefixes: Sessions, targets: np.ndarray, title: str, device: torch.device
) -> tuple[np.ndarray, np.ndarray, int]:
    """`ranking.rank_all`, and once more with half the chunk where memory does not suffice: the counts and the chunk.

    Raises:
        ModelError: it does not suffice for half the chunk either.
    """
    whole = ranking.chunk_rows(prefixes.n_items, device)
    for chunk in (whole, max(1, whole // 2)):
        try:
            return *ranking.rank_all(model, prefixes, targets, chunk), chunk
        except Exception as error:
            if not out_of_memory(error):
                raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if chunk == whole:
            print(f"{title}: out of memory in scoring; once more with half the chunk", file=sys.stderr, flush=True)
    raise ModelError("out of memory in scoring, with half the chunk too; make room, or score with --device cpu")
