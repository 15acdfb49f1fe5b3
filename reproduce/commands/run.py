"""`run`: make the record of one run, given by its data set, model, fields and seed.

Jobs queued with --slurm run this command.
"""

from __future__ import annotations

from typing import Any

from reproduce import catalog
from reproduce.errors import UsageError
from reproduce.reports.description import (
    DATA,
    DEVICE,
    KEEP_MODEL,
    MINUTES,
    OWN_DATA,
    OWN_LOG,
    RESULTS,
    SETTINGS,
    TRACEBACK,
    About,
    Command,
    Option,
)
from reproduce.runs import own_options, request, scheduler
from reproduce.runs.deadline import Deadline
from reproduce.runs.experiment import Experiment

ABOUT = About(
    "makes the record of a single run",
    (
        Option(
            "--model", "a name, or the path of a .py file with your model", metavar="NAME", required=True, names="model"
        ),
        Option("--dataset", OWN_DATA, metavar="NAME", required=True, names="data set"),
        *OWN_LOG,
        SETTINGS,
        Option("--seed", "default: 0", metavar="N", type=int, default=0),
        DEVICE,
        DATA,
        RESULTS,
        MINUTES,
        Option("--force", "run again even where a record is stored"),
        KEEP_MODEL,
        TRACEBACK,
        Option("--quiet", "no progress, only the result"),
    ),
)


def _answer(options: Any) -> str:
    model = catalog.recommender(options.model).name
    (dataset,) = own_options.datasets([options.dataset], vars(options))
    fields = request.settings(options.set)
    for other in set(fields) - {model}:
        raise UsageError(f"--set {other}.…: {other} is not the model that is run")
    one = Experiment.of(dataset, model, fields.get(model), options.seed)
    asked = request.Request(
        datasets=[dataset],
        data=options.data,
        results=options.results,
        device=options.device,
        force=options.force,
        quiet=options.quiet,
        keep_model=options.keep_model,
        deadline=None if options.minutes is None else Deadline.in_minutes(options.minutes),
    )
    result = scheduler.run_cell(asked, one, catalog.load_split(one.dataset, options.data))
    return f"{one.path.removeprefix('runs/')}: Recall@20 {result.recall():.2f}, MRR@20 {result.mrr():.2f}"


COMMAND = Command(ABOUT, _answer)
