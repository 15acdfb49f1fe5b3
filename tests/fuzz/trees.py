"""Random changes to a tree of lists, dicts and plain values, such as a record or a checkpoint."""

from __future__ import annotations

import random
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

JUNK: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    7,
    2**31,
    2**63,
    10**30,
    -0.5,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "a",
    "../x",
    "| 99.99 |",
    "\n# x",
    "é" * 300,
    [],
    {},
    [[]],
    {"a": {}},
    [1, 2],
    ["x"] * 50,
    "0" * 64,
]


def places(tree: Any, at: tuple = ()) -> list[tuple]:
    """Return the path of keys to every node of a tree except its root."""
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [found for key, one in inside for found in ((*at, key), *places(one, (*at, key)))]


def changed(rng: random.Random, tree: Any, junk: Sequence[Any] = JUNK) -> None:
    """Remove, double or replace the values at one to three places of a tree, in place."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        found = places(tree)
        if not found:
            return
        *way, last = rng.choice(found)
        parent = tree
        for key in way:
            parent = parent[key]
        kind = rng.randrange(6)
        if kind == 0:
            del parent[last]
        elif kind == 1 and isinstance(parent, dict):
            parent[str(rng.choice(["more", "epochs", "x" * 300]))] = deepcopy(parent[last])
        elif kind == 2 and isinstance(parent, list):
            parent.append(deepcopy(parent[last]))
        elif kind == 3 and type(parent[last]) in (int, float):
            parent[last] = parent[last] * rng.choice([-1, 2, 0.5, 1_000_000]) + rng.choice([0, 1])
        else:
            chosen = rng.choice(junk)  # copied below: a later change to the tree must not change the junk
            parent[last] = deepcopy(chosen) if isinstance(chosen, list | dict) else chosen
