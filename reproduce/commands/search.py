"""`search`: the best settings of a model, as a table and as the command that uses them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from reproduce import catalog
from reproduce.commands import inventory
from reproduce.errors import UsageError
from reproduce.runs import request
from reproduce.runs.environment import choose_device
from reproduce.runs.search import Search, Trial, as_options, best, run

SHOWN = 5


def command(commands: Any) -> None:
    """Add it to the sub-commands of a parser."""
    parser = commands.add_parser("search", help="the best fields of a model, on training sessions held out whole")
    parser.add_argument("model", metavar="MODEL", help="a name, or the path of a .py file with your model")
    parser.add_argument("--dataset", required=True, metavar="NAME")
    parser.add_argument(
        "--trials", type=int, default=20, metavar="N", help="in all, earlier sittings too (default: 20)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument("--set", nargs="+", default=[], metavar="MODEL.FIELD=VALUE", help="fix a field: narm.epochs=5")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda or cuda:N")
    inventory.data_option(parser)
    parser.add_argument("--results", type=Path, default=Path("results/local"), metavar="DIR")
    parser.add_argument("--quiet", action="store_true", help="no progress, only the outcome")
    parser.set_defaults(answer=_answer)


def _answer(options: Any) -> str:
    model = catalog.recommender(options.model).name
    if options.trials < 1:
        raise UsageError(f"--trials {options.trials}: must be at least 1")
    settings = request.settings(options.set)
    for other in set(settings) - {model}:
        raise UsageError(f"--set {other}.…: {other} is not the model that is searched")
    fixed = {
        key: catalog.resolved(catalog.make_recommender(model, {key: value}))[key]
        for key, value in settings.get(model, {}).items()
    }
    what = Search(options.dataset, model, fixed, options.seed)
    train = catalog.load_split(options.dataset, options.data).train
    device = choose_device(options.device)
    trials = run(what, train, options.trials, options.results, device, quiet=options.quiet)
    return report(what, trials)


def as_command(dataset: str, model: str, options: str) -> str:
    """What runs a model with the fields found, on all of train and on test."""
    return f"python -m reproduce table2 --dataset {dataset} --model {model} {options}"


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
