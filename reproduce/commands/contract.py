"""`contract`: whether a model keeps the rules that all models keep."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from reproduce import catalog
from reproduce.commands.rules import RULES, Maker
from reproduce.errors import ModelError
from reproduce.fitting import user_model
from reproduce.fitting.determinism import deterministic
from reproduce.reports.description import About, Command, Option
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
    ),
)


def report(models: Sequence[str], device: torch.device) -> str:
    """What each model keeps. Raises ModelError, a line for every broken rule, where one keeps not all."""
    kept, failed = [], []
    for model in models:
        kind = catalog.recommender(model)
        if issubclass(kind, user_model.Unusable):
            failed.append(kind.why)
            continue
        lines = broken(partial(catalog.make_recommender, kind.name), device)
        failed += [f"{kind.name} breaks a rule: {line}" for line in lines]
        kept.append(f"{kind.name} keeps {len(RULES) - len(lines)} of {len(RULES)} rules")
    if failed:
        raise ModelError("\n".join([*failed, *kept]))
    return "\n".join(kept)


def _answer(options: Any) -> str:
    return report(options.model, choose_device(options.device))


COMMAND = Command(ABOUT, _answer)


def broken(make: Maker, device: torch.device) -> list[str]:
    """Every rule that a model breaks, a line each: the rule's name, and what was found."""
    lines = []
    for name, rule in RULES.items():
        try:
            with user_model.own_model(), deterministic():
                found = rule(make, device)
        except user_model.Raised as error:  # it is reported as the rule that met it
            found = str(error)
        if found:
            lines.append(f"{name}: {found}")
    return lines
