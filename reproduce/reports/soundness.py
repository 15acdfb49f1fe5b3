"""Check a record for consistency: what its .json states against what follows from its arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from reproduce.fitting.attention import LONGEST
from reproduce.paper import numbers
from reproduce.reading import own_data
from reproduce.runs.experiment import identity
from reproduce.runs.record import Result

# The counts needed to check clicks against prefixes and sessions: those of the paper's Table 1 and of sessions.
COUNTED = ("clicks", "train_sequences", "test_sequences", "items", "train_sessions", "test_sessions")


def faults(result: Result, content: Mapping[str, Any]) -> Iterator[str]:
    """Describe each inconsistency of a record in words.

    Args:
        result: the record, as loaded with its arrays.
        content: the content of its .json.
    """
    cause = result.experiment
    source = result.environment.get("source")  # own models only
    if identity(result.split["digest"], cause.model, result.fields, cause.seed, source) != result.identity:
        yield "its identity does not follow from its split, fields and seed"
    if own_data.NAME.fullmatch(cause.dataset) and not result.split["digest"].startswith(cause.dataset[-8:]):
        yield "its data set is named after another split"
    yield from _counted(result, content)
    yield from _origin(result)
    yield from _lengths(result)
    for metric, value in (("recall_at_20", result.recall()), ("mrr_at_20", result.mrr())):
        if not abs(content[metric] - value) <= 1e-9:  # written so that NaN is a fault too
            yield f"{metric} is said to be {content[metric]}, its ranks give {value}"
    yield from _trained(result, content)
    yield from _attended(result)


def _lengths(result: Result) -> Iterator[str]:
    """Check the prefix lengths of each session: 1, 2, 3, ...; or merely growing if the test is a chosen list."""
    starts = np.flatnonzero(np.diff(result.session, prepend=-1))
    due = np.arange(len(result.session)) - np.repeat(starts, np.diff(starts, append=len(result.session))) + 1
    if result.split["provenance"].get("chosen"):
        same = np.diff(result.session) == 0
        if (result.length < due).any() or (np.diff(result.length)[same] <= 0).any():
            yield "the chosen prefixes of a session do not get longer"
    elif not np.array_equal(result.length, due):
        yield "the prefixes of a session do not count 1, 2, 3, ..."


def _counted(result: Result, content: Mapping[str, Any]) -> Iterator[str]:
    """Check the sizes of the split, as far as the test prefixes and the counts in its provenance determine them."""
    n_items, provenance = result.split["n_items"], result.split["provenance"]
    counts, prefixes = provenance["counts"], len(result.greater)
    for what, found, said in (
        ("prefixes", prefixes, counts.get("test_sequences", prefixes)),
        ("test sessions", len(np.unique(result.session)), counts.get("test_sessions", len(np.unique(result.session)))),
        ("prefixes", prefixes, content["examples"]),
    ):
        if found != said:
            yield f"{found:,} {what} where {said:,} are due"
    items, clicks = counts.get("items", n_items), counts.get("clicks", n_items)
    if not items <= n_items <= clicks:
        yield f"a catalogue of {n_items:,} where {items:,} items were clicked {clicks:,} times"
    if not set(counts) >= set(COUNTED):
        return
    examples, sessions = (counts["train_sequences"] + prefixes, counts["train_sessions"] + counts["test_sessions"])
    chosen = provenance.get("chosen")  # if so, sessions may have clicks that are in no example
    if examples + sessions > counts["clicks"] or (examples + sessions < counts["clicks"] and not chosen):
        yield f"{counts['clicks']:,} clicks, where sessions and sequences give {examples + sessions:,}"


def _origin(result: Result) -> Iterator[str]:
    """Check the stated origin of the split against what the suite knows about its data sets."""
    name, provenance = result.experiment.dataset, result.split["provenance"]
    column = numbers.PAPER_COLUMN.get(name)
    published = numbers.TABLE1[column] if column else {}
    if dict(provenance["published"]) != dict(published):
        yield "its published counts are not the paper's"
    order = "file" if name.startswith("diginetica-file-order") else "time"
    known = column is not None or name.startswith("diginetica")  # a user's own processed files come in any order
    if provenance["order"] != order and (known or provenance["source"] != "processed files"):
        yield f"clicks in {provenance['order']} order, where {name} has them in {order} order"
    made_up = order == "file" and provenance["source"] == "processed files"
    if provenance["emulated"] != made_up:
        yield f"its order is said to be {'emulated' if provenance['emulated'] else 'exact'}, which it is not"


def _trained(result: Result, content: Mapping[str, Any]) -> Iterator[str]:
    """Check the epochs: numbered 1, 2, 3, ..., no more than the fields allow, and the best one kept.

    A model has no epochs if its fields allow none, and at least one otherwise.
    """
    if content["best_epoch"] != result.best_epoch:
        yield f"epoch {content['best_epoch']} was kept, validation says {result.best_epoch}"
    if [one["epoch"] for one in result.epochs] != list(range(1, len(result.epochs) + 1)):
        yield "its epochs do not count 1, 2, 3, ..."
    if result.environment.get("source") is not None:
        return  # an own model may report any number of epochs
    most = result.fields.get("epochs", 0)
    if type(most) is not int:
        yield "its field epochs is no number"
    elif len(result.epochs) > most or (most and not result.epochs):
        yield f"{len(result.epochs)} epochs where its fields allow 1 to {most}"


def _attended(result: Result) -> Iterator[str]:
    """Check the attention: weights for the longest prefix of every test session, means over the test prefixes."""
    if result.attention is None:
        return
    kept, means = result.attention, result.attention.means
    ends = np.flatnonzero(np.diff(result.session, append=-1))  # the last prefix of a session is its longest
    longest = result.length[ends]
    if len(kept.lengths) != len(longest):
        yield "its attention is not of a prefix of every test session"
        return
    if (kept.lengths > longest).any():
        yield "its attention is over more clicks than a prefix has"
    most = int(kept.lengths.max())
    due = np.bincount(np.minimum(result.length, most), minlength=LONGEST + 1)[1 : LONGEST + 1]
    if means["examples"] != due.tolist():
        yield "the prefixes that its mean attention is over are not those of its test part"
    repeat = means["repeat"]
    if repeat["examples"] > len(result.greater):
        yield "more prefixes that repeat an item than there are"
    if result.fields.get("attention") == "softmax" and kept.weights.any():
        yield from _of_a_softmax(result)


def _of_a_softmax(result: Result) -> Iterator[str]:
    """Check the weights of a softmax: none is negative and they sum to 1.

    The tolerances allow for rounding: weights are stored in float16, means to six decimals.
    """
    assert result.attention is not None
    kept, means = result.attention, result.attention.means
    weights = kept.weights.astype(np.float64)
    stops = np.cumsum(kept.lengths)
    sums = np.add.reduceat(weights, stops - kept.lengths)
    if (weights < 0).any() or (np.abs(sums - 1) > 0.01).any():
        yield "attention weights of a session that do not sum to 1"
    for n, row in zip(means["examples"], means["weight"], strict=True):
        if n and (min(row) < 0 or abs(sum(row) - 1) > 0.001):
            yield "mean attention weights that do not sum to 1"
            break
    if not 0 <= means["repeat"]["weight"] <= 1.001:
        yield "a mean attention on repeated items outside 0 to 1"
