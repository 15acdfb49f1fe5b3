"""What the NARM paper published, as data: Li et al., CIKM 2017, DOI 10.1145/3132847.3132926, arXiv 1711.04725.

Every number is listed under its table. The numbers were checked against the project's notes on the paper; a test checks
that Table 5 has every length and agrees with Table 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DATASETS = ("yoochoose1_64", "yoochoose1_4", "diginetica-file-order", "diginetica")
# The paper has one DIGINETICA. Its numbers were obtained with the clicks in the raw file's order; the same numbers are
# shown beside the split sorted by time, to show how much that order matters.
PAPER_COLUMN = {
    "yoochoose1_64": "YOOCHOOSE 1/64",
    "yoochoose1_4": "YOOCHOOSE 1/4",
    "diginetica": "DIGINETICA",
    "diginetica-file-order": "DIGINETICA",
}
FRACTIONS = ("yoochoose1_64", "yoochoose1_4")  # of a training set that the test sessions were filtered against
OTHER_ORDER = ("diginetica",)  # the paper's data with the clicks in another order, which is another task


# Table 1: data statistics.
TABLE1: dict[str, dict[str, float]] = {
    column: dict(zip(("clicks", "train_sequences", "test_sequences", "items", "average_length"), row, strict=True))
    for column, row in {
        "YOOCHOOSE 1/64": (557_248, 369_859, 55_898, 16_766, 6.16),
        "YOOCHOOSE 1/4": (8_326_407, 5_917_746, 55_898, 29_618, 5.71),
        "DIGINETICA": (982_961, 719_470, 60_858, 43_097, 5.12),
    }.items()
}


@dataclass(frozen=True)
class Score:
    """Recall@20 and MRR@20 in per cent."""

    recall: float
    mrr: float


def _scores(*pairs: tuple[float, float] | None) -> dict[str, Score]:
    columns = ("YOOCHOOSE 1/64", "YOOCHOOSE 1/4", "DIGINETICA")
    return {column: Score(*pair) for column, pair in zip(columns, pairs, strict=True) if pair is not None}


# Table 3: the comparison of recommenders. FPMC on 1/4 ran out of memory.
TABLE3: dict[str, dict[str, Score]] = {
    "POP": _scores((6.71, 1.65), (1.33, 0.30), (0.91, 0.23)),
    "S-POP": _scores((30.44, 18.35), (27.08, 17.75), (21.07, 14.69)),
    "Item-KNN": _scores((51.60, 21.81), (52.31, 21.70), (28.35, 9.45)),
    "BPR-MF": _scores((31.31, 12.08), (3.40, 1.57), (15.19, 8.63)),
    "FPMC": _scores((45.62, 15.01), None, (31.55, 8.92)),
    "GRU-Rec": _scores((60.64, 22.89), (59.53, 22.60), (43.82, 15.46)),
    "Improved GRU-Rec": _scores((67.84, 29.00), (69.11, 29.22), (57.95, 24.93)),
    "NARM": _scores((68.32, 28.76), (69.73, 29.23), (62.58, 27.35)),
}


# Table 2: decoders.
TABLE2: dict[str, dict[str, Score]] = {
    "fully connected": _scores((67.67, 29.17), (69.49, 29.54), (57.84, 24.77)),
    "bilinear": _scores((68.32, 28.76), (69.73, 29.23), (62.58, 27.35)),
}


# Table 4: encoders, by number of GRU hidden units.
TABLE4: dict[tuple[str, int], dict[str, Score]] = {
    ("global", 50): _scores((67.26, 26.95), (67.67, 27.10), (59.63, 23.52)),
    ("global", 100): _scores((68.15, 28.37), (68.91, 28.48), (61.88, 26.51)),
    ("local", 50): _scores((67.07, 26.79), (67.50, 27.21), (58.74, 22.91)),
    ("local", 100): _scores((68.10, 28.38), (68.01, 27.36), (61.71, 26.04)),
    ("hybrid", 50): _scores((68.28, 28.10), (69.17, 28.67), (61.73, 26.25)),
    ("hybrid", 100): _scores((68.32, 28.76), (69.73, 29.23), (62.58, 27.35)),
}


# Table 5, DIGINETICA: number of targets ranked in the top 20, by prefix length, for Improved GRU-Rec and NARM.
TABLE5: dict[int, tuple[int, int]] = dict(
    enumerate(
        [
            *((8747, 9358), (6601, 7084), (4923, 5299), (3625, 3958), (2789, 3019), (2029, 2202), (1520, 1656)),
            *((1198, 1295), (915, 996), (690, 753), (509, 587), (411, 459), (304, 323), (243, 260)),
            *((199, 219), (149, 165), (98, 112), (88, 93), (70, 75)),
        ],
        start=1,
    )
)


def published(table: Mapping[str, Mapping[str, Score]], label: str, dataset: str) -> Score | None:
    """A table's score of a row on one of our data sets, found by our name or the paper's; None if it has none."""
    row = table.get(label, {})
    return row.get(dataset) or row.get(PAPER_COLUMN.get(dataset, ""))
