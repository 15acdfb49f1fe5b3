"""Variants of NARM: those of the paper's Tables 4 and 2, and the points in which published NARMs differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reproduce.paper import numbers
from reproduce.paper.numbers import Score


@dataclass(frozen=True)
class Variant:
    """A variant of NARM: what it changes, the fields that are set, and the scores that the paper published."""

    meaning: str
    fields: Mapping[str, object] = field(default_factory=dict)
    published: Mapping[str, Score] = field(default_factory=dict)


VARIANTS = {
    "hybrid": Variant("the paper's NARM, 100 hidden units", {}, numbers.TABLE4["hybrid", 100]),
    "global-only": Variant("c_t = h_t", {"encoder": "global"}, numbers.TABLE4["global", 100]),
    "local-only": Variant("c_t = sum_j alpha_tj h_j", {"encoder": "local"}, numbers.TABLE4["local", 100]),
    "fc-decoder": Variant(
        "score = W c_t + b instead of emb B c_t", {"decoder": "fully-connected"}, numbers.TABLE2["fully connected"]
    ),
    "hybrid-50": Variant("50 hidden units", {"hidden": 50}, numbers.TABLE4["hybrid", 50]),
    "global-only-50": Variant(
        "c_t = h_t, 50 hidden units", {"encoder": "global", "hidden": 50}, numbers.TABLE4["global", 50]
    ),
    "local-only-50": Variant(
        "c_t = sum_j alpha_tj h_j, 50 hidden units", {"encoder": "local", "hidden": 50}, numbers.TABLE4["local", 50]
    ),
    "raw-attention": Variant("alpha as in eq. 7, without the authors' softmax", {"attention": "raw"}),
    "no-query": Variant("A_1 = 0: the attention does not see h_t", {"attention_query": "none"}),
    "hard-attention": Variant(
        "the attention's sigmoid hard, as in the authors' code; the gates smooth", {"attention_sigmoid": "hard"}
    ),
    "authors-cell": Variant(
        "reset gate before the product, hard sigmoids, as in the authors' code",
        {"cell": "authors", "attention_sigmoid": "hard"},
    ),
    "last-19": Variant("longer prefixes keep their last 19 clicks, not their first", {"truncation": "last"}),
    "no-truncation": Variant("longer prefixes keep all clicks", {"truncation": "none"}),
    "torch-init": Variant("torch's initial weights instead of the authors'", {"init": "torch"}),
    "session-validation": Variant("validation on whole sessions instead of prefixes", {"validation": "sessions"}),
    "no-dropout": Variant("neither of the two dropouts", {"embedding_dropout": 0.0, "session_dropout": 0.0}),
}
PAPERS = ("hybrid", "global-only", "local-only", "fc-decoder")  # run if no variant is named
