"""RecTools' SASRec in this suite's table: train on an exported split, recommend after every test prefix.

RecTools needs other versions of numpy and pandas than this suite, so it runs in an environment of its own:

    python -m reproduce export --dataset eshop --split split --format csv
    tox run -e rectools -- split sasrec-seed0.csv 0
    tox run -e rectools -- split sasrec-seed1.csv 1
    python -m reproduce table2 --dataset eshop --ranks "SASRec (RecTools)=sasrec-seed*.csv"
"""

import sys
from pathlib import Path

import pandas as pd
from pytorch_lightning import seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

K = 20  # recommended items per prefix


def interactions(user: pd.Series, item: pd.Series, position: pd.Series) -> pd.DataFrame:
    """Return clicks as RecTools takes them: one weight for all, a day per position for the order."""
    days = pd.Timestamp("2000-01-01") + pd.to_timedelta(position, unit="D")
    return pd.DataFrame({Columns.User: user, Columns.Item: item, Columns.Weight: 1.0, Columns.Datetime: days})


def main(split: Path, to: Path, seed: int, epochs: int) -> None:
    train, test, prefixes = (pd.read_csv(split / f"{name}.csv") for name in ("train", "test", "prefixes"))
    seed_everything(seed, workers=True)
    model = SASRecModel(n_factors=64, n_heads=2, session_max_len=50, epochs=epochs, deterministic=True)
    model.fit(Dataset.construct(interactions(train["session"], train["item"], train["position"])))

    # A prefix is a user of its own, whose clicks are the first `length` clicks of the session.
    clicks = prefixes.drop(columns="target").rename_axis("prefix").reset_index().merge(test, on="session")
    clicks = clicks[clicks["position"] < clicks["length"]]
    seen = Dataset.construct(interactions(clicks["prefix"], clicks["item"], clicks["position"]))
    found = model.recommend(prefixes.index.to_numpy(), seen, k=K, filter_viewed=False)

    named = found.merge(prefixes.drop(columns="target"), left_on=Columns.User, right_index=True)
    columns = {Columns.Item: "item", Columns.Rank: "rank"}
    named.rename(columns=columns)[["session", "length", "item", "rank"]].to_csv(to, index=False)


if __name__ == "__main__":
    words = dict(enumerate(sys.argv))
    main(Path(words[1]), Path(words[2]), int(words.get(3, 0)), int(words.get(4, 10)))
