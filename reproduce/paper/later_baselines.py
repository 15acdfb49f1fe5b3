"""Later baselines that the paper's comparison lacks, with their settings; elsewhere.py has what others published."""

from __future__ import annotations

from reproduce.paper.rows import Row

# session-rec's settings of GRU4Rec for its single splits, by our data set; elsewhere those for RSC15/64.
_BPR_MAX = {
    "loss_function": "bpr-max",
    "activation": "elu",
    "batch": 32,
    "negatives": 2048,
    "alpha": 0.75,
    "penalty": 1.0,
}
GRU4REC_2018: dict[str, object] = {**_BPR_MAX, "dropout": 0.5, "learning_rate": 0.01, "momentum": 0.8}
GRU4REC_2018_ON: dict[str, dict[str, object]] = {
    "diginetica": {**_BPR_MAX, "embeddings": "tied", "dropout": 0.1, "learning_rate": 0.02, "momentum": 0.5},
    "diginetica-file-order": {**_BPR_MAX, "embeddings": "tied", "dropout": 0.2, "learning_rate": 0.05, "momentum": 0.1},
}
# The setting for RSC15 that the authors of GRU4Rec publish beside their code for tied embeddings and 100 units.
GRU4REC_TIED: dict[str, object] = {
    "loss_function": "cross-entropy",
    "activation": "linear",
    "embeddings": "tied",
    "batch": 32,
    "dropout": 0.4,
    "learning_rate": 0.2,
    "momentum": 0.2,
    "negatives": 2048,
    "alpha": 0.5,
    "logq": 1.0,
}

# session-rec's settings of V-SKNN and SR for its single splits, by our data set; elsewhere V-SKNN has its defaults,
# session-rec's for DIGINETICA, and SR its code's. The order of the raw file is that of "STAMP's split" there.
VSKNN: dict[str, dict[str, object]] = {
    "yoochoose1_64": {"neighbours": 1000, "sample": 5000, "weights": "log", "decays": "quadratic", "idf": 2.0},
    "yoochoose1_4": {"neighbours": 1000, "sample": 1000, "weights": "log", "decays": "quadratic", "idf": 5.0},
    "diginetica-file-order": {"neighbours": 500, "decays": "quadratic"},
}
SR: dict[str, dict[str, object]] = {
    "yoochoose1_64": {"steps": 4, "f": "quadratic", "pruning": 100},
    "yoochoose1_4": {"steps": 2, "f": "log", "pruning": 100},
    "diginetica": {"steps": 15, "f": "div", "pruning": 100},
    "diginetica-file-order": {"steps": 8, "f": "quadratic", "pruning": 100},
}

# The settings of STAMP's authors' code. Its logs print start embeddings of an RMS of 0.0096 on YOOCHOOSE, five times
# that of its configuration, which is the default here. It has none for DIGINETICA by time.
_STAMP = {"form": "code", "batching": "one-length", "epochs": 10}
STAMP_CODE: dict[str, object] = {**_STAMP, "learning_rate": 0.003, "gradient_norm": 150.0, "embedding_norm": 1.0}
_STAMP_DIGINETICA: dict[str, object] = {**_STAMP, "gradient_norm": 110.0, "embedding_norm": 1.5}  # rate 0.005
STAMP_CODE_ON: dict[str, dict[str, object]] = {
    "yoochoose1_4": {**_STAMP, "gradient_norm": 10.0, "embedding_norm": 1.0},  # rate 0.005
    "diginetica": _STAMP_DIGINETICA,
    "diginetica-file-order": _STAMP_DIGINETICA,
}

ROWS = (
    Row("S-KNN", "sknn"),
    Row("V-SKNN", "vsknn", on=VSKNN),
    Row("SR", "sr", {}, SR),
    Row("STAMP", "stamp"),
    Row("STAMP (authors' code)", "stamp", STAMP_CODE, STAMP_CODE_ON),
    Row("SR-GNN", "sr_gnn"),
    Row("SASRec (softmax)", "sasrec"),
    Row("CORE", "core"),
    Row("GRU4Rec (2018)", "gru4rec", GRU4REC_2018, GRU4REC_2018_ON),
    Row("GRU4Rec (tied, logQ)", "gru4rec", GRU4REC_TIED),
)

NOTE = (
    "Later baselines have the settings that their authors or session-rec (Ludewig et al. 2021, single splits) publish "
    "for a data set or, where there are none, for DIGINETICA or RSC15/64."
)
