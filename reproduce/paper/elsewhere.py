"""What others published for these rows: the numbers, where they stand, and whether they are from the same split.

They never stand in the column of the NARM paper. Where the split is another one, only the rough size compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reproduce.paper.numbers import Score


@dataclass(frozen=True)
class Source:
    """A publication with numbers for our data sets."""

    name: str
    where: str
    same_split: bool  # whether its test prefixes are ours


SESSION_REC = Source(
    "session-rec", "Ludewig, Mauro, Latifi, Jannach, UMUAI 31, 2021; tables on the pages of their code", False
)
WU = Source("Wu et al. 2019", "SR-GNN, AAAI 2019, Table 2; not yet checked against the printed paper", True)
STAMP = Source("Liu et al. 2018", "STAMP, KDD 2018, Table 3; for DIGINETICA the logs beside its code, recounted", True)

# By source, data set and the label of our row: Recall@20 and MRR@20 in per cent.
NUMBERS: Mapping[Source, Mapping[str, Mapping[str, Score]]] = {
    WU: {
        "yoochoose1_64": {"SR-GNN": Score(70.57, 30.94)},
        "diginetica": {
            "POP": Score(0.89, 0.20),
            "S-POP": Score(21.06, 13.68),
            "Item-KNN": Score(35.75, 11.57),
            "BPR-MF": Score(5.24, 1.98),
            "FPMC": Score(26.53, 6.95),
            "GRU-Rec": Score(29.45, 8.33),
            "NARM": Score(49.70, 16.17),
            "STAMP": Score(45.64, 14.32),
            "SR-GNN": Score(50.73, 17.59),
        },
    },
    STAMP: {
        "yoochoose1_64": {"STAMP": Score(68.74, 29.67)},
        "yoochoose1_4": {"STAMP": Score(70.44, 30.00)},
        "diginetica-file-order": {"STAMP": Score(62.04, 27.39)},
    },
    SESSION_REC: {
        "yoochoose1_64": {
            "NARM": Score(69.98, 29.57),
            "V-SKNN": Score(69.61, 28.79),
            "SR": Score(66.74, 30.33),
            "GRU4Rec (2018)": Score(65.28, 27.52),
        },
        "yoochoose1_4": {"V-SKNN": Score(68.99, 28.32)},
        "diginetica": {
            "NARM": Score(49.79, 15.85),
            "GRU4Rec (2018)": Score(50.97, 17.50),
            "V-SKNN": Score(52.03, 18.41),
        },
        "diginetica-file-order": {
            "GRU4Rec (2018)": Score(64.04, 30.54),
            "NARM": Score(63.65, 27.91),
            "STAMP": Score(61.09, 27.60),
            "SR": Score(55.82, 27.19),
            "V-SKNN": Score(51.52, 26.25),
        },
    },
}


def published(label: str, dataset: str) -> list[tuple[Source, Score]]:
    """What was published elsewhere for a row on one of our data sets; the label may name a form of it."""
    return [
        (source, rows[dataset][name])
        for source, rows in NUMBERS.items()
        if dataset in rows
        for name in rows[dataset]
        if name in (label, label.partition(" (authors' code)")[0])
    ]


def wu_2019(label: str) -> Score | None:
    """What Wu et al. report for a row on DIGINETICA in time order, on our split; None for other rows."""
    return NUMBERS[WU]["diginetica"].get(label)
