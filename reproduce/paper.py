"""What the NARM paper published, as data: Li et al., CIKM 2017, DOI 10.1145/3132847.3132926, arXiv 1711.04725.

Every number carries its table. Checked against the shared facts about the paper; a test validates the shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

DATASETS = ("yoochoose1_64", "yoochoose1_4", "diginetica-file-order", "diginetica")

# The paper has one DIGINETICA. Its numbers were made in the raw file's order of clicks; the same numbers stand beside
# the sorted split to show what that order is worth.
PAPER_COLUMN = {
    "yoochoose1_64": "YOOCHOOSE 1/64",
    "yoochoose1_4": "YOOCHOOSE 1/4",
    "diginetica": "DIGINETICA",
    "diginetica-file-order": "DIGINETICA",
}

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

# Table 5, DIGINETICA: targets among the first 20 by length of the prefix, of Improved GRU-Rec and of NARM.
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


@dataclass(frozen=True)
class Row:
    """A row of a table: a model with some fields set, under the name the table gives it."""

    label: str
    model: str
    fields: Mapping[str, object] = field(default_factory=dict)


# The rows of Table 3 in the paper's order, and the model of ours that stands for each.
ROWS = (
    Row("POP", "pop"),
    Row("S-POP", "s_pop"),
    Row("Item-KNN", "item_knn"),
    Row("BPR-MF", "bpr_mf"),
    Row("FPMC", "fpmc"),
    Row("GRU-Rec", "gru4rec"),
    Row("Improved GRU-Rec", "improved_gru_rec"),
    Row("NARM", "narm"),
)

# The rows of Table 2.
DECODERS = (
    Row("fully connected", "narm", {"decoder": "fully-connected"}),
    Row("bilinear", "narm"),
)


@dataclass(frozen=True)
class Above:
    """One row beats another in a metric, "recall" or "mrr"."""

    better: Row
    worse: Row
    metric: str


@dataclass(frozen=True)
class Gain:
    """One row beats another by a share of the other's value, in per cent."""

    better: Row
    worse: Row
    metric: str
    per_cent: float


@dataclass(frozen=True)
class Close:
    """Two rows differ by less than some points."""

    one: Row
    other: Row
    metric: str
    points: float


@dataclass(frozen=True)
class LongerGain:
    """The relative gain in hits is larger on prefixes of some lengths than on those of others; both ends included."""

    better: Row
    worse: Row
    lengths: tuple[int, int]
    than: tuple[int, int]


@dataclass(frozen=True)
class Collapse:
    """A row's Recall falls below a share of what it was on another of our data sets."""

    row: Row
    before: str
    share: float


@dataclass(frozen=True)
class DecoderSize:
    """Weights: fully connected 2H m, bilinear 2H D (without the bias, which the paper does not count)."""

    full: Row
    bilinear: Row


Statement = Above | Gain | Close | LongerGain | Collapse | DecoderSize


@dataclass(frozen=True)
class Claim:
    """What the paper says in words, and for each of its data sets the statements that this comes to."""

    name: str
    text: str
    statements: Mapping[str, tuple[Statement, ...]]  # by the paper's column


_YOOCHOOSE = ("YOOCHOOSE 1/64", "YOOCHOOSE 1/4")
_ALL = (*_YOOCHOOSE, "DIGINETICA")
_BY_LABEL = {row.label: row for row in ROWS}
_NARM, _IMPROVED = _BY_LABEL["NARM"], _BY_LABEL["Improved GRU-Rec"]
_FULL = DECODERS[0]
_RNN = ("GRU-Rec", "Improved GRU-Rec", "NARM")


def _encoder(encoder: str, hidden: int) -> Row:
    fields = {key: value for key, value in (("encoder", encoder), ("hidden", hidden)) if value not in ("hybrid", 100)}
    return Row(f"NARM {encoder}, d = {hidden}", "narm", fields)


def _best(metric: str) -> tuple[Above, ...]:
    return tuple(Above(_NARM, row, metric) for row in ROWS if row is not _NARM)


def _order(*labels: str) -> tuple[Above, ...]:
    names = [_BY_LABEL[label] for label in labels]
    return tuple(Above(a, b, "recall") for a, b in pairwise(names))


def _each(statements: tuple[Statement, ...], columns: tuple[str, ...] = _ALL) -> dict[str, tuple[Statement, ...]]:
    return dict.fromkeys(columns, statements)


_BOTH = ("recall", "mrr")
_SIZES = (50, 100)

# The claims of the paper's text, numbered here.
CLAIMS = (
    Claim("C1", "NARM has the best Recall@20", _each(_best("recall"))),
    Claim(
        "C2",
        "NARM has the best MRR@20 on YOOCHOOSE 1/4 and DIGINETICA; on 1/64 Improved GRU-Rec is better",
        {
            **_each(_best("mrr"), ("YOOCHOOSE 1/4", "DIGINETICA")),
            "YOOCHOOSE 1/64": (Above(_IMPROVED, _NARM, "mrr"),),
        },
    ),
    Claim(
        "C3",
        "NARM gains 8 % in Recall@20 and 9.7 % in MRR@20 over Improved GRU-Rec",
        {"DIGINETICA": (Gain(_NARM, _IMPROVED, "recall", 8.0), Gain(_NARM, _IMPROVED, "mrr", 9.7))},
    ),
    Claim(
        "C4",
        "the bilinear decoder is better in Recall@20; in MRR@20 worse on YOOCHOOSE, better on DIGINETICA",
        {
            **_each((Above(_NARM, _FULL, "recall"), Above(_FULL, _NARM, "mrr")), _YOOCHOOSE),
            "DIGINETICA": (Above(_NARM, _FULL, "recall"), Above(_NARM, _FULL, "mrr")),
        },
    ),
    Claim(
        "C5",
        "the hybrid encoder beats the global and the local one, in both metrics, with 50 and 100 units",
        _each(
            tuple(
                Above(_encoder("hybrid", d), _encoder(part, d), metric)
                for d in _SIZES
                for part in ("global", "local")
                for metric in _BOTH
            )
        ),
    ),
    Claim(
        "C6",
        "the global and the local encoder are close (ours: within a point)",
        _each(
            tuple(Close(_encoder("global", d), _encoder("local", d), metric, 1.0) for d in _SIZES for metric in _BOTH)
        ),
    ),
    Claim(
        "C7",
        "100 units are better than 50",
        _each(
            tuple(
                Above(_encoder(part, 100), _encoder(part, 50), metric)
                for part in ("global", "local", "hybrid")
                for metric in _BOTH
            )
        ),
    ),
    Claim(
        "C8",
        "every recurrent network beats every other method",
        _each(
            tuple(
                Above(_BY_LABEL[rnn], row, metric)
                for rnn in _RNN
                for row in ROWS
                if row.label not in _RNN
                for metric in _BOTH
            )
        ),
    ),
    Claim(
        "C9",
        "the gain over Improved GRU-Rec is larger on prefixes of 4 to 17 clicks than on shorter and on longer ones",
        {
            "DIGINETICA": (
                LongerGain(_NARM, _IMPROVED, (4, 17), (1, 3)),
                LongerGain(_NARM, _IMPROVED, (4, 17), (18, 19)),
            )
        },
    ),
    Claim(
        "C10",
        "the traditional methods' order by Recall@20: 1/64 Item-KNN, FPMC, BPR-MF, S-POP, POP; "
        "DIGINETICA FPMC, Item-KNN, S-POP, BPR-MF, POP",
        {
            "YOOCHOOSE 1/64": _order("Item-KNN", "FPMC", "BPR-MF", "S-POP", "POP"),
            "DIGINETICA": _order("FPMC", "Item-KNN", "S-POP", "BPR-MF", "POP"),
        },
    ),
    Claim(
        "C11",
        "BPR-MF collapses from YOOCHOOSE 1/64 to 1/4 (ours: to less than half)",
        {"YOOCHOOSE 1/4": (Collapse(_BY_LABEL["BPR-MF"], "yoochoose1_64", 0.5),)},
    ),
    Claim("C12", "the decoders have 2H m and 2H D weights", _each((DecoderSize(_FULL, _NARM),))),
)


def published(table: Mapping[str, Mapping[str, Score]], label: str, dataset: str) -> Score | None:
    """What a table says of a row on one of our data sets, by its name or the paper's; None where it says nothing."""
    row = table.get(label, {})
    return row.get(dataset) or row.get(PAPER_COLUMN.get(dataset, ""))
