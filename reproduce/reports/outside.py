"""Ranks from outside beside stored records: rows of a page, and a comparison as a data frame."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reproduce import catalog
from reproduce.errors import InputError, UsageError
from reproduce.evaluation import metrics
from reproduce.evaluation.metrics import Measure
from reproduce.paper import controls
from reproduce.paper.rows import ROWS
from reproduce.reading.sessions import Split
from reproduce.reports import measuring
from reproduce.reports.measuring import Seeds
from reproduce.runs import outside_ranks
from reproduce.runs.outside_ranks import OutsideResult
from reproduce.runs.record import Result

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = "ranks from outside: how it was trained is not known here"


def rows(texts: Sequence[str], split: Split, family: str = "") -> dict[str, list[OutsideResult]]:
    """Read the rows that `--ranks` names, by label, each with a result for every seed.

    Args:
        texts: FILE or LABEL=FILE each; a FILE may be a pattern such as sasrec-seed*.csv. Files of one label are the
            seeds of one row. Without a label a row is named after its file, less an ending -seed and a number.
        family: see `outside_ranks.OutsideResult`.

    Raises:
        UsageError: a pattern matches no file, or a file is named twice.
        InputError: a file is refused; see `outside_ranks.read`.
    """
    files: dict[str, list[Path]] = {}
    for text in texts:
        label, pattern = ("", text) if Path(text).exists() else text.rpartition("=")[::2]
        for file in _matching(pattern):
            files.setdefault(_distinct(label or re.sub(r"-seed[0-9]+$", "", file.stem)), []).append(file)
    named = [file.resolve() for some in files.values() for file in some]
    for file in named:
        if named.count(file) > 1:
            raise UsageError(f"--ranks {file}: named twice; several seeds of a row are several files")
    return {
        label: [outside_ranks.read(file, split, label, seed, family) for seed, file in enumerate(some)]
        for label, some in files.items()
    }


def _matching(pattern: str) -> list[Path]:
    if not any(sign in pattern for sign in "*?["):
        return [Path(pattern)]
    whole = Path(pattern)
    found = sorted(whole.parent.glob(whole.name))
    if not found:
        raise UsageError(f"--ranks {pattern}: no file has such a name")
    return found


def _distinct(label: str) -> str:
    """Return the label, marked if a row of this suite has it too."""
    taken = {row.label for row in (*ROWS, *controls.ROWS)} | {kind.label for kind in catalog.recommenders().values()}
    return f"{label} (from outside)" if label in taken else label


def check_depth(results: Sequence[OutsideResult], measures: Sequence[Measure]) -> None:
    """Raise InputError if a cut-off is beyond the lists that a result was made from."""
    deepest = max(measures, key=lambda measure: measure.k)
    for result in results:
        if result.depth is not None and deepest.k > result.depth:
            raise InputError(
                f"{result.file or result.experiment.model}: its lists have at most {result.depth} items, so "
                f"{deepest.title} is not known; recommend more items, or give ranks"
            )


def compare(
    split: Split, ranks: Mapping[str, Any], *, metric: Sequence[str] = ("recall@20", "mrr@20"), family: str = ""
) -> pd.DataFrame:
    """Compare rows on the same test prefixes: metrics in per cent, with 95 % intervals.

    Args:
        split: what all rows ranked.
        ranks: by label: a file or a frame in one of the forms of `outside_ranks`, a Result of `run`, or a list of
            these, one for each seed.
        metric: metrics at a cut-off, such as "ndcg@10".
        family: how much rows from outside vary between seeds; see `outside_ranks.OutsideResult`.

    Returns:
        A line for each row. For each metric, such as "Recall@20": its value, "low" and "high", the ends of its
        interval, and "mark": "highest", "equal" (may be the best too), "behind" or "not judged".

    Raises:
        UsageError: there is no such metric.
        InputError: a file or a frame is refused, a result is of another split, or a cut-off is beyond a row's lists.
    """
    import pandas as pd

    found = {label: _results(split, label, source, family) for label, source in ranks.items()}
    measures = [metrics.parse(text) for text in metric]
    check_depth([one for some in found.values() for one in some if isinstance(one, OutsideResult)], measures)
    several = (tuple(some) for some in found.values() if len(some) > 1 and not measuring.without_chance(some[0]))
    seeds = Seeds(tuple(several))
    columns: dict[tuple[str, str], list[Any]] = {("", "seeds"): [len(some) for some in found.values()]}
    for measure in measures:
        measured = measuring.measured(found, measure, seeds)
        marks = measuring.marks(measured)
        half = {label: measuring.half_width(measuring.alone(one)) for label, one in measured.items()}
        columns[measure.title, "value"] = [one.value for one in measured.values()]
        columns[measure.title, "low"] = [one.value - half[label] for label, one in measured.items()]
        columns[measure.title, "high"] = [one.value + half[label] for label, one in measured.items()]
        columns[measure.title, "mark"] = [marks[label] for label in measured]
    return pd.DataFrame(columns, index=pd.Index(found, name="model"))


def _results(split: Split, label: str, source: Any, family: str) -> list[Result]:
    some = source if isinstance(source, list | tuple) else [source]
    if not some:
        raise UsageError(f"{label}: an empty list of ranks; give one for each seed")
    results = []
    for seed, one in enumerate(some):
        if isinstance(one, Result):
            if one.split["digest"] != split.digest:
                raise InputError(f"{label}: a result on another split than {split.name}; run it on this one")
            results.append(one)
        else:
            ranks = Path(one) if isinstance(one, str) else one
            results.append(outside_ranks.read(ranks, split, label, seed, family))
    return results
