"""`recommend`: what a kept model recommends after some clicks, in the log's own ids; for NARM, its attention too."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
from tabulate import tabulate

from reproduce import catalog
from reproduce.errors import InputError, UsageError
from reproduce.fitting import user_model
from reproduce.reading import own_data
from reproduce.runs import kept_model, own_options, request
from reproduce.runs.experiment import Experiment


def answer(options: Namespace) -> str:
    kept = kept_model.load_model(_place(options), options.device)
    if not options.clicks:
        raise UsageError("recommend needs --clicks, items as the log calls them, the oldest first")
    best = kept.recommend(options.clicks, options.top)
    lines = [[str(i), item, f"{score:.4f}"] for i, (item, score) in enumerate(best, 1)]
    ids = "" if kept.vocabulary is not None else " (items by their number in the suite's catalogue)"
    text = [
        f"{kept.experiment.model} on {kept.experiment.dataset}, after {' '.join(options.clicks)}{ids}",
        tabulate(lines, ["", "item", "score"], disable_numparse=True, colalign=("right", "left", "right")),
    ]
    weights = kept.attention(options.clicks)
    if weights is not None and np.any(weights):
        truncation = getattr(kept.model, "truncation", "none")
        read = options.clicks[-len(weights) :] if truncation == "last" else options.clicks[: len(weights)]
        shown = [[item, f"{weight:.3f}"] for item, weight in zip(read, weights, strict=False)]
        text.append(tabulate(shown, ["click", "attention"], disable_numparse=True, colalign=("left", "right")))
    return "\n\n".join(text)


def _place(options: Namespace) -> Path:
    """Find the path of the kept model.

    Raises:
        InputError: no model is kept there; the message has the command that keeps it.
        UsageError: the data set is not named, or a name or setting is wrong.
    """
    if options.model.endswith(kept_model.ENDING):
        return Path(options.model)
    model = catalog.recommender(options.model).name
    if not options.dataset:
        raise UsageError("recommend needs --dataset, what the model was fitted on, or the path of a .model file")
    (dataset,) = own_options.datasets([options.dataset], options.rules, options.data)
    fields = request.settings(options.set)
    for other in set(fields) - {model}:
        raise UsageError(f"--set {other}.…: {other} is not the model asked")
    one = Experiment.of(dataset, model, fields.get(model), options.seed)
    place = kept_model.place_of(one, options.results)
    if not place.is_file():
        settings = " ".join(f"{model}.{key}={value}" for key, value in one.params.items())
        words = ["--dataset", own_data.asked_for_as(dataset), "--model", user_model.asked_for_as(model)]
        words += ["--set", settings] * bool(settings) + ["--seed", str(one.seed)] * bool(one.seed)
        command = f"python -m reproduce run {' '.join(words)} --keep-model"
        raise InputError(f"{place}: no model is kept there; {command} keeps it")
    return place
