# %% [markdown]
# # Your own log: from a table of clicks to recommendations
#
# Run it as it is (`python examples/own_log.py`), or cell by cell in an editor that supports `# %%`. It makes up a small
# log; put your own file in its place. The same on the command line:
# `python -m reproduce table2 --dataset clicks.csv --model pop item_knn narm --keep-model`.

# %%
import random
import tempfile
from pathlib import Path

import reproduce
from reproduce import Experiment

folder = Path(tempfile.mkdtemp())
clicks = folder / "clicks.csv"
random.seed(0)
rows = ["session_id,item_id,timestamp"]
for session in range(400):  # ten days, forty sessions a day, each a walk through a small shop
    item = random.randrange(30)
    for click in range(random.randint(2, 6)):
        rows.append(f"s{session},article-{item},{(session // 40) * 86_400 + session * 60 + click}")
        item = (item + random.choice([1, 1, 1, 2, 7])) % 30
clicks.write_text("\n".join(rows) + "\n")

# %% [markdown]
# The path of a file serves as the name of a data set. The split follows the paper: the last day is the test, and items
# with fewer than five clicks are left out.

# %%
split = reproduce.load_split(str(clicks), folder)
print(f"{len(split.train)} training and {len(split.test)} test sessions over {split.train.n_items} items")
print(split.provenance.note)

# %% [markdown]
# A run is made once and its record is kept; asking for the same run again reads the record.

# %%
small = {"epochs": 3, "batch": 64, "hidden": 24, "embedding": 16}
for model, fields in (("pop", {}), ("item_knn", {}), ("narm", small)):
    experiment = Experiment.of(str(clicks), model, fields)
    result = reproduce.run(experiment, data=folder, results=folder / "results", device="cpu", keep_model=True)
    print(f"{model:<9} Recall@5 {result.recall(5):6.2f}   MRR@5 {result.mrr(5):6.2f}")

# %% [markdown]
# The fitted model takes and returns the log's own ids.

# %%
narm = reproduce.load_model(experiment.file(folder / "results", ".model"))
print(narm.recommend(["article-3", "article-4"], 3))
