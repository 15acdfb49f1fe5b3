"""`contract`: check that a model keeps the rules that every model must keep."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from reproduce import catalog
from reproduce.commands.rules import RULES, SMALL, Maker, random_log, small
from reproduce.errors import ModelError
from reproduce.evaluation import ranking
from reproduce.fitting import user_model
from reproduce.fitting.determinism import deterministic
from reproduce.fitting.recommender import Journal
from reproduce.reports.description import TRACEBACK, About, Command, Option
from reproduce.runs.environment import choose_device

ABOUT = About(
    "checks a model against the contract",
    (
        Option(
            "model",
            "a name, or the path of a .py file with your model",
            metavar="MODEL",
            several=True,
            required=True,
            names="model",
        ),
        Option("--device", "cpu (default), auto, cuda or cuda:N", metavar="DEVICE", default="cpu"),
        TRACEBACK,
    ),
)


def report(models: Sequence[str], device: torch.device) -> str:
    """Check models against the rules; say how many rules each keeps.

    Raises:
        ModelError: a model breaks a rule or cannot be used; one line per mistake.
    """
    kept, failed = [], []
    for model in models:
        kind = catalog.recommender(model)
        if issubclass(kind, user_model.Unusable):
            failed.append(kind.why)
            continue
        make = partial(catalog.make_recommender, kind.name)
        if wrong := unusable(make, device):
            failed += [wrong, f"{kind.name} must fit and score before the {len(RULES)} rules can be asked"]
            continue
        lines = broken(make, device)
        failed += [f"{kind.name} breaks a rule: {line}" for line in _each_once(lines)]
        kept.append(f"{kind.name} keeps {len(RULES) - len(lines)} of {len(RULES)} rules")
    if failed:
        raise ModelError("\n".join([*failed, *kept]))
    return "\n".join(kept)


def unusable(make: Maker, device: torch.device) -> str:
    """Say why a model cannot be fitted or its scores cannot be ranked; empty if both work.

    The words are those of a table in which the model fails.
    """
    train, test = random_log()
    model = user_model.Guard(small(make(), SMALL))
    try:
        model.fit(train, seed=0, device=device, journal=Journal())
        ranking.rank_all(model, test, np.zeros(len(test), np.int64))
    except ModelError as error:
        return str(error)
    return ""


def _each_once(lines: Sequence[str]) -> list[str]:
    """Merge the lines of `broken` that report the same finding under several rules."""
    rules: dict[str, list[str]] = {}
    for line in lines:
        name, _, found = line.partition(": ")
        rules.setdefault(found, []).append(name)
    met = {found: f" (met by {len(names)} rules)" if len(names) > 1 else "" for found, names in rules.items()}
    return [f"{names[0]}: {found}{met[found]}" for found, names in rules.items()]


def _answer(options: Any) -> str:
    return report(options.model, choose_device(options.device))


COMMAND = Command(ABOUT, _answer)


def broken(make: Maker, device: torch.device) -> list[str]:
    """List the rules that a model breaks, one line each: the rule's name, and what was found."""
    lines = []
    for name, rule in RULES.items():
        try:
            with user_model.own_model(), deterministic():
                found = rule(make, device)
        except user_model.Raised as error:  # reported under the rule that ran into it
            found = str(error)
        if found:
            lines.append(f"{name}: {found}")
    return lines
