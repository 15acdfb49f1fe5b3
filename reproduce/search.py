"""`search`: the best settings of a model, as a table and as the command that uses them."""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

from reproduce import catalog, own_process
from reproduce.errors import UsageError
from reproduce.fitting import user_model
from reproduce.reading import own_data
from reproduce.runs import own_options, request, slurm
from reproduce.runs.deadline import Deadline
from reproduce.runs.runner import RunOptions
from reproduce.runs.search import Search, as_options, over_orders, run
from reproduce.runs.trials import Outcome, best_of

SHOWN = 5


def answer(options: Namespace) -> str:
    own_process.show_tracebacks(options.traceback)
    asked = slurm.parse(options.slurm) if options.slurm else None
    model = catalog.recommender(options.model, load=False).name
    (dataset,) = own_options.datasets([options.dataset], options.rules, options.data)
    settings = request.settings(options.set)
    for other in set(settings) - {model}:
        raise UsageError(f"--set {other}.…: {other} is not the model that is searched")
    what = Search(dataset, model, settings.get(model, {}), options.seed, options.trial_epochs)
    if asked is not None:
        if options.fresh:
            raise UsageError("--fresh: with --slurm a job that is queued again must go on from its checkpoint")
        what.ranges()
        queued = slurm.queue([as_job(what, options)], asked, options.results)
        return queued or "nothing to submit: this search is queued"
    how = RunOptions(
        data=options.data,
        results=options.results,
        device=options.device,
        quiet=options.quiet,
        fresh=options.fresh,
        deadline=None if options.minutes is None else Deadline.in_minutes(options.minutes),
    )
    outcome = run(what, options.trials, how)
    return report(what, outcome)


def as_job(what: Search, options: Namespace) -> list[str]:
    """Return the words to type after `python -m reproduce` for this search, on any machine that has the folders."""
    words = ["search", slurm.model_word(what.model), "--dataset", *slurm.dataset_words(what.dataset)]
    words += ["--trials", str(options.trials), "--seed", str(what.seed)]
    if what.fixed:
        words += ["--set", *(f"{what.model}.{key}={value}" for key, value in what.fixed.items())]
    for name, value in (("--trial-epochs", what.trial_epochs), ("--minutes", options.minutes)):
        words += [] if value is None else [name, str(value)]
    words += ["--data", str(options.data.resolve()), "--results", str(options.results.resolve())]
    return [*words, "--device", options.device, *(["--quiet"] if options.quiet else [])]


def as_command(dataset: str, model: str, options: str) -> str:
    """Return the command that trains a model with the fields found on all of train, and tests it."""
    asked = shlex.quote(user_model.asked_for_as(model))
    return f"python -m reproduce table2 --dataset {own_data.asked_for_as(dataset)} --model {asked} {options}"


def report(what: Search, outcome: Outcome) -> str:
    """Report the protocol, the ranges, the best trials, the defaults, the refits and the command for the best."""
    defaults, ordered = outcome.trials[0], best_of(outcome.trials)
    shown = ordered[:SHOWN] + ([defaults] if defaults not in ordered[:SHOWN] else [])
    anew = {str(one.fields): one for one in outcome.refits}
    lines = []
    for one in shown:
        refit = anew.get(str(one.fields))
        if refit is None or refit.why is not None:
            more = ["" if refit is None else "failed"] * 2
        else:
            more = [_number(refit.recall), _number(refit.mrr)]
        name = "defaults" if one is defaults else ""
        lines.append([name, *map(str, one.fields.values()), _number(one.recall), _number(one.mrr), *more])
    head = ["", *defaults.fields, "Recall@20", "MRR@20", "anew: Recall@20", "MRR@20"]
    options = as_options(what.model, {**what.fixed, **outcome.best.fields})
    made = "" if len(outcome.trials) == outcome.protocol.trials else f"; there are only {len(outcome.trials)} settings"
    return (
        f"{what.model} on {what.dataset}: {outcome.protocol}{made}\nscored on {outcome.scored_on}\n"
        f"searched: {told_ranges(what.ranges())}\n\n"
        + tabulate(lines, head, disable_numparse=True, colalign=["left"] + ["right"] * (len(head) - 1))
        + (f"\n\n{as_command(what.dataset, what.model, options)}" if options else "\n\nthe defaults are the best found")
    )


def told_ranges(ranges: Mapping[str, Any]) -> str:
    """Describe in one line what a trial could choose for each field."""
    told = []
    for name, what in ranges.items():
        if isinstance(what, list):
            told.append(f"{name} of {', '.join(map(str, what))}")
        else:
            evenly = " (evenly in the logarithm)" if over_orders(*what) else ""
            told.append(f"{name} {what[0]} to {what[1]}{evenly}")
    return "; ".join(told)


def _number(value: float | None) -> str:
    return "failed" if value is None else f"{value:.2f}"
