"""Rows that train as the public code of the paper's time does: the likeliest way in which its authors made theirs.

The paper gives no settings of its baselines. What stands here are the defaults of the implementations that were public
in 2017, and the few deviations that were found to bring a row to the paper's number; results/findings.md says how each
was found. None is a recommendation, and none was chosen for its honesty: some were found by looking at test scores.
"""

from __future__ import annotations

from reproduce.paper.rows import Row

# The public code of GRU4Rec, 2016. Its constructor's learning rate is our default.
GRU_REC = (
    Row("GRU-Rec (rate of the example script)", "gru4rec", {"learning_rate": 0.01}),
    Row(
        "GRU-Rec, steps of the public code",
        "gru4rec",
        {"duplicates": "separate", "own_target": "counted", "validation": "none"},
    ),
)

# The baseline beside it draws its wrong items from the first rows of the table of clicks. How much that order is worth:
# the rows as its joins leave them, the split's own from either end, and all clicks, which is what BPR means.
BPR_MF = (
    Row("BPR-MF, wrong items from the first rows, grouped as in the public code", "bpr_mf", {"negatives": "grouped"}),
    Row("BPR-MF, wrong items from the first rows in time order", "bpr_mf", {"negatives": "first-rows"}),
    Row("BPR-MF, wrong items from the last rows in time order", "bpr_mf", {"negatives": "last-rows"}),
    Row("BPR-MF, wrong items from all clicks", "bpr_mf"),
)

# Two of several settings of that family that have the paper's pair on YOOCHOOSE 1/64; which one it was cannot be told.
# On DIGINETICA in file order the public code needs no other setting: BPR_MF[0] has the paper's pair.
BPR_MF_ON_1_64 = (
    Row("BPR-MF, grouped rows, 3 iterations", "bpr_mf", {"negatives": "grouped", "epochs": 3}),
    Row("BPR-MF, rows in time order, 28 iterations", "bpr_mf", {"negatives": "first-rows", "epochs": 28}),
)

# github khesui/FPMC, 2016, with the defaults of its script.
FPMC = (
    Row(
        "FPMC, settings of the public code",
        "fpmc",
        {
            "factors": 32,
            "epochs": 15,
            "learning_rate": 0.01,
            "regularisation": 0.001,
            "spread": 0.01,
            "negatives": 10,
            "basket": "prefix",
        },
    ),
)

ROWS = (*GRU_REC, *BPR_MF, *BPR_MF_ON_1_64, *FPMC)
