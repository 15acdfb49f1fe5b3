"""What the comparison lacks and an honest reader asks for: strong controls, and what later papers published of them.

A published number stands beside a row only on the data set it was made on. SR-GNN's and STAMP's are of the same splits;
those of session-rec (Ludewig et al. 2021) are of a split of its own, so that only their rough size compares.
"""

from __future__ import annotations

from reproduce.paper.numbers import Score
from reproduce.paper.rows import Row

# The settings that the public code's authors give for RSC15 with the losses of their CIKM 2018 paper.
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


ROWS = (
    Row("S-KNN", "sknn"),
    Row("V-SKNN", "vsknn"),
    Row("STAMP", "stamp"),
    Row("SR-GNN", "sr_gnn"),
    Row("GRU4Rec (2018)", "gru4rec", GRU4REC_2018),
)


# Row -> our data set -> Recall@20, MRR@20.
PUBLISHED: dict[str, dict[str, Score]] = {
    "STAMP": {"yoochoose1_64": Score(68.74, 29.67)},  # same split
    "SR-GNN": {"yoochoose1_64": Score(70.57, 30.94), "diginetica": Score(50.73, 17.59)},  # same splits
    "V-SKNN": {"yoochoose1_64": Score(69.61, 28.79), "diginetica": Score(52.03, 18.41)},  # session-rec
    "GRU4Rec (2018)": {"yoochoose1_64": Score(65.28, 27.52), "diginetica": Score(50.97, 17.50)},  # session-rec
}


NOTE = (
    "Controls the paper lacked, from later papers. Published: SR-GNN's paper on the same split for SR-GNN and STAMP; "
    "session-rec on a split of its own for V-SKNN and GRU4Rec, where only the rough size compares."
)
