"""`search`: the fields of a model by trial, scored on training sessions held out whole. The test part is never read.

The newest tenth of the training sessions is held out, as the test is newer than train. The first trial is the model's
own defaults. What a trial draws depends on the seed and on the finished trials before it, and every trial is stored
when it is done, so an interrupted search goes on to the trials an undisturbed one would make.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from reproduce import catalog
from reproduce.errors import ModelError, UsageError
from reproduce.evaluation import ranking
from reproduce.files import replacing
from reproduce.fitting import user_model
from reproduce.fitting.determinism import deterministic
from reproduce.fitting.recommender import Journal, Recommender
from reproduce.reading.sessions import Sessions
from reproduce.runs.checkpoint import RunJournal
from reproduce.runs.environment import check_writable, circumstances
from reproduce.runs.experiment import file_name

HELD_OUT = 0.1  # of the training sessions


@dataclass(frozen=True)
class Trial:
    """What was tried, and how it did on the held-out sessions; None where the model failed, and why it did."""

    fields: Mapping[str, Any]
    recall: float | None
    mrr: float | None
    why: str | None = None


@dataclass(frozen=True)
class Search:
    """What is searched: a model with some fields fixed, on a data set. Its path is its name."""

    dataset: str
    model: str
    fixed: Mapping[str, Any]
    seed: int

    @property
    def path(self) -> str:
        """Where the study and its summary lie in a results folder, without the ending."""
        return f"search/{self.dataset}/{file_name(self.model, self.fixed)}-seed{self.seed}"

    def ranges(self) -> dict[str, Any]:
        """The fields a trial chooses, each from a pair (low, high) or a list. Raises UsageError if there are none."""
        kind = catalog.recommender(self.model)
        found = {one.name: one.metadata.get("search") for one in fields(kind)}  # type: ignore[arg-type]
        chosen = {name: what for name, what in found.items() if what and name not in self.fixed}
        if not chosen:
            raise UsageError(f"{self.model}: no field states what to search; see recommender.setting(search=...)")
        return chosen

    def identity(self, train: Sessions) -> str:
        """Equal searches, and only these, go on with each other's trials."""
        made_of = [self.model, user_model.source(self.model), self.seed, HELD_OUT, self.ranges()]
        made_of += [catalog.resolved(catalog.make_recommender(self.model, self.fixed)), train.n_items]
        total = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode())
        for array in (train.clicks()[0], train.lengths):
            total.update(array.astype("<i8").tobytes())
        return total.hexdigest()


def run(
    what: Search, train: Sessions, trials: int, results: Path, device: torch.device, *, quiet: bool = True
) -> list[Trial]:
    """Make what is missing of so many trials; all of them, in the order they were made.

    Raises:
        UsageError: optuna is not here, or the model states nothing to search.
    """
    optuna = _optuna()
    ranges = what.ranges()
    check_writable(results)
    place = results / what.path
    place.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{place}.sqlite",
        study_name=what.identity(train),
        direction="maximize",
        load_if_exists=True,
    )
    fitting, held_out = hold_out(train)
    resolved = catalog.resolved(catalog.make_recommender(what.model))
    defaults = {name: resolved[name] for name in ranges}

    def objective(trial: Any) -> float:
        chosen = {name: _suggest(trial, name, ranges[name], default) for name, default in defaults.items()}
        trial.set_user_attr("fields", chosen)
        model = catalog.make_recommender(what.model, {**what.fixed, **chosen})
        try:
            recall, mrr = evaluate(model, fitting, held_out, what.seed, device, quiet=quiet)
        except ModelError as error:
            trial.set_user_attr("why", str(error))
            raise
        trial.set_user_attr("mrr", mrr)
        return recall

    while (done := len(_finished(study))) < trials:
        draw = int(np.random.SeedSequence([what.seed, done]).generate_state(1)[0])
        study.sampler = optuna.samplers.TPESampler(seed=draw)
        if not done:
            study.enqueue_trial({name: value for name, value in defaults.items() if _within(value, ranges[name])})
        study.optimize(objective, n_trials=1, catch=(ModelError,))
        if not quiet:
            print(f"trial {done + 1}/{trials}: {_told(_finished(study)[-1])}", file=sys.stderr, flush=True)
    made = _finished(study)[:trials]
    _store(what, made, ranges, len(held_out), place, circumstances(device, train.n_items))
    return made


def hold_out(train: Sessions) -> tuple[Sessions, Sessions]:
    """The older sessions to fit on, the newest tenth to score on; at least one session each."""
    first = min(max(1, round((1 - HELD_OUT) * len(train))), len(train) - 1)
    return train.take(slice(0, first)), train.take(slice(first, None))


def evaluate(
    model: Recommender, fitting: Sessions, held_out: Sessions, seed: int, device: torch.device, *, quiet: bool
) -> tuple[float, float]:
    """Recall@20 and MRR@20 on all prefixes of the held-out sessions, in per cent."""
    guarded = user_model.guarded(model)
    journal = Journal() if quiet else RunJournal(title=model.name, quiet=quiet)
    with deterministic():
        guarded.fit(fitting, seed=seed, device=device, journal=journal)
        ranks = ranking.rank(*ranking.rank_all(guarded, *held_out.prefixes()))
    return ranking.recall_at(ranks), ranking.mrr_at(ranks)


def best(trials: Sequence[Trial]) -> Trial:
    """The highest Recall@20, of equals the earlier. Raises ModelError where every trial failed."""
    scored = [one for one in trials if one.recall is not None]
    if not scored:
        raise ModelError("every trial failed; the messages above say why")
    return max(scored, key=lambda one: one.recall or 0.0)


def as_options(model: str, chosen: Mapping[str, Any]) -> str:
    """The --set of some fields, those at their defaults left out."""
    changed = catalog.changed(catalog.make_recommender(model, chosen))
    return "--set " + " ".join(f"{model}.{key}={value}" for key, value in changed.items()) if changed else ""


def _store(
    what: Search, trials: Sequence[Trial], ranges: Mapping[str, Any], held_out: int, place: Path, where: dict[str, Any]
) -> None:
    content = {
        **asdict(what),
        **user_model.described(what.model),
        "scored_on": f"the newest {held_out} training sessions, held out whole",
        "ranges": ranges,
        "defaults": asdict(trials[0]),
        "best": asdict(best(trials)),
        "options": as_options(what.model, {**what.fixed, **best(trials).fields}),
        "trials": [asdict(one) for one in trials],
        "environment": where,
    }
    with replacing(Path(f"{place}.json")) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def _optuna() -> ModuleType:
    try:
        import optuna
    except ImportError as error:
        raise UsageError("search needs optuna; install the suite with its extra: pip install '.[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _suggest(trial: Any, name: str, what: Any, default: Any) -> Any:
    """A value for a field; numbers with a point to three digits, as one would type them."""
    if isinstance(what, list):
        return trial.suggest_categorical(name, what)
    low, high = what
    wide = low > 0 and high / low >= 100  # over orders of magnitude: evenly in the logarithm
    if isinstance(default, int):
        return trial.suggest_int(name, low, high, log=wide)
    return float(f"{trial.suggest_float(name, low, high, log=wide):.3g}")


def _within(value: Any, what: Any) -> bool:
    return value in what if isinstance(what, list) else bool(what[0] <= value <= what[1])


def _finished(study: Any) -> list[Trial]:
    """Those scored and those whose model failed; a trial that was cut off is neither."""
    trials = [(one.value, one.user_attrs) for one in study.get_trials(deepcopy=False)]
    return [
        Trial(kept["fields"], value, kept.get("mrr"), kept.get("why"))
        for value, kept in trials
        if value is not None or "why" in kept
    ]


def _told(trial: Trial) -> str:
    chosen = ", ".join(f"{key}={value}" for key, value in trial.fields.items())
    outcome = f"Recall@20 {trial.recall:.2f}, MRR@20 {trial.mrr:.2f}" if trial.recall is not None else f"{trial.why}"
    return f"{outcome}  {chosen}"
