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
from reproduce.runs.environment import choose_device


def command(commands: Any) -> None:
    """Add it to the sub-commands of a parser."""
    parser = commands.add_parser("contract", help="whether a model, one's own too, keeps the rules all models keep")
    parser.add_argument("model", nargs="+", metavar="MODEL", help="a name, or the path of a .py file with your model")
    parser.add_argument("--device", default="cpu", help="cpu (default), auto, cuda or cuda:N")
    parser.set_defaults(answer=lambda options: report(options.model, choose_device(options.device)))


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
