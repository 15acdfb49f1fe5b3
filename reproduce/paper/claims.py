"""The claims in the text of the NARM paper, as data: comparisons that records can support or contradict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from reproduce.paper import numbers
from reproduce.paper.numbers import Score
from reproduce.paper.rows import DECODERS, ROWS, Row


@dataclass(frozen=True)
class Above:
    """One row beats another in a metric, "recall" or "mrr"."""

    better: Row
    worse: Row
    metric: str


@dataclass(frozen=True)
class Gain:
    """One row beats another by a percentage of the other's value."""

    better: Row
    worse: Row
    metric: str
    per_cent: float


@dataclass(frozen=True)
class Close:
    """Two rows differ by less than a number of percentage points."""

    row: Row
    other: Row
    metric: str
    points: float


@dataclass(frozen=True)
class LongerGain:
    """The relative gain in hits is larger on prefixes of some lengths than of others; ranges include both ends."""

    better: Row
    worse: Row
    lengths: tuple[int, int]
    than: tuple[int, int]


@dataclass(frozen=True)
class Collapse:
    """A row's Recall falls below a share of its value on another of our data sets, `before`."""

    row: Row
    before: str
    share: float


Comparison = Above | Gain | Close | LongerGain | Collapse


@dataclass(frozen=True)
class Claim:
    """What the paper says in words, and the comparisons that this means for each of its data sets."""

    name: str
    text: str
    comparisons: Mapping[str, tuple[Comparison, ...]]  # by the paper's column


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


# The scores that the paper prints for each row, by the row's label and the paper's column.
_PRINTED: Mapping[str, Mapping[str, Score]] = {
    **numbers.TABLE3,
    _FULL.label: numbers.TABLE2[_FULL.label],
    **{_encoder(encoder, hidden).label: scores for (encoder, hidden), scores in numbers.TABLE4.items()},
}


def published(comparison: Comparison, column: str) -> float | None:
    """The effect that the paper's own numbers show, in the comparison's unit; None if it prints no such numbers.

    Args:
        column: a column of the paper's tables, such as "YOOCHOOSE 1/64".
    """
    if isinstance(comparison, Gain):
        return comparison.per_cent
    if isinstance(comparison, LongerGain):
        return _gain_in_table5(comparison.lengths) - _gain_in_table5(comparison.than)
    if isinstance(comparison, Collapse):
        return None
    first, other = rows(comparison)
    a, b = (_PRINTED.get(row.label, {}).get(column) for row in (first, other))
    return None if a is None or b is None else getattr(a, comparison.metric) - getattr(b, comparison.metric)


def rows(comparison: Comparison) -> tuple[Row, ...]:
    """The rows that a comparison is about, first the one that is ahead in the paper."""
    if isinstance(comparison, Collapse):
        return (comparison.row,)
    if isinstance(comparison, Close):
        return comparison.row, comparison.other
    return comparison.better, comparison.worse


def _gain_in_table5(lengths: tuple[int, int]) -> float:
    """NARM's relative gain in hits over Improved GRU-Rec on prefixes of some lengths, in per cent."""
    hits = [numbers.TABLE5[n] for n in range(lengths[0], lengths[1] + 1)]
    return 100 * (sum(narm for _, narm in hits) / sum(improved for improved, _ in hits) - 1)


def _each(comparisons: tuple[Comparison, ...], columns: tuple[str, ...] = _ALL) -> dict[str, tuple[Comparison, ...]]:
    """The same comparisons for several data sets, without comparisons for which the paper prints no numbers there."""
    return {
        column: tuple(
            comparison
            for comparison in comparisons
            if not isinstance(comparison, Above) or published(comparison, column) is not None
        )
        for column in columns
    }


_BOTH = ("recall", "mrr")
_SIZES = (50, 100)
# The claims in the paper's text; the numbering is ours.
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
)
