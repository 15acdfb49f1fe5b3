"""What DIGINETICA's file order is worth: the counting models in the split's order of the items and in ten random ones.

Train is counted once. The counting models ignore the order of its clicks, so only the test sessions are sorted anew for
each order of the items. No record is read or written.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from statistics import mean

import numpy as np
import torch
from tqdm import tqdm

from reproduce import catalog
from reproduce.evaluation.ranking import mrr_at, rank, rank_all, recall_at
from reproduce.fitting.recommender import Journal
from reproduce.paper import numbers
from reproduce.paper.numbers import Score
from reproduce.paper.rows import Row
from reproduce.reading.preprocessing import sort_by_item
from reproduce.reading.sessions import Provenance, Sessions, Split, exactness
from reproduce.reports.document import Block, Cell, Number, Scores, Table
from reproduce.reports.records import of_published_size

SEEDS = range(10)


def shuffled(sessions: Sessions, seed: int) -> Sessions:
    """Sort every session's clicks by a random order of the items."""
    places = np.random.default_rng(seed).permutation(sessions.n_items)
    clicks = sort_by_item(sessions.clicks()[0], sessions.lengths, places)
    return Sessions.packed(clicks, sessions.lengths, sessions.n_items)


def measure(split: Split, rows: Sequence[Row], device: torch.device, *, quiet: bool = True) -> dict[str, list[Score]]:
    """Measure Recall@20 and MRR@20 of each row on the split as it is, then in each random order; by label.

    The models of the rows must ignore the order of the clicks in train, since each is fitted only once.
    """
    tests = [split.test, *(shuffled(split.test, seed) for seed in SEEDS)]
    total, found = len(rows) * len(tests), dict[str, list[Score]]()
    if not quiet:
        told = f"counting {len(rows)} models in {len(tests)} orders of the items, a minute or two"
        print(f"audit: {told}", file=sys.stderr, flush=True)
    with tqdm(total=total, desc="orders", ncols=80, leave=False, disable=quiet or not sys.stderr.isatty()) as bar:
        for row in rows:
            model = catalog.make_recommender(row.model, row.fields)
            model.fit(split.train, seed=0, device=device, journal=Journal())
            found[row.label] = []
            for test in tests:
                ranks = rank(*rank_all(model, *test.prefixes()))
                found[row.label].append(Score(recall_at(ranks), mrr_at(ranks)))
                bar.update()
    return found


def blocks(found: Mapping[str, Sequence[Score]], origin: Provenance, dataset: str) -> list[Block]:
    """Return the table of the numbers, with the paper's beside them.

    Args:
        found: what `measure` returned.
        origin: of the split that was measured.
        dataset: the data set of that split.
    """
    word = exactness(vars(origin))
    rows: list[list[Cell]] = []
    for label, (own, *random) in found.items():
        theirs = numbers.published(numbers.TABLE3, label, dataset) if of_published_size(vars(origin)) else None
        spans = []
        for metric in ("recall", "mrr"):
            values = [getattr(score, metric) for score in random]
            spans.append(Number(mean(values), interval=(min(values), max(values))))
        rows.append([label, Scores(own.recall, own.mrr), *spans, Scores(theirs.recall, theirs.mrr) if theirs else None])
    head = ["model", f"{word} order", "random: Recall@20", "random: MRR@20", "paper"]
    text = f"Ties against; ten random orders of the items (seeds {SEEDS[0]} to {SEEDS[-1]}), mean (least to greatest)."
    if origin.reconstructed:
        text += " A random order lacks the nearness of similar products: what lies outside the brackets is owed to it."
    return [Table(head, rows, "Orders of the items"), text]
