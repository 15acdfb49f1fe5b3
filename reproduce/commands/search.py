"""`search`: the best settings of a model, as a table and as the command that uses them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from reproduce import catalog
from reproduce.errors import UsageError
from reproduce.fitting import user_model
from reproduce.reading import own_data
from reproduce.reports.description import DATA, DEVICE, OWN_DATA, OWN_LOG, RESULTS, TRACEBACK, About, Command, Option
from reproduce.runs import own_options, request
from reproduce.runs.environment import choose_device
from reproduce.runs.search import Search, Trial, as_options, best, run

SHOWN = 5


ABOUT = About(
    "searches the best settings of a model on held-out training sessions, and prints the command for them",
    (
        Option(
            "model", "a name, or the path of a .py file with your model", metavar="MODEL", required=True, names="model"
        ),
        Option("--dataset", OWN_DATA, metavar="NAME", required=True, names="data set"),
        *OWN_LOG,
        Option("--trials", "in all, with those of earlier searches (default: 20)", metavar="N", type=int, default=20),
        Option("--seed", "default: 0", metavar="N", type=int, default=0),
        Option("--set", "fix a field: narm.epochs=5", metavar="MODEL.FIELD=VALUE", several=True, names="setting"),
        DEVICE,
        DATA,
        RESULTS,
        TRACEBACK,
        Option("--quiet", "no progress, only the result"),
    ),
)


def _answer(options: Any) -> str:
    model = catalog.recommender(options.model).name
    (dataset,) = own_options.datasets([options.dataset], vars(options))
    if options.trials < 1:
        raise UsageError(f"--trials {options.trials}: must be at least 1")
    settings = request.settings(options.set)
    for other in set(settings) - {model}:
        raise UsageError(f"--set {other}.…: {other} is not the model that is searched")
    fixed = {
        key: catalog.resolved(catalog.make_recommender(model, {key: value}))[key]
        for key, value in settings.get(model, {}).items()
    }
    what = Search(dataset, model, fixed, options.seed)
    train = catalog.load_split(dataset, options.data).train
    device = choose_device(options.device)
    trials = run(what, train, options.trials, options.results, device, quiet=options.quiet)
    return report(what, trials)


COMMAND = Command(ABOUT, _answer)


def as_command(dataset: str, model: str, options: str) -> str:
    """What runs a model with the fields found, on all of train and on test."""
    asked = shlex.quote(user_model.asked_for_as(model))
    return f"python -m reproduce table2 --dataset {own_data.asked_for_as(dataset)} --model {asked} {options}"


def report(what: Search, trials: Sequence[Trial]) -> str:
    """The best trials, the defaults among them, and the best as options of a command."""
    top = best(trials)
    ordered = sorted((one for one in trials if one.recall is not None), key=lambda one: -(one.recall or 0.0))
    shown = ordered[:SHOWN] + ([trials[0]] if trials[0] not in ordered[:SHOWN] else [])
    lines = [
        ["defaults" if one is trials[0] else "", *map(str, one.fields.values()), _number(one.recall), _number(one.mrr)]
        for one in shown
    ]
    head = ["", *trials[0].fields, "Recall@20", "MRR@20"]
    options = as_options(what.model, {**what.fixed, **top.fields})
    return (
        f"{what.model} on {what.dataset}: {len(trials)} trials, scored on the newest tenth of the training sessions\n\n"
        + tabulate(lines, head, disable_numparse=True, colalign=["left"] + ["right"] * (len(head) - 1))
        + (f"\n\n{as_command(what.dataset, what.model, options)}" if options else "\n\nthe defaults are the best found")
    )


def _number(value: float | None) -> str:
    return "failed" if value is None else f"{value:.2f}"
