# %% [markdown]
# # Reading records: the project's own reference runs as data frames
#
# A record keeps, for every test prefix, how many items scored above the target and how many tied with it. Results at
# any cut-off, under any tie rule and for any bin of prefixes follow from these counts. Records can be read without the
# logs: here those of NARM and Item-KNN on YOOCHOOSE 1/64.

# %%
from pathlib import Path

import reproduce
from reproduce import Experiment
from reproduce.evaluation import metrics
from reproduce.evaluation.uncertainty import OneRun, difference, measure, with_noise
from reproduce.runs.record import load

results = Path(reproduce.__file__).parent.parent / "results"
narm, knn = (load(Experiment.of("yoochoose1_64", model), results) for model in ("narm", "item_knn"))

# %%
frame = narm.frame()
print(frame.describe().loc[["mean", "50%", "max"]])
print("tied with the target:", (frame["equal"] > 0).mean())

# %% [markdown]
# Recall, MRR and NDCG at several cut-offs, and Recall@20 by the length of the prefix.

# %%
for name in ("recall@20", "mrr@20", "ndcg@10", "recall@1"):
    metric = metrics.parse(name)
    print(f"{metric.title:<10} {metric.mean(narm.greater, narm.equal):.2f}")
print((frame["rank"] <= 20).groupby(frame["length"].clip(upper=10)).mean())

# %% [markdown]
# Two models on the same prefixes: the difference with its interval over test sessions. With one seed each, it describes
# these two runs only, and no verdict is given.

# %%
hits = {name: measure(100.0 * (one.ranks() <= 20)[None], one.session) for name, one in (("narm", narm), ("knn", knn))}
hits = with_noise(hits)
found = difference(hits["narm"], hits["knn"])
estimate = found.these_runs if isinstance(found, OneRun) else found
print(f"NARM - Item-KNN: {estimate.value:+.2f} [{estimate.low:+.2f}, {estimate.high:+.2f}]")
