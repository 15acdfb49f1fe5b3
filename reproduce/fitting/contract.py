"""The rules that every model must keep, a user's own models included, as functions that check a model.

A rule takes a maker, which returns a fresh model at every call, and a device. It returns a sentence that says what is
broken, or an empty string if the rule is kept. The logs are tiny, and if a model has fields that make a fit slow, they
are set to small values.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from reproduce import own_process
from reproduce.errors import ModelError
from reproduce.evaluation import ranking
from reproduce.evaluation.metrics import METRICS, Measure
from reproduce.fitting.determinism import deterministic
from reproduce.fitting.recommender import Journal, Recommender
from reproduce.reading.sessions import Sessions

Maker = Callable[[], Recommender]
Rule = Callable[[Maker, torch.device], str]
N_ITEMS = 31  # of the random log; no field below has this value, so an axis of this length is that of the items
NO_FILE = Path()  # a model that no file of one's own defines
TOLERANCE = 1e-5  # relative to the greatest absolute score of a prefix
SMALL = {"epochs": 1, "batch": 16, "embedding": 16, "hidden": 24}
NO_DROPOUT = dict.fromkeys(("embedding_dropout", "session_dropout", "dropout"), 0.0)
TOY = {**SMALL, **NO_DROPOUT, "epochs": 15, "batch": 64, "learning_rate": 0.01}


def scores_are_finite_and_of_the_right_shape(make: Maker, device: torch.device) -> str:
    train, test = random_log()
    scores = fitted(make, train, device).score(test)
    return _wrong(scores, len(test), device)


def a_batch_of_one_and_an_empty_batch_work(make: Maker, device: torch.device) -> str:
    train, test = random_log()
    model = fitted(make, train, device)
    return next((wrong for n in (1, 0) if (wrong := _wrong(model.score(test.take(slice(0, n))), n, device))), "")


def a_prefix_scores_the_same_alone_as_in_any_batch_in_any_order(make: Maker, device: torch.device) -> str:
    train, test = random_log()
    model = fitted(make, train, device)
    together = model.score(test)
    alone = torch.cat([model.score(test.take(slice(i, i + 1))) for i in range(len(test))])
    if differ := _differ(together, alone):
        return f"alone and in a batch {differ}"
    spans = Sessions(test.items, test.starts, test.starts + (test.lengths + 1) // 2, N_ITEMS)
    if differ := _differ(model.score(spans), model.score(Sessions.of(spans.lists(), N_ITEMS))):
        return f"where the session goes on {differ}: the click behind a prefix is the one to predict"
    order = np.random.default_rng(1).permutation(len(test))
    if differ := _differ(together[torch.as_tensor(order, device=together.device)], model.score(test.take(order))):
        return f"in another order {differ}"
    return ""


def the_same_seed_gives_the_same_scores(make: Maker, device: torch.device) -> str:
    train, test = random_log()
    first, again = (fitted(make, train, device, seed=3).score(test) for _ in range(2))
    return "" if torch.equal(first, again) else f"two fits with one seed {_differ(first, again) or 'differ'}"


def its_fields_rebuild_the_model(make: Maker, device: torch.device) -> str:
    train, test = random_log()
    model = small(make(), SMALL)
    fields = fields_of(model)
    if json.loads(json.dumps(fields)) != fields:
        return "its fields are not plain numbers, words and truth values, so a record cannot keep them"
    rebuilt = type(model)(**fields)
    scores = []
    for either in (model, rebuilt):
        either.fit(train, seed=0, device=device, journal=Journal())
        scores.append(either.score(test))
    if fields_of(model) != fields:
        return "fit changed the model's fields"
    return "" if torch.equal(*scores) else f"a model made from the fields of another {_differ(*scores) or 'differs'}"


def global_state_is_untouched(make: Maker, device: torch.device) -> str:
    train, test = random_log()
    # Draw once, so that the states differ from those of a fresh seed, and a model that seeds them is noticed.
    random.random(), np.random.random(), torch.rand(1)  # noqa: NPY002
    before = _global_state()
    model = fitted(make, train, device)
    after_fit = _global_state()
    model.score(test)
    after_score = _global_state()
    for name, state in before.items():
        if after_fit[name] != state:
            return f"fit changed {name}; draw from np.random.default_rng(seed) or a torch.Generator, set nothing global"
        if after_score[name] != state:
            return f"score changed {name}; scores must not be drawn by chance, nor set anything global"
    return ""


def its_arguments_are_unchanged(make: Maker, device: torch.device) -> str:
    train, test = random_log()
    before = [_arrays(part) for part in (train, test)]
    model = fitted(make, train, device)
    model.score(test)
    for name, part, was in zip(("fit", "score"), (train, test), before, strict=True):
        changed = [key for key, array in _arrays(part).items() if not np.array_equal(array, was[key])]
        if changed:
            return f"{name} changed the {', '.join(changed)} of the sessions it was given"
    return ""


def a_model_that_learns_order_finds_the_next_item_of_a_circle(make: Maker, device: torch.device) -> str:
    """Check that Recall@1 is 100 % on the circle of items; only models that say they learn order are checked."""
    if not make().learns_order:
        return ""
    recall = recall_at_1_on_the_cycle(make, device)
    if recall == 100.0:
        return ""
    return f"Recall@1 is {recall:.1f}, not 100; a model that is not meant to learn order says learns_order = False"


def the_numbering_of_the_items_does_not_matter(make: Maker, device: torch.device) -> str:
    """Check that permuting the items permutes the scores.

    A model that gives the same scores with another seed is fitted again on renumbered items. For others, the learned
    per-item arrays are permuted instead, since another fit would draw other random numbers for each item.
    """
    train, test = random_log()
    model = fitted(make, train, device)
    scores = model.score(test)
    new = np.random.default_rng(2).permutation(N_ITEMS)  # item i becomes item new[i]
    if torch.equal(scores, fitted(make, train, device, seed=1).score(test)):
        renumbered = fitted(make, _renumbered(train, new), device).score(_renumbered(test, new))
        how = "fitted on renumbered items"
    else:
        if not permute(model, new):
            return ""  # it has no learned array with an axis of the items' length
        renumbered = model.score(_renumbered(test, new))
        how = "with its item-indexed weights permuted"
    differ = _differ(scores, renumbered[:, torch.as_tensor(new, device=scores.device)])
    return f"{how} it {differ}" if differ else ""


RULES: Mapping[str, Rule] = {
    rule.__name__.replace("_", " "): rule
    for rule in (
        scores_are_finite_and_of_the_right_shape,
        a_batch_of_one_and_an_empty_batch_work,
        a_prefix_scores_the_same_alone_as_in_any_batch_in_any_order,
        the_same_seed_gives_the_same_scores,
        its_fields_rebuild_the_model,
        global_state_is_untouched,
        its_arguments_are_unchanged,
        a_model_that_learns_order_finds_the_next_item_of_a_circle,
        the_numbering_of_the_items_does_not_matter,
    )
}


def unusable(make: Maker, device: torch.device, file: Path = NO_FILE) -> str:
    """Say why a model cannot be fitted or its scores cannot be ranked; empty if both work.

    Args:
        file: that defines the model.
    """
    return _problem(partial(_ranked, make, device), file)


def broken(make: Maker, device: torch.device, file: Path = NO_FILE) -> list[str]:
    """List the rules that a model breaks, one line each: the rule's name, and what was found."""
    problems = {name: _problem(partial(rule, make, device), file) for name, rule in RULES.items()}
    return [f"{name}: {problem}" for name, problem in problems.items() if problem]


def _problem(check: Callable[[], str], file: Path) -> str:
    dtype = torch.get_default_dtype()
    try:
        with deterministic():
            return check()
    except ModelError as error:
        return str(error)
    except BaseException as error:  # SystemExit too
        return own_process.raised(error, file)
    finally:
        torch.set_default_dtype(dtype)


def _ranked(make: Maker, device: torch.device) -> str:
    train, test = random_log()
    ranking.rank_all(fitted(make, train, device), test, np.zeros(len(test), np.int64))
    return ""


def fields_of(model: Recommender) -> dict[str, Any]:
    """Return all fields of a model and their values."""
    return {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}  # type: ignore[arg-type]


def small(model: Recommender, fields: Mapping[str, Any]) -> Recommender:
    """Return the model with those of the fields set that it has."""
    there = fields_of(model)
    return dataclasses.replace(model, **{key: value for key, value in fields.items() if key in there})  # type: ignore[type-var]


def fitted(make: Maker, train: Sessions, device: torch.device, seed: int = 0) -> Recommender:
    """Make a small model and fit it."""
    model = small(make(), SMALL)
    model.fit(train, seed=seed, device=device, journal=Journal())
    return model


def random_log() -> tuple[Sessions, Sessions]:
    """Return forty training sessions and ten prefixes to score.

    One prefix is longer than any truncation, and some items are not in the training set.
    """
    rng = np.random.default_rng(0)
    train = Sessions.of([rng.integers(0, N_ITEMS - 2, n).tolist() for n in rng.integers(2, 9, 40)], N_ITEMS)
    lengths = [1, 4, 2, 25, 1, 7, 3]
    test = [rng.integers(0, N_ITEMS, n).tolist() for n in lengths] + [[5], [N_ITEMS - 1], [7, 7, 7]]
    return train, Sessions.of(test, N_ITEMS)


def cycle() -> tuple[Sessions, Sessions]:
    """Return training and test walks on a circle of twelve items, where i + 1 follows i.

    The test set has a walk from every start in every length from 2 to 6; the training set has each five times.
    """
    walks = [[(start + i) % 12 for i in range(n)] for n in range(2, 7) for start in range(12)]
    return Sessions.of(walks * 5, 12), Sessions.of(walks, 12)


def recall_at_1_on_the_cycle(make: Maker, device: torch.device) -> float:
    """Fit a model on `cycle` and return its Recall@1 in per cent; a tie counts against the model."""
    train, test = cycle()
    model = small(make(), TOY)
    model.fit(train, seed=0, device=device, journal=Journal())
    return Measure(METRICS["recall"], 1).of_ranks(ranking.rank(*ranking.rank_all(model, *test.prefixes())))


def permute(model: Recommender, new: np.ndarray) -> bool:
    """Move row i of every learned per-item array to row new[i]; return whether there was any such array.

    Learned state has names that end in `_`: arrays, tensors, sparse matrices and the weights of networks. Every axis
    of length N_ITEMS is permuted.
    """
    found = False
    place = np.argsort(new)  # the new row j is the old row place[j]
    for name, value in vars(model).items():
        if not name.endswith("_"):
            continue
        if isinstance(value, nn.Module):
            state = value.state_dict()
            moved = {key: _permuted(weights, place) for key, weights in state.items()}
            found |= any(moved[key] is not state[key] for key in state)
            value.load_state_dict(moved)
        elif isinstance(value, Tensor | np.ndarray) or sparse.issparse(value):
            moved_value = _permuted(value, place)
            found |= moved_value is not value
            setattr(model, name, moved_value)
    return found


def _permuted(value: Any, place: np.ndarray) -> Any:
    for axis, size in enumerate(value.shape):
        if size == N_ITEMS:
            index: Any = torch.as_tensor(place, device=value.device) if isinstance(value, Tensor) else place
            value = value[(slice(None),) * axis + (index,)]
    return value


def _renumbered(sessions: Sessions, new: np.ndarray) -> Sessions:
    return Sessions(new[sessions.items], sessions.starts, sessions.stops, sessions.n_items)


def _wrong(scores: Any, n: int, device: torch.device) -> str:
    if not isinstance(scores, Tensor):
        return f"score returned a {type(scores).__name__}, not a tensor"
    if tuple(scores.shape) != (n, N_ITEMS):
        return f"score of {n} prefixes over {N_ITEMS} items has shape {tuple(scores.shape)}, not {(n, N_ITEMS)}"
    if scores.device.type != device.type:
        return f"the scores are on {scores.device}, not on {device}"
    if not bool(torch.isfinite(scores).all()):
        return "score returned a number that is not finite"
    return ""


def _differ(a: Tensor, b: Tensor) -> str:
    """Say in which prefix two score matrices differ most, and by how much; empty if within the tolerance."""
    if a.shape != b.shape:
        return f"scores of shapes {tuple(a.shape)} and {tuple(b.shape)}"
    a, b = a.double(), b.double()
    apart = (a - b).abs().amax(1) / torch.maximum(a.abs().amax(1), b.abs().amax(1)).clamp(min=1e-30)  # (n,)
    i = int(apart.nan_to_num(torch.inf).argmax())
    return "" if bool(apart[i] <= TOLERANCE) else f"scores prefix {i} differently (by {float(apart[i]):.1e}, relative)"


def _global_state() -> dict[str, Any]:
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    states = {
        "the random state of random": random.getstate(),
        "the random state of numpy": (kind, np.asarray(keys).tobytes(), *rest),
        "the random state of torch": torch.get_rng_state().numpy().tobytes(),
        "torch's default dtype": torch.get_default_dtype(),
    }
    if torch.cuda.is_available():
        states["the random state of torch.cuda"] = [state.numpy().tobytes() for state in torch.cuda.get_rng_state_all()]
    return states


def _arrays(sessions: Sessions) -> dict[str, np.ndarray]:
    return {name: getattr(sessions, name).copy() for name in ("items", "starts", "stops", "lengths")}
