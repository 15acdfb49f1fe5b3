"""What a published number should be: the verdict's side, and the cause that explains another number."""

from __future__ import annotations

import pytest

from reproduce.expect import Cause, Expectation, explaining, verdict

RECALL = Expectation("Recall@20", published=62.58, ours=49.70, half=0.5, noise=0.8)
MRR = Expectation("MRR@20", published=27.35, ours=16.17, half=0.4, noise=0.6)
ORDER = Cause("the clicks in the order of the file", [62.60, 27.30])
TIES = Cause("ties in favour of the target", [49.72, 16.20])


@pytest.mark.parametrize(
    ("published", "side"), [(49.70, "within noise"), (50.49, "within noise"), (50.51, "above"), (48.89, "below")]
)
def test_a_number_is_judged_by_the_noise_of_the_difference(published: float, side: str) -> None:
    assert Expectation("Recall@20", published, ours=49.70, half=0.5, noise=0.8).side == side


def test_the_cause_that_brings_every_metric_within_noise_is_named() -> None:
    assert verdict([RECALL, MRR], [TIES, ORDER]) == (
        "Above ours: Recall@20 +12.88 (noise 0.8), MRR@20 +11.18 (noise 0.6). "
        "Explained by the clicks in the order of the file: ours is 62.60 / 27.30 then."
    )


def test_the_nearest_of_several_causes_comes_first_and_one_that_fits_one_metric_only_is_none() -> None:
    near, far, half = Cause("a", [62.5, 27.35]), Cause("b", [62.0, 27.35]), Cause("c", [62.58, 16.17])
    assert explaining([RECALL, MRR], [far, half, near]) == [near, far]


def test_without_a_cause_the_usual_ones_of_that_side_are_named() -> None:
    low = Expectation("Recall@20", published=48.0, ours=49.70, half=0.5, noise=0.8)
    assert verdict([low], [Cause("ties in favour of the target", [49.72])]) == (
        "Below ours: Recall@20 -1.70 (noise 0.8). No cause on record explains it; the usual ones are an undertrained "
        "run, another split, or a tie rule or cut-off that costs hits."
    )
    assert "the usual ones are a rule of counting that gives hits away" in verdict([RECALL], [])


def test_metrics_on_different_sides_are_told_apart() -> None:
    same = Expectation("MRR@20", published=16.2, ours=16.17, half=0.4, noise=0.6)
    assert verdict([RECALL, same], []).startswith(
        "Not ours in every metric: Recall@20 above (+12.88, noise 0.8), MRR@20 within noise (+0.03, noise 0.6)."
    )
    assert verdict([same], [ORDER]) == "Within noise: MRR@20 +0.03 (noise 0.6)."
