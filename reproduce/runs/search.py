"""`search`: finds the fields of a model by trials on the held-out split of a data set; its test set is never read.

A trial is an ordinary experiment on `<data set>-held-out`, so its record is reused and an interrupted one resumes. The
first trial has the model's defaults. The best trials are then fitted again with other seeds, and the settings with the
best mean win, because the best of many trials with one seed is partly luck. The draw of a trial depends on the seed and
on the trials before it, so a search that is repeated draws the same trials.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from tabulate import tabulate

from reproduce import catalog
from reproduce.errors import InputError, ModelError, UsageError
from reproduce.files import replacing
from reproduce.fitting.neural import Neural
from reproduce.paper import later_baselines, rows
from reproduce.paper.rows import Row
from reproduce.reading.held_out import hold_out
from reproduce.runs import request, slurm
from reproduce.runs.deadline import TimeIsUp
from reproduce.runs.environment import choose_device, circumstances
from reproduce.runs.experiment import MAX_SEED, Experiment, check_seed, file_name
from reproduce.runs.record_shape import FIELDS, NAME, Misshapen, integer, misfits, null, number, read_json, text
from reproduce.runs.request import Request
from reproduce.runs.runner import RunOptions, run_with

VERSION = 2  # of the protocol; 1 chose by one fit, on the last sessions by position, and counted repeated draws
REFITTED, REFITS = 3, 3  # how many of the best trials are fitted again, and with how many seeds each
DRAWS = 10  # attempts of the sampler to propose new settings; after these, some are drawn at random
SHOWN = 5  # trials in the report


@dataclass(frozen=True)
class Protocol:
    """How a search is made, and its budget."""

    version: int
    trials: int  # different settings, including the defaults
    trial_epochs: int | None  # the largest number of epochs of a neural network in a trial; None: its own
    refitted: int  # how many of the best trials are fitted again
    refits: int  # fits of each of these, each with another seed and all epochs
    sampler: str = "optuna"  # what draws the trials, or "random"

    def __str__(self) -> str:
        trials = f"{self.trials} trials" + (" drawn at random" if self.sampler == "random" else "")
        if self.trial_epochs is not None:
            trials += f", a network in each for at most {self.trial_epochs} epochs"
        if self.version < VERSION:
            return f"{trials} by an older protocol: the best of single fits"
        return f"{trials}; the best {self.refitted} fitted anew with {self.refits} seeds each"


@dataclass(frozen=True)
class Trial:
    """Settings that were tried, and their scores on the held-out sessions; None, and why, if the model failed."""

    fields: Mapping[str, Any]
    recall: float | None
    mrr: float | None
    why: str | None = None

    def __str__(self) -> str:
        outcome = f"Recall@20 {self.recall:.2f}, MRR@20 {self.mrr:.2f}" if self.recall is not None else f"{self.why}"
        return f"{outcome}  {', '.join(f'{key}={value}' for key, value in self.fields.items())}"


@dataclass(frozen=True)
class Refit:
    """One of the best trials fitted again: Recall@20 and MRR@20 per seed, up to a fit that failed, and why it did."""

    fields: Mapping[str, Any]
    recalls: Sequence[float]
    mrrs: Sequence[float]
    why: str | None = None

    @property
    def scores(self) -> tuple[float, float]:
        """Mean Recall@20 and MRR@20."""
        return mean(self.recalls), mean(self.mrrs)


def best_of(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that did not fail, best first by Recall@20, MRR@20 and age. Raises ModelError if there are none."""
    scored = [trial for trial in trials if trial.recall is not None]
    if not scored:
        raise ModelError("every trial failed; the messages above say why")
    return sorted(scored, key=lambda trial: (-(trial.recall or 0.0), -(trial.mrr or 0.0)))


@dataclass(frozen=True)
class Found:
    """The outcome of a search: its trials as they were made, the defaults first, and refits of the best, best first."""

    model: str
    fixed: Mapping[str, Any]
    scored_on: str
    trials: Sequence[Trial]
    refits: Sequence[Refit] = ()  # none by the first protocol
    protocol: Protocol = Protocol(1, 0, None, 0, 0)
    split: str = ""  # the digest of the data set's split; older searches do not say it

    @property
    def best(self) -> Trial:
        """The trial whose refits have the highest mean Recall@20, then MRR@20; of equals, the better trial.

        Raises:
            ModelError: every trial failed, or each of the best trials failed in a refit.
        """
        if not self.refits:
            return best_of(self.trials)[0]
        sound = [refit for refit in self.refits if refit.why is None]
        if not sound:
            raise ModelError(f"the best trials failed with other seeds: {self.refits[0].why}")
        best = max(sound, key=lambda refit: refit.scores)
        return next(trial for trial in self.trials if trial.fields == best.fields)

    @property
    def reached(self) -> tuple[float, float]:
        """Recall@20 and MRR@20 of the best settings on the held-out sessions: of the refits, if any, or the trial."""
        best = self.best
        anew = [refit.scores for refit in self.refits if refit.fields == best.fields]
        return anew[0] if anew else (best.recall or 0.0, best.mrr or 0.0)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the best trial and the fixed ones, if not at the model's defaults."""
        return catalog.changed(catalog.make_recommender(self.model, {**self.fixed, **self.best.fields}))

    @property
    def base(self) -> Row:
        """The row that was searched; a page's own row if that has exactly the fixed fields."""
        fixed = request.set_fields(Row(catalog.recommender(self.model).label, self.model), self.fixed)
        return next((row for row in (*rows.ROWS, *later_baselines.ROWS) if request.same(row, fixed)), fixed)

    @property
    def row(self) -> Row:
        """The row with the fields that were found, which its label names."""
        return request.set_fields(replace(self.base, on={}), self.fields)

    @property
    def better(self) -> bool:
        """Whether the fields that were found differ from those of the row that was searched."""
        return not request.same(self.base, self.row)


SCORES, WHY = [number(0, 100)], (text, null)
SCORE = (number(0, 100), null)
SEARCH = {
    "model": NAME,
    "fixed": FIELDS,
    "scored_on": text,
    "trials": [{"fields": FIELDS, "recall": SCORE, "mrr": SCORE, "why?": WHY}],
    "split?": NAME,
    "protocol?": {
        "version": integer(0),
        "trials": integer(0),
        "trial_epochs": (integer(1), null),
        "refitted": integer(0),
        "refits": integer(0),
        "sampler?": text,
    },
    "refits?": [{"fields": FIELDS, "recalls": SCORES, "mrrs": SCORES, "why?": WHY}],
    "*": lambda value: True,
}


def found(results: Path, dataset: str) -> list[Found]:
    """The searches on a data set that are stored in a results folder, sorted by file name.

    Those of a user's own model are left out unless its file was named.

    Raises:
        InputError: one is broken, or names a field or value that its model does not have.
    """
    searches = map(load, sorted((results / "search" / dataset).glob("*.json")))
    return [search for search in searches if search.model in catalog.recommenders()]


def load(file: Path) -> Found:
    """Read a stored search. Raises InputError if it is broken, or its model no longer has a field of it."""
    try:
        stored = read_json(file)
        for place in misfits(stored, SEARCH):
            raise Misshapen(f"{place} is absent, or not what it should be")
        trials = [Trial(**trial) for trial in stored["trials"]]
        refits = [Refit(**refit) for refit in stored.get("refits", ())]
        if not all(len(refit.recalls) == len(refit.mrrs) and (refit.recalls or refit.why) for refit in refits):
            raise Misshapen("refits without scores")
        if "protocol" in stored:
            protocol = Protocol(**stored["protocol"])
        else:  # from before there was a protocol: repeated draws counted as trials, and do not count here
            protocol = Protocol(1, len({str(sorted(trial.fields.items())) for trial in trials}), None, 0, 0)
        head = stored["model"], stored["fixed"], stored["scored_on"]
        search = Found(*head, trials, refits, protocol, stored.get("split", ""))
        assert search.model not in catalog.recommenders() or search.row  # whose fields must be the model's
        return search
    except (OSError, Misshapen, UsageError, ModelError, StopIteration) as error:
        raise InputError(f"{file}: not what a search of today stores ({error}); search again") from error


# --- making a search --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Search:
    """A search: a model with some of its fields fixed, on a data set, by so many trials."""

    dataset: str
    model: str
    fixed: Mapping[str, Any]
    seed: int
    trials: int
    trial_epochs: int | None = None  # the largest number of epochs of a neural network in a trial

    @property
    def protocol(self) -> Protocol:
        sampler = "optuna" if importlib.util.find_spec("optuna") else "random"
        return Protocol(VERSION, self.trials, self.trial_epochs, REFITTED, REFITS, sampler)

    @property
    def path(self) -> str:
        """The path of the search's outcome in a results folder; each protocol has a file of its own."""
        cap = "" if self.trial_epochs is None else f"-of-{self.trial_epochs}-epochs"
        name = f"{file_name(self.model, self.fixed)}-seed{self.seed}-{self.trials}-trials{cap}-protocol{VERSION}"
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
        kind = catalog.recommender(self.model)
        chosen = {}
        for field in fields(kind):  # type: ignore[arg-type]
            span, default = field.metadata.get("search"), field.default
            if not span or field.name in self.fixed:
                continue
            if not (default in span if isinstance(span, list) else span[0] <= default <= span[1]):
                name = f"{self.model}.{field.name}"
                raise UsageError(f"{name}: its default {default} is not among what a search may try")
            chosen[field.name] = span
        if not chosen:
            raise UsageError(f"{self.model}: no field states what to search; see recommender.setting(search=...)")
        return chosen

    def experiment(self, dataset: str, chosen: Mapping[str, Any], seed: int) -> Experiment:
        """The experiment with the chosen fields; in a trial, the epochs of a neural network are capped."""
        values = {**self.fixed, **chosen}
        model = catalog.make_recommender(self.model, values)
        if seed == self.seed and self.trial_epochs is not None and isinstance(model, Neural):
            values["epochs"] = min(model.epochs, self.trial_epochs)
        return Experiment.of(dataset, self.model, values, seed)


def run(search: Search, options: RunOptions) -> Found:
    """Run the trials and the refits that are not stored yet, and store the outcome of the search.

    Raises:
        UsageError: the model states nothing to search, or an epoch takes longer than the deadline.
        InputError: the data are absent or broken, or the results folder holds a search on other data of this name.
        ModelError: every trial failed, or each of the best trials failed with another seed.
        TimeIsUp: the deadline came first; what was done is kept.
    """
    check_seed(search.seed)
    ranges = search.ranges()
    options = replace(options, force=False, keep_model=False)
    split = catalog.load_split(search.dataset, options.data)
    held_out = hold_out(split)
    file = options.results / search.path
    try:
        digest = load(file).split if file.exists() else split.digest
    except InputError:  # broken, and made anew
        digest = split.digest
    if digest != split.digest:
        raise InputError(f"{file}: a search on other data of this name; choose another --results DIR, or remove it")

    def tried(values: Mapping[str, Any], seed: int, title: str) -> Trial:
        """Run settings on the held-out split; a model that fails gives a trial without numbers."""
        try:
            result = run_with(options, search.experiment(held_out.name, values, seed), held_out)
            outcome = Trial(values, result.recall(), result.mrr())
        except ModelError as error:
            outcome = Trial(values, None, None, str(error))
        if not options.quiet:
            print(f"{title}: {outcome}", file=sys.stderr, flush=True)
        return outcome

    def refitted(trial: Trial) -> Refit:
        """Fit a trial again with other seeds and with all epochs, up to a fit that fails."""
        fits: list[Trial] = []
        if catalog.recommender(search.model).deterministic:  # other seeds give the same numbers
            fits = [trial] * REFITS
        while len(fits) < REFITS and not (fits and fits[-1].why):
            seed = search.seeds[len(fits)]
            fits.append(tried(trial.fields, seed, f"fitted anew, seed {seed}"))
        sound = [fit for fit in fits if not fit.why]
        return Refit(trial.fields, [fit.recall for fit in sound], [fit.mrr for fit in sound], fits[-1].why)  # type: ignore[misc]

    defaults = catalog.resolved(catalog.make_recommender(search.model, search.fixed))
    first = {name: defaults[name] for name in ranges}
    done: list[Trial] = []
    own = catalog.current().models.get(search.model)
    try:
        while len(done) < search.trials and (values := _proposed(search, ranges, first, done)) is not None:
            done.append(tried(values, search.seed, f"trial {len(done) + 1}/{search.trials}"))
        refits = [refitted(trial) for trial in best_of(done)[:REFITTED]]
    except TimeIsUp as error:
        far = f"{len(done)} of {search.trials} trials are done"
        far = far if len(done) < search.trials else "the refits are not done"
        raise TimeIsUp(f"{error}; {far} (repeat the command to resume)") from error
    note = held_out.provenance.note
    outcome = Found(search.model, search.fixed, note, done, refits, search.protocol, split.digest)
    content = {
        **asdict(search),
        **(own.described if own else {}),
        **asdict(outcome),
        "seeds": search.seeds,
        "ranges": ranges,
        "best": asdict(outcome.best),
        "options": " ".join(request.set_words({search.model: outcome.fields})),
        "environment": circumstances(choose_device(options.device), split.train.n_items),
    }
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")
    return outcome


def _proposed(
    search: Search, ranges: Mapping[str, Any], defaults: Mapping[str, Any], done: Sequence[Trial]
) -> Mapping[str, Any] | None:
    """The settings of the next trial: the defaults first, then new ones; None if it seems that all have been tried."""
    if not done:
        return defaults
    for attempt in range(100 * DRAWS):
        seed = int(np.random.SeedSequence([search.seed, len(done), attempt]).generate_state(1)[0])
        draw = _with_optuna if search.protocol.sampler == "optuna" and attempt < DRAWS else _at_random
        values = {name: _rounded(value, ranges[name]) for name, value in draw(ranges, defaults, done, seed).items()}
        if all(values != trial.fields for trial in done):
            return values
    return None


def _with_optuna(
    ranges: Mapping[str, Any], defaults: Mapping[str, Any], done: Sequence[Trial], seed: int
) -> dict[str, Any]:
    """Let optuna's TPE sampler propose settings after the trials done."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kinds: dict[str, Any] = {}
    for name, span in ranges.items():
        if isinstance(span, list):
            kinds[name] = optuna.distributions.CategoricalDistribution(span)
            continue
        whole = isinstance(defaults[name], int)
        kind = optuna.distributions.IntDistribution if whole else optuna.distributions.FloatDistribution
        kinds[name] = kind(span[0], span[1], log=_over_orders(*span))
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
    for name, span in ranges.items():
        if isinstance(span, list):
            chosen[name] = span[rng.integers(len(span))]
            continue
        value = float(np.exp(rng.uniform(*np.log(span))) if _over_orders(*span) else rng.uniform(*span))
        chosen[name] = round(value) if isinstance(defaults[name], int) else value
    return chosen


def _rounded(value: Any, span: Any) -> Any:
    """Round a drawn number to three significant digits, as a user would type it, within its range."""
    if isinstance(span, list) or not isinstance(value, float):
        return value
    return min(max(float(f"{value:.3g}"), float(span[0])), float(span[1]))


def _over_orders(low: float, high: float) -> bool:
    """Whether a range is positive and spans at least two orders of magnitude."""
    return low > 0 and high / low >= 100


# --- the command ------------------------------------------------------------------------------------------------------


def answer(options: Namespace) -> str:
    jobs = slurm.parse(options.slurm) if options.slurm else None
    model = catalog.recommender(options.model, load=False).name
    (dataset,) = catalog.named_datasets([options.dataset], options.rules, options.data)
    fixed = request.settings_of(model, options.set, "is searched")
    search = Search(dataset, model, fixed, options.seed, options.trials, options.trial_epochs)
    run_options = Request(datasets=[dataset], models=[model], settings={model: fixed}, **RunOptions.given(options))
    if jobs is None:
        return report(search, run(search, run_options), run_options)
    search.ranges()
    budget = ["--trials", str(search.trials)]
    budget += [] if search.trial_epochs is None else ["--trial-epochs", str(search.trial_epochs)]
    command = request.whole_command("search", replace(run_options, seeds=[search.seed]), *budget, absolute=True)
    return slurm.queue([command], jobs, run_options) or "nothing to submit: this search is queued"


def report(search: Search, outcome: Found, asked: Request) -> str:
    """Report the protocol, the ranges, the best trials, the defaults, the refits and the command for the best."""
    defaults, ordered = outcome.trials[0], best_of(outcome.trials)
    shown = ordered[:SHOWN] + ([defaults] if defaults not in ordered[:SHOWN] else [])
    anew = {str(refit.fields): refit for refit in outcome.refits}
    lines = []
    for trial in shown:
        scores = [trial.recall, trial.mrr]
        if (refit := anew.get(str(trial.fields))) is not None:
            scores += [None, None] if refit.why is not None else refit.scores
        numbers = ["failed" if score is None else f"{score:.2f}" for score in scores]
        lines.append(["defaults" if trial is defaults else "", *map(str, trial.fields.values()), *numbers])
    head = ["", *defaults.fields, "Recall@20", "MRR@20", "anew: Recall@20", "MRR@20"]
    lines = [line + [""] * (len(head) - len(line)) for line in lines]
    made = "" if len(outcome.trials) == search.trials else f"; there are only {len(outcome.trials)} settings"
    command = "the defaults are the best found"
    if outcome.fields:
        command = request.command_line("table2", replace(asked, settings={search.model: outcome.fields}))
    spans = [
        f"{name} of {', '.join(map(str, span))}"
        if isinstance(span, list)
        else f"{name} {span[0]} to {span[1]}{' (evenly in the logarithm)' * _over_orders(*span)}"
        for name, span in search.ranges().items()
    ]
    return (
        f"{search.model} on {search.dataset}: {outcome.protocol}{made}\nscored on {outcome.scored_on}\n"
        f"searched: {'; '.join(spans)}\n\n"
        + tabulate(lines, head, disable_numparse=True, colalign=["left"] + ["right"] * (len(head) - 1))
        + f"\n\n{command}"
    )
