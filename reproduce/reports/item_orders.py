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
from reproduce.reports import page as pages

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


def table(found: Mapping[str, Sequence[Score]], origin: Provenance, dataset: str) -> str:
    """Return the table of the numbers, with the paper's beside them.

    Args:
        found: what `measure` returned.
        origin: of the split that was measured.
        dataset: the data set of that split.
    """
    word, size = exactness(vars(origin)), pages.of_published_size(vars(origin))
    head = [""]
    for metric in ("Recall@20", "MRR@20"):
        head += [f"{metric}, {word}", "ten random orders", "paper"]
    lines = []
    for label, (own, *random) in found.items():
        published = numbers.published(numbers.TABLE3, label, dataset) if size else None
        line = [label]
        for metric in ("recall", "mrr"):
            values = [getattr(one, metric) for one in random]
            line += [
                f"{getattr(own, metric):.2f}",
                f"{mean(values):.2f} ({min(values):.2f} to {max(values):.2f})",
                pages.published(getattr(published, metric) if published else None),
            ]
        lines.append(line)
    told = (
        f"Counted anew from {origin.source}, ties against. Beside the {word} order ten random orders of the items "
        f"(seeds {SEEDS[0]} to {SEEDS[-1]}): their mean, in brackets the least and the greatest."
    )
    if origin.reconstructed:
        told += (
            " In the raw file's order similar products lie near each other, in a random one they do not: a number "
            "outside the brackets owes that to it."
        )
    return f"{pages.table(head, lines)}\n\n{told}"
