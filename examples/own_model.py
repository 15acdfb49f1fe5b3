# %% [markdown]
# # Your own model: a class, fitted and ranked in a notebook
#
# A model that joins the tables is one file with one class; see "Your own model" in the README. While you try things
# out you need none of that: a class with `fit` and `score` is enough.

# %%
from dataclasses import dataclass

import numpy as np
import torch

import reproduce
from reproduce import Recommender, setting
from reproduce.evaluation.metrics import MRR, RECALL
from reproduce.evaluation.ranking import rank_all


@dataclass(kw_only=True)
class LastNext(Recommender):
    """An item scores by how often it followed the last click in the training set."""

    name = "last_next"
    label = "Last to next"
    popularity: float = setting(0.001, low=0.0)

    def fit(self, train, *, seed, device, journal):
        prefixes, following = train.prefixes()  # [a, b, c] gives [a] -> b and [a, b] -> c
        self.follows_ = np.zeros((train.n_items, train.n_items), dtype=np.float32)
        np.add.at(self.follows_, (prefixes.last, following), 1)
        self.follows_ += self.popularity * self.follows_.sum(0)

    def score(self, prefixes):  # (prefixes, items), higher is better
        return torch.as_tensor(self.follows_[prefixes.last])


# %% [markdown]
# `fit` needs only train; by default the seed is 0 and the device is the CPU. Ranks are counted over the whole
# catalogue; an item tied with the target counts as ahead of it.

# %%
split = reproduce.load_split("synthetic", "data")
prefixes, targets = split.test.prefixes()
for model in (LastNext(), LastNext(popularity=0.1), reproduce.make_recommender("pop")):
    model.fit(split.train)
    greater, equal = rank_all(model, prefixes, targets)
    values = [f"{one.title} {one.mean(greater, equal):.2f}" for one in (RECALL, MRR)]
    print(f"{model.label:<13}", *values, sep="\n  ")
