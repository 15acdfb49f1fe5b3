"""Progress of a run on the terminal: how far the epoch is, the loss so far, and the time that is left."""

from __future__ import annotations

import math
import multiprocessing
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import mean

from tqdm import tqdm

from reproduce.fitting.recommender import Batch

COLUMNS = 80
REFRESH = 1.0  # seconds between two reads of the loss, each of which makes the host wait for the device
FIRST_LINE, NEXT_LINE = 60.0, 600.0  # seconds until a line is written if there is no terminal
FORMAT = "{percentage:3.0f} %|{bar}| {desc}"


def watched(
    batches: Iterable[Batch],
    *,
    title: str,
    epoch: int,
    epochs: int,
    examples: int,
    lengths: Sequence[float],
    loss: Callable[[], float] | None,
) -> Iterator[Batch]:
    """Yield the batches of an epoch, showing progress: a bar on a terminal, otherwise a line from time to time.

    Args:
        title: of the run; the bar has room for its last word only.
        epoch, epochs: the number of this epoch, from 1, and the largest number of epochs.
        examples: the number of examples in all batches together.
        lengths: seconds that earlier epochs took.
        loss: returns the mean loss of the batches so far; None if there is none.
    """
    on_terminal = sys.stderr.isatty() and multiprocessing.parent_process() is None  # several bars overwrite each other
    width = min(COLUMNS, shutil.get_terminal_size((COLUMNS, 24)).columns)
    began = time.monotonic()
    due, done = began + (REFRESH if on_terminal else FIRST_LINE), 0
    name = f"{title.rpartition(' ')[2][:20]} epoch {epoch}/{epochs}"
    with tqdm(total=examples, desc=name, bar_format=FORMAT, ncols=width, leave=False, disable=not on_terminal) as bar:
        for batch in batches:
            yield batch
            done += len(batch)  # type: ignore[arg-type]
            bar.update(len(batch))  # type: ignore[arg-type]
            now = time.monotonic()
            if now < due:
                continue
            share = min(1.0, done / max(examples, 1))
            told = [f"loss {loss():.4f}"] if loss is not None else []
            told.append(f"at most {duration(run_left(share, now - began, epochs - epoch, lengths))} to go")
            due = now + (REFRESH if on_terminal else NEXT_LINE)
            if on_terminal:
                bar.set_description_str(", ".join([name, *told]))
            else:
                print(f"{title} epoch {epoch}/{epochs}, {share:.0%}: {', '.join(told)}", file=sys.stderr, flush=True)


def run_left(share: float, elapsed: float, later: int, lengths: Sequence[float]) -> float:
    """Seconds that a run has left if it completes all its epochs.

    Args:
        share: the part of this epoch that is done, above 0.
        elapsed: the seconds since this epoch began.
        later: the number of epochs after this one.
        lengths: seconds that earlier epochs took, including validation.
    """
    if lengths:
        return later * mean(lengths) + max(0.0, mean(lengths) - elapsed)
    return elapsed / share * (1 - share + later)


def duration(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
