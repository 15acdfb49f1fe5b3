"""Strong controls that the paper's comparison lacks, and the numbers that later papers published for them.

A published number is shown beside a row only on the data set it was measured on. The numbers for SR-GNN and STAMP are
from the same splits; those of session-rec (Ludewig et al. 2021) are from its own split, so only their rough size can be
compared.
"""

from __future__ import annotations

from reproduce.paper.numbers import Score
from reproduce.paper.rows import Row

# The settings that the authors of the public code give for RSC15 with the losses of their CIKM 2018 paper.
GRU4REC_2018 = {
    "loss_function": "bpr-max",
    "activation": "elu",
    "batch": 32,
    "dropout": 0.0,
    "learning_rate": 0.2,
    "momentum": 0.3,
    "negatives": 2048,
    "alpha": 0.0,
    "penalty": 1.0,
}

# session-rec's settings of V-SKNN for its single splits, by our data set. Its configuration files and the table of
# hyper-parameters on its pages agree on these two. Elsewhere V-SKNN has its defaults, session-rec's for DIGINETICA.
VSKNN: dict[str, dict[str, object]] = {
    "yoochoose1_64": {"neighbours": 1000, "sample": 5000, "weights": "log", "decays": "quadratic", "idf": 2.0},
    "yoochoose1_4": {"neighbours": 1000, "sample": 1000, "weights": "log", "decays": "quadratic", "idf": 5.0},
}
# session-rec's names for our data sets.
SESSION_REC = {
    "yoochoose1_64": "RSC15/64",
    "yoochoose1_4": "RSC15/4",
    "diginetica": "DIGINETICA",
    "diginetica-file-order": "DIGINETICA",
}

ROWS = (
    Row("S-KNN", "sknn"),
    Row("V-SKNN", "vsknn", on=VSKNN),
    Row("STAMP", "stamp"),
    Row("SR-GNN", "sr_gnn"),
    Row("GRU4Rec (2018)", "gru4rec", GRU4REC_2018),
)


# Published Recall@20 and MRR@20 by row and our data set.
PUBLISHED: dict[str, dict[str, Score]] = {
    "STAMP": {"yoochoose1_64": Score(68.74, 29.67)},  # same split
    "SR-GNN": {"yoochoose1_64": Score(70.57, 30.94), "diginetica": Score(50.73, 17.59)},  # same splits
    "V-SKNN": {  # session-rec, single splits
        "yoochoose1_64": Score(69.61, 28.79),
        "yoochoose1_4": Score(68.99, 28.32),
        "diginetica": Score(52.03, 18.41),
    },
    "GRU4Rec (2018)": {"yoochoose1_64": Score(65.28, 27.52), "diginetica": Score(50.97, 17.50)},  # session-rec
}

_WU, _SESSION_REC = "Wu et al. 2019, on this split", "session-rec, on a split of its own"
SOURCES = {"STAMP": _WU, "SR-GNN": _WU, "V-SKNN": _SESSION_REC, "GRU4Rec (2018)": _SESSION_REC}


NOTE = (
    "Controls the paper lacked, from later papers. Published: SR-GNN's paper on the same split for SR-GNN and STAMP; "
    "session-rec on a split of its own for V-SKNN and GRU4Rec, where only the rough size compares."
)


def note(dataset: str) -> str:
    """What a reader must know about the controls' numbers on a data set."""
    theirs = SESSION_REC.get(dataset)
    if theirs is None:
        return f"{NOTE} session-rec has no setting of V-SKNN for this data set; it is run with the one for DIGINETICA."
    return f"{NOTE} V-SKNN is run with session-rec's setting for {theirs}, single split."
