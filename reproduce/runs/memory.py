"""What happens when memory runs out: training fails with a remedy, scoring is tried again with half the chunk.

A smaller batch would change what is learned, so it is only suggested; a smaller chunk of prefixes is harmless.
"""

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
    """Whether an error means that memory ran out.

    For a GPU's memory torch has an exception of its own; for the machine's memory it raises a plain RuntimeError. The
    exception of a user's own model is the cause of the ModelError that names the model.
    """
    if isinstance(error, ModelError):
        return out_of_memory(error.__cause__)
    told = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and ("can't allocate memory" in told or "not enough memory" in told)
    )


def fit(model: Recommender, work: Callable[[], None]) -> None:
    """Train a model by calling `work`. Raises ModelError, with a remedy, if memory does not suffice."""
    try:
        work()
        return
    except Exception as error:
        if not out_of_memory(error):
            raise
    # Outside the except clause, because the error refers to the frames, which keep the memory allocated.
    batch = catalog.resolved(model).get("batch")
    remedy = f"try a smaller batch, --set {model.name}.batch={max(1, batch // 2)}" if batch else "it has no batch"
    raise ModelError(f"out of memory in training; {remedy}")


def rank_all(
    model: Scorer, prefixes: Sessions, targets: np.ndarray, title: str, device: torch.device
) -> tuple[np.ndarray, np.ndarray, int]:
    """Call `ranking.rank_all`, and once more with half the chunk if memory does not suffice.

    Returns:
        greater, equal: (n,) and (n,) int64.
        chunk: the number of prefixes scored at a time.

    Raises:
        ModelError: memory does not suffice for half the chunk either, or the scores are not usable.
    """
    whole = ranking.chunk_rows(prefixes.n_items, device)
    for chunk in dict.fromkeys((whole, max(1, whole // 2))):
        try:
            return *ranking.rank_all(model, prefixes, targets, chunk), chunk
        except Exception as error:
            if not out_of_memory(error):
                raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if chunk == whole > 1:
            print(f"{title}: out of memory in scoring; once more with half the chunk", file=sys.stderr, flush=True)
    raise ModelError("out of memory in scoring, with half the chunk too; make room, or score with --device cpu")
