"""`recommend`: what a kept model recommends after some clicks, in the log's own ids; for NARM, its attention too.

The clicks of a single session are given as words, those of several sessions in a file with the columns session and
item, in the order of the clicks. The answer to a file is CSV (session, rank, item, score) or JSON.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tabulate import tabulate

from reproduce import catalog
from reproduce.errors import InputError, UsageError
from reproduce.reading import plain_table
from reproduce.runs import kept_model, request
from reproduce.runs.experiment import Experiment, file_name


def answer(options: Namespace) -> str:
    if bool(options.clicks) == bool(options.sessions):
        raise UsageError(
            "recommend needs --clicks, items as the log calls them, the oldest first, or --sessions, a file of them"
        )
    if options.model.endswith(kept_model.ENDING):
        if options.set or options.seed is not None:
            raise UsageError(f"{'--set' if options.set else '--seed'}: the file is of one run; leave the option out")
        return _answer(Path(options.model), options)
    model = catalog.recommender(options.model, load=False).name
    text: str = catalog.in_its_process(model, _answer, _place(options, model).absolute(), options)
    return text


def _answer(place: Path, options: Namespace) -> str:
    named = catalog.named_datasets([options.dataset] if options.dataset else [], options.rules, options.data)
    kept = kept_model.load_model(place, options.device)
    if named and kept.experiment.dataset not in named:
        raise UsageError(f"{place}: was fitted on {kept.experiment.dataset}, not on {named[0]}")
    how = {"skip_unknown": options.skip_unknown, "exclude_seen": options.exclude_seen}
    if options.sessions:
        sessions = read_sessions(options.sessions)
        try:
            answers = kept.recommend_each(list(sessions.values()), options.top, **how)
        except UsageError as error:
            raise InputError(f"{options.sessions}: {error}") from error
        return written(dict(zip(sessions, answers, strict=True)), options.format)
    best = kept.recommend(options.clicks, options.top, **how)
    lines = [[str(i), item, f"{score:.4f}"] for i, (item, score) in enumerate(best, 1)]
    ids = "" if kept.vocabulary is not None else " (items by their number in the suite's catalogue)"
    text = [
        f"{kept.experiment.model} on {kept.experiment.dataset}, after {' '.join(options.clicks)}{ids}",
        tabulate(lines, ["", "item", "score"], disable_numparse=True, colalign=("right", "left", "right")),
    ]
    clicks = [item for item in options.clicks if item in kept.known]
    weights = kept.attention(clicks)
    if weights is not None and np.any(weights):
        truncation = getattr(kept.model, "truncation", "none")
        read = clicks[-len(weights) :] if truncation == "last" else clicks[: len(weights)]
        shown = [[item, f"{weight:.3f}"] for item, weight in zip(read, weights, strict=False)]
        text.append(tabulate(shown, ["click", "attention"], disable_numparse=True, colalign=("left", "right")))
    return "\n\n".join(text)


def read_sessions(file: Path) -> dict[str, list[str]]:
    """Read the items of each session, by its id, in the order of the rows.

    Raises:
        InputError: the file is absent or broken, or an id is missing; it names the row and the remedy.
    """
    table = plain_table.read(file, file, "clicks")
    if missing := {"session", "item"} - table.columns.keys():
        raise table.error(None, f"no column {' and '.join(sorted(missing))}; expected session and item, a click a row")
    clicks = pd.DataFrame({name: table.texts(name).to_pylist() for name in ("session", "item")})
    return {str(session): list(items) for session, items in clicks.groupby("session", sort=False)["item"]}


def written(answers: Mapping[str, Sequence[tuple[str, float]]], kind: str) -> str:
    """Return recommendations by session as "csv" or "json"."""
    if kind == "json":
        named = [
            {"session": session, "items": [{"item": item, "score": score} for item, score in items]}
            for session, items in answers.items()
        ]
        return json.dumps(named, indent=1)
    lines = [(session, rank, *best) for session, items in answers.items() for rank, best in enumerate(items, 1)]
    frame = pd.DataFrame(lines, columns=["session", "rank", "item", "score"])
    return frame.to_csv(index=False, lineterminator="\n").rstrip("\n")


def _place(options: Namespace, model: str) -> Path:
    """Find the kept model of a name: the only one with the data set, settings and seed, as far as these are given.

    Raises:
        InputError: none is kept; the message says how to keep it.
        UsageError: there are several, or a name or setting is wrong.
    """
    datasets = catalog.named_datasets([options.dataset] if options.dataset else [], options.rules, options.data)
    settings = request.settings_of(model, options.set, "recommends")
    params = Experiment.of("synthetic", model, settings).params
    places = []
    for place in sorted((options.results / "runs").glob(f"*/{model}*-seed*{kept_model.ENDING}")):
        name, _, seed = place.name.removesuffix(kept_model.ENDING).rpartition("-seed")
        fits_settings = name == file_name(model, params) if settings else name.partition(",")[0] == model
        fits_seed = options.seed is None or seed == str(options.seed)
        if fits_settings and fits_seed and (not datasets or place.parent.name == datasets[0]):
            places.append(place)
    if len(places) == 1:
        return places[0]
    if places:
        listed = "".join(f"\n  {place}" for place in places)
        raise UsageError(f"{len(places)} models are kept; choose with --dataset, --set, --seed or a file:{listed}")
    raise InputError(f"{options.results}: no such model is kept; run it with --keep-model")
