"""`search`: finds the fields of a model by trials on the held-out split of a data set; its test part is never read.

A trial is an ordinary experiment on `<data set>-held-out`, so its record is reused and an interrupted one resumes. The
first trial has the model's defaults. The best trials are then fitted again with other seeds, and the settings with the
best mean win, because the best of many trials with one seed is partly luck. The draw of a trial depends on the seed and
on the trials before it, so a search that is repeated draws the same trials.

Only searches with the same Protocol can be compared.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from reproduce import catalog
from reproduce.errors import InputError, ModelError, UsageError
from reproduce.files import only_one, replacing
from reproduce.fitting import user_model
from reproduce.fitting.neural import Neural
from reproduce.reading.held_out import hold_out
from reproduce.reading.sessions import Split
from reproduce.runs.deadline import TimeIsUp
from reproduce.runs.environment import check_writable, choose_device, circumstances
from reproduce.runs.experiment import MAX_SEED, Experiment, check_seed, file_name
from reproduce.runs.record_shape import Misshapen, read_json
from reproduce.runs.runner import RunOptions, run_with
from reproduce.runs.trials import VERSION, Outcome, Protocol, Refit, Trial, best_of

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
        sampler = "optuna" if importlib.util.find_spec("optuna") else "random"
        return Protocol(VERSION, trials, self.trial_epochs, REFITTED, REFITS, sampler)

    def path(self, trials: int) -> str:
        """The path of the search's outcome in a results folder; each protocol has a file of its own."""
        cap = "" if self.trial_epochs is None else f"-of-{self.trial_epochs}-epochs"
        name = f"{file_name(self.model, self.fixed)}-seed{self.seed}-{trials}-trials{cap}-protocol{VERSION}"
        return f"search/{self.dataset}/{name}.json"

    @property
    def seeds(self) -> list[int]:
        """The seeds of the refits. They differ from the seed of the trials, by which the best were chosen."""
        return [(self.seed + 1 + i) % (MAX_SEED + 1) for i in range(REFITS)]

    def ranges(self) -> dict[str, Any]:
        """The fields that a trial chooses, each with a pair (low, high) or a list of values.

        Raises:
            UsageError: there are no such fields, or a default is not among the values of its field.
        """
        declared = {field.name: field.metadata.get("search") for field in fields(catalog.recommender(self.model))}  # type: ignore[arg-type]
        chosen = {name: what for name, what in declared.items() if what and name not in self.fixed}
        if not chosen:
            raise UsageError(f"{self.model}: no field states what to search; see recommender.setting(search=...)")
        for name, value in catalog.resolved(catalog.make_recommender(self.model)).items():
            what = chosen.get(name)
            if what and not (value in what if isinstance(what, list) else what[0] <= value <= what[1]):
                raise UsageError(f"{self.model}.{name}: its default {value} is not among what a search may try")
        return chosen

    def experiment(self, dataset: str, chosen: Mapping[str, Any], seed: int, *, trial: bool) -> Experiment:
        """The experiment with the chosen fields; in a trial, the epochs of a neural network are capped."""
        values = {**self.fixed, **chosen}
        model = catalog.make_recommender(self.model, values)
        if trial and self.trial_epochs is not None and isinstance(model, Neural):
            values["epochs"] = min(model.epochs, self.trial_epochs)
        return Experiment.of(dataset, self.model, values, seed)


def run(what: Search, trials: int, options: RunOptions) -> Outcome:
    """Run the trials and the refits that are not stored yet, and store the outcome of the search.

    Args:
        what: the search.
        trials: the number of trials.
        options: how to run; --force and --keep-model do not apply.

    Raises:
        UsageError: the model states nothing to search, or an epoch takes longer than the deadline.
        InputError: the data are absent or broken, or the results folder holds a search on other data of this name.
        ModelError: every trial failed, or each of the best trials failed with another seed.
        TimeIsUp: the deadline came first; what was done is kept.
    """
    check_seed(what.seed)
    ranges = what.ranges()
    options = replace(options, force=False, keep_model=False)
    check_writable(options.results)
    split = catalog.load_split(what.dataset, options.data)
    held_out = hold_out(split)
    file = options.results / what.path(trials)
    _check_same_data(file, split.digest)
    defaults = catalog.resolved(catalog.make_recommender(what.model, what.fixed))
    first = {name: defaults[name] for name in ranges}
    done: list[Trial] = []
    refits: list[Refit] = []
    with only_one(file.with_suffix(".lock")):
        try:
            while len(done) < trials and (chosen := _proposed(what, ranges, first, done)) is not None:
                done.append(
                    _fitted(what.experiment(held_out.name, chosen, what.seed, trial=True), chosen, held_out, options)
                )
                _say(options, f"trial {len(done)}/{trials}: {done[-1]}")
            for trial in best_of(done)[:REFITTED]:
                refits.append(_refit(what, trial, held_out, options))
        except TimeIsUp as error:
            far = f"{len(done)} of {trials} trials are done" if len(done) < trials else "the refits are not done"
            raise TimeIsUp(f"{error}; {far} (repeat the command to resume)") from error
        outcome = Outcome(what.protocol(trials), held_out.provenance.note, done, refits)
        content = {
            **asdict(what),
            **user_model.described(what.model),
            **asdict(outcome),
            "split": split.digest,
            "seeds": what.seeds,
            "ranges": ranges,
            "defaults": asdict(done[0]),
            "best": asdict(outcome.best),
            "options": as_options(what.model, {**what.fixed, **outcome.best.fields}),
            "environment": circumstances(choose_device(options.device), split.train.n_items),
        }
        with replacing(file) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n")
    return outcome


def _check_same_data(file: Path, split: str) -> None:
    try:
        before = read_json(file).get("split") if file.exists() else None
    except (Misshapen, OSError):  # a broken outcome is replaced
        return
    if before not in (None, split):
        raise InputError(f"{file}: a search on other data of this name; choose another --results DIR, or remove it")


def _fitted(experiment: Experiment, chosen: Mapping[str, Any], split: Split, options: RunOptions) -> Trial:
    """Run an experiment on the held-out split; a model that fails gives a trial without numbers."""
    try:
        result = run_with(options, experiment, split)
    except ModelError as error:
        return Trial(chosen, None, None, str(error))
    return Trial(chosen, result.recall(), result.mrr())


def _refit(what: Search, trial: Trial, split: Split, options: RunOptions) -> Refit:
    """Fit a trial again with other seeds and with all epochs, up to a fit that fails.

    A deterministic model gives the same numbers with every seed, so the numbers of its trial are used.
    """
    fits: list[Trial] = []
    for seed in what.seeds:
        if catalog.recommender(what.model).deterministic:
            fits.append(trial)
            continue
        fits.append(_fitted(what.experiment(split.name, trial.fields, seed, trial=False), trial.fields, split, options))
        _say(options, f"fitted anew, seed {seed}: {fits[-1]}")
        if fits[-1].recall is None:
            break
    whole = [fit for fit in fits if fit.recall is not None and fit.mrr is not None]
    return Refit(trial.fields, [fit.recall for fit in whole], [fit.mrr for fit in whole], fits[-1].why)  # type: ignore[misc]


def _say(options: RunOptions, text: str) -> None:
    if not options.quiet:
        print(text, file=sys.stderr, flush=True)


def _proposed(
    what: Search, ranges: Mapping[str, Any], defaults: Mapping[str, Any], done: Sequence[Trial]
) -> Mapping[str, Any] | None:
    """The settings of the next trial: the defaults first, then new ones; None if all have been tried."""
    if not done:
        return defaults
    draw = _with_optuna if what.protocol(0).sampler == "optuna" else _at_random
    for attempt in range(DRAWS):
        seed = int(np.random.SeedSequence([what.seed, len(done), attempt]).generate_state(1)[0])
        chosen = {name: _rounded(value, ranges[name]) for name, value in draw(ranges, defaults, done, seed).items()}
        if all(chosen != trial.fields for trial in done):
            return chosen
    if not all(isinstance(values, list) for values in ranges.values()):
        return None
    every = (dict(zip(ranges, values, strict=True)) for values in product(*ranges.values()))
    left = [chosen for chosen in every if all(chosen != trial.fields for trial in done)]
    return left[seed % len(left)] if left else None


def _with_optuna(
    ranges: Mapping[str, Any], defaults: Mapping[str, Any], done: Sequence[Trial], seed: int
) -> dict[str, Any]:
    """Let optuna's TPE sampler propose settings after the trials done."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kinds: dict[str, Any] = {}
    for name, what in ranges.items():
        if isinstance(what, list):
            kinds[name] = optuna.distributions.CategoricalDistribution(what)
        elif isinstance(defaults[name], int):
            kinds[name] = optuna.distributions.IntDistribution(what[0], what[1], log=over_orders(*what))
        else:
            kinds[name] = optuna.distributions.FloatDistribution(what[0], what[1], log=over_orders(*what))
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    states = optuna.trial.TrialState
    for trial in done:
        state = states.FAIL if trial.recall is None else states.COMPLETE
        study.add_trial(
            optuna.trial.create_trial(params=dict(trial.fields), distributions=kinds, value=trial.recall, state=state)
        )
    proposed: dict[str, Any] = study.ask(kinds).params
    return proposed


def _at_random(
    ranges: Mapping[str, Any], defaults: Mapping[str, Any], done: Sequence[Trial], seed: int
) -> dict[str, Any]:
    """Draw settings independently: evenly from a list or a range, or evenly in the logarithm of a wide range."""
    rng = np.random.default_rng(seed)
    chosen: dict[str, Any] = {}
    for name, what in ranges.items():
        if isinstance(what, list):
            chosen[name] = what[rng.integers(len(what))]
            continue
        low, high = what
        value = float(np.exp(rng.uniform(*np.log([low, high]))) if over_orders(low, high) else rng.uniform(low, high))
        chosen[name] = round(value) if isinstance(defaults[name], int) else value
    return chosen


def _rounded(value: Any, what: Any) -> Any:
    """Round a drawn number to three significant digits, as a user would type it, within its range."""
    if isinstance(what, list) or not isinstance(value, float):
        return value
    return min(max(float(f"{value:.3g}"), float(what[0])), float(what[1]))


def over_orders(low: float, high: float) -> bool:
    """Whether a range is positive and spans at least two orders of magnitude."""
    return low > 0 and high / low >= 100


def as_options(model: str, chosen: Mapping[str, Any]) -> str:
    """The --set option for some fields, without those at their defaults."""
    changed = catalog.changed(catalog.make_recommender(model, chosen))
    return "--set " + " ".join(f"{model}.{key}={value}" for key, value in changed.items()) if changed else ""
