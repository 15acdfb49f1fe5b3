"""`search`: finds the fields of a model by trials, scored on held-out training sessions; the test part is never read.

The first trial has the model's defaults. A draw that repeats earlier settings is drawn again and does not count as a
trial. The best trials are then fitted again with other seeds, and the settings with the best mean win, because the best
of many trials with one seed is partly luck. The draw of a trial depends on the seed and on the finished trials before
it, and every trial and fit is stored as soon as it is done. An interrupted search therefore resumes with the trials
that an undisturbed one would make.

Only searches with the same Protocol can be compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from reproduce import catalog
from reproduce.errors import ModelError, UsageError
from reproduce.files import only_one, replacing
from reproduce.fitting import user_model
from reproduce.fitting.neural import Neural
from reproduce.reading.sessions import Sessions
from reproduce.runs.deadline import Deadline, TimeIsUp
from reproduce.runs.environment import check_writable, circumstances
from reproduce.runs.experiment import MAX_SEED, check_seed, file_name
from reproduce.runs.held_out import Fit, hold_out
from reproduce.runs.trials import VERSION, Outcome, Protocol, Refit, Trial, best_of, told, untried

REFITTED, REFITS = 3, 3  # how many of the best trials are fitted again, and with how many seeds each
DRAWS = 10  # attempts to draw new settings, before untried ones are taken at random


@dataclass(frozen=True)
class Search:
    """A search: a model with some of its fields fixed, on a data set."""

    dataset: str
    model: str
    fixed: Mapping[str, Any]
    seed: int
    trial_epochs: int | None = None  # the largest number of epochs of a neural network in a trial

    def protocol(self, trials: int) -> Protocol:
        return Protocol(VERSION, trials, self.trial_epochs, REFITTED, REFITS)

    @property
    def path(self) -> str:
        """The path of the study in a results folder, without the ending; it does not depend on `trial_epochs`."""
        return f"search/{self.dataset}/{file_name(self.model, self.fixed)}-seed{self.seed}"

    def summary(self, trials: int) -> str:
        """The path of the search's outcome in a results folder; each protocol has a file of its own."""
        cap = "" if self.trial_epochs is None else f"-of-{self.trial_epochs}-epochs"
        return f"{self.path}-{trials}-trials{cap}-protocol{VERSION}.json"

    @property
    def seeds(self) -> list[int]:
        """The seeds of the refits. They differ from the seed of the trials, by which the best were chosen."""
        return [(self.seed + 1 + i) % (MAX_SEED + 1) for i in range(REFITS)]

    def ranges(self) -> dict[str, Any]:
        """The fields that a trial chooses, each with a pair (low, high) or a list of values.

        Raises:
            UsageError: there are no such fields, or a default is not among the values of its field.
        """
        kind = catalog.recommender(self.model)
        found = {one.name: one.metadata.get("search") for one in fields(kind)}  # type: ignore[arg-type]
        chosen = {name: what for name, what in found.items() if what and name not in self.fixed}
        if not chosen:
            raise UsageError(f"{self.model}: no field states what to search; see recommender.setting(search=...)")
        for name, value in catalog.resolved(catalog.make_recommender(self.model)).items():
            if name in chosen and not _within(value, chosen[name]):
                raise UsageError(f"{self.model}.{name}: its default {value} is not among what a search may try")
        return chosen

    def recommender(self, chosen: Mapping[str, Any], *, trial: bool = False) -> Any:
        """Create the model with the chosen fields; in a trial, the epochs of a neural network are capped."""
        made = catalog.make_recommender(self.model, {**self.fixed, **chosen})
        if not trial or self.trial_epochs is None or not isinstance(made, Neural):
            return made
        return catalog.make_recommender(
            self.model, {**catalog.resolved(made), "epochs": min(made.epochs, self.trial_epochs)}
        )

    def identity(self, train: Sessions) -> str:
        """A sha256 that equal searches share, and only they, so that one resumes the trials of the other."""
        parts = hold_out(train)
        made_of = [VERSION, self.model, user_model.source(self.model), self.seed, self.ranges(), self.trial_epochs]
        made_of += [catalog.resolved(self.recommender({})), train.n_items]
        total = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode())
        for part in (parts.fitting, parts.scoring):
            for array in (part.clicks()[0], part.lengths):
                total.update(array.astype("<i8").tobytes())
        return total.hexdigest()


def run(
    what: Search,
    train: Sessions,
    trials: int,
    results: Path,
    device: torch.device,
    *,
    quiet: bool = True,
    fresh: bool = False,
    deadline: Deadline | None = None,
) -> Outcome:
    """Run the trials and the refits that are not stored yet, and store the outcome of the search.

    Args:
        what: the search.
        train: the training sessions, of which the newest are held out for scoring.
        trials: the number of trials in all, including stored ones.
        fresh: do not resume from the checkpoint of an interrupted fit.
        deadline: when to stop, between two epochs.

    Raises:
        UsageError: optuna is missing, the model states nothing to search, or an epoch takes longer than the deadline.
        ModelError: every trial failed, or each of the best trials failed with another seed.
        TimeIsUp: the deadline came first; what was done is kept.
    """
    optuna = _optuna()
    check_seed(what.seed)
    ranges = what.ranges()
    check_writable(results)
    place = results.absolute() / what.path
    with only_one(Path(f"{place}.lock"), quiet=quiet):
        identity = what.identity(train)
        study = optuna.create_study(
            storage=f"sqlite:///{place}.sqlite", study_name=identity, direction="maximize", load_if_exists=True
        )
        parts = hold_out(train)
        fit = Fit(parts, place, identity, device, quiet, fresh, deadline)
        try:
            made = _trials(optuna, study, what, ranges, trials, fit)
            refits = [_refit(study, what, one, fit) for one in best_of(made)[:REFITTED]]
        except TimeIsUp as error:
            done = len(_finished(study))
            far = f"{done} of {trials} trials are done" if done < trials else "all trials are done, the refits are not"
            raise TimeIsUp(f"{error}; {far}; the same command goes on") from error
        outcome = Outcome(what.protocol(trials), parts.told, made, refits)
        _store(what, outcome, ranges, results / what.summary(trials), circumstances(device, train.n_items))
    return outcome


def _trials(
    optuna: ModuleType, study: Any, what: Search, ranges: Mapping[str, Any], wanted: int, fit: Fit
) -> list[Trial]:
    """Run trials until there are `wanted`, or until no new settings are found, and return all of them."""
    while len(done := _finished(study)) < wanted:
        trial = _new_setting(optuna, study, what, ranges, done)
        if trial is None:
            break
        chosen = trial.user_attrs["fields"]
        try:
            recall, mrr = fit.score(what.recommender(chosen, trial=True), what.seed)
            trial.set_user_attr("mrr", mrr)
            study.tell(trial, recall)
        except BaseException as error:
            if isinstance(error, ModelError):
                trial.set_user_attr("why", str(error))
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            if not isinstance(error, ModelError):
                raise
        fit.say(f"trial {len(done) + 1}/{wanted}: {told(_finished(study)[-1])}")
    return done[:wanted]


def _new_setting(
    optuna: ModuleType, study: Any, what: Search, ranges: Mapping[str, Any], done: Sequence[Trial]
) -> Any | None:
    """The next trial; None if no setting was found that has not been tried."""
    resolved = catalog.resolved(what.recommender({}))
    defaults = {name: resolved[name] for name in ranges}
    cut_off = optuna.trial.TrialState.FAIL
    for _ in study.get_trials(states=(optuna.trial.TrialState.WAITING,)):  # left by a killed process
        study.tell(study.ask(), state=cut_off)
    for attempt in range(DRAWS + 1):
        draw = int(np.random.SeedSequence([what.seed, len(done), attempt]).generate_state(1)[0])
        # constant_liar off: trials that were cut off must not influence later draws.
        study.sampler = optuna.samplers.TPESampler(seed=draw, constant_liar=False)
        if not done:
            study.enqueue_trial(defaults)
        elif attempt == DRAWS:
            left = untried(ranges, done)
            if not left:
                break
            study.enqueue_trial(left[draw % len(left)])
        trial = study.ask()
        chosen = {name: _suggest(trial, name, ranges[name], default) for name, default in defaults.items()}
        if all(chosen != one.fields for one in done):
            trial.set_user_attr("fields", chosen if done else defaults)
            return trial
        study.tell(trial, state=cut_off)
    return None


def _refit(study: Any, what: Search, trial: Trial, fit: Fit) -> Refit:
    """Fit a trial again with other seeds and with all epochs; each fit is stored in the study when it is done.

    A deterministic model gives the same numbers with every seed, so the numbers of its trial are used.
    """
    if catalog.recommender(what.model).deterministic:
        assert trial.recall is not None and trial.mrr is not None
        return Refit(trial.fields, [trial.recall] * REFITS, [trial.mrr] * REFITS)
    recalls: list[float] = []
    mrrs: list[float] = []
    for seed in what.seeds:
        key = hashlib.sha256(json.dumps([trial.fields, seed], sort_keys=True).encode()).hexdigest()
        kept = study.user_attrs.get(key)
        if kept is None:
            try:
                kept = list(fit.score(what.recommender(trial.fields), seed))
            except ModelError as error:
                kept = str(error)
            study.set_user_attr(key, kept)
            fit.say(f"fitted anew, seed {seed}: {told(Trial(trial.fields, *_numbers(kept)))}")
        if isinstance(kept, str):
            return Refit(trial.fields, recalls, mrrs, kept)
        recalls.append(kept[0])
        mrrs.append(kept[1])
    return Refit(trial.fields, recalls, mrrs)


def _numbers(kept: Any) -> tuple[Any, Any, str | None]:
    """Recall, MRR and the reason of a failure, from what a study stores for a fit."""
    return (None, None, kept) if isinstance(kept, str) else (kept[0], kept[1], None)


def as_options(model: str, chosen: Mapping[str, Any]) -> str:
    """The --set option for some fields, without those at their defaults."""
    changed = catalog.changed(catalog.make_recommender(model, chosen))
    return "--set " + " ".join(f"{model}.{key}={value}" for key, value in changed.items()) if changed else ""


def _store(what: Search, outcome: Outcome, ranges: Mapping[str, Any], file: Path, where: dict[str, Any]) -> None:
    best = outcome.best
    content = {
        **asdict(what),
        **user_model.described(what.model),
        **asdict(outcome),
        "seeds": what.seeds,
        "ranges": ranges,
        "defaults": asdict(outcome.trials[0]),
        "best": asdict(best),
        "options": as_options(what.model, {**what.fixed, **best.fields}),
        "environment": where,
    }
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def _optuna() -> ModuleType:
    try:
        import optuna
    except ImportError as error:
        raise UsageError("search needs optuna; install the suite with its extra: pip install '.[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _suggest(trial: Any, name: str, what: Any, default: Any) -> Any:
    """Let a trial suggest a value for a field; floats have three significant digits, as a user would type them."""
    if isinstance(what, list):
        return trial.suggest_categorical(name, what)
    low, high = what
    wide = over_orders(low, high)  # then drawn uniformly in the logarithm
    if isinstance(default, int):
        return trial.suggest_int(name, low, high, log=wide)
    return float(f"{trial.suggest_float(name, low, high, log=wide):.3g}")


def over_orders(low: float, high: float) -> bool:
    """Whether a range is positive and spans at least two orders of magnitude."""
    return low > 0 and high / low >= 100


def _within(value: Any, what: Any) -> bool:
    return value in what if isinstance(what, list) else bool(what[0] <= value <= what[1])


def _finished(study: Any) -> list[Trial]:
    """The trials that were scored or whose model failed, without those cut off and those that repeated settings."""
    trials = [(one.value, one.user_attrs) for one in study.get_trials(deepcopy=False)]
    return [
        Trial(kept["fields"], value, kept.get("mrr"), kept.get("why"))
        for value, kept in trials
        if value is not None or "why" in kept
    ]
