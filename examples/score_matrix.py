"""A matrix of scores from any library: from scores to ranks by this suite's tie rule, and into one table with it.

The scores stand for what RecBole calls `full_sort_predict`: a row for each test prefix, a column for each item. Here
they are counts of how often an item followed the prefix's last click in the training set.
"""

import tempfile

import numpy as np
import pandas as pd

import reproduce

split = reproduce.load_split("synthetic", "data")
before, after = split.train.prefixes()
follows = np.zeros((split.train.n_items, split.train.n_items))
np.add.at(follows, (before.last, after), 1)

prefixes, targets = split.test.prefixes()
scores = follows[prefixes.last]  # (prefixes, items)

own = scores[np.arange(len(targets)), targets][:, None]  # the target's score, (prefixes, 1)
ranks = pd.DataFrame(
    {
        "session": split.test.prefix_owner(),
        "length": prefixes.lengths,
        "best_rank": 1 + (scores > own).sum(1),  # where a tie counts for the target
        "worst_rank": (scores >= own).sum(1),  # where it counts against it, as in this suite's tables
    }
)
pop = reproduce.run(reproduce.Experiment("synthetic", "pop"), data="data", results=tempfile.mkdtemp())
print(reproduce.compare(split, {"last to next": ranks, "POP": pop}, family="none").round(2))
