"""What is logged as the probability of an action is how often it is taken."""

from itertools import product

import numpy as np
import pytest

from routecal.calib.errors import OutOfRange
from routecal.calib.feedback.action import Action, action


@pytest.mark.parametrize(
    ("large", "canary", "share", "explore"),
    [*product([True, False], [True, False, None], [0.0, 0.2], [0.0, 0.1]), (True, False, 1.0, 1.0)],
)
def test_the_propensity_is_the_frequency(large: bool, canary: bool | None, share: float, explore: float) -> None:
    rng, n = np.random.default_rng(0), 10_000
    taken = [
        action(large, canary=canary, canary_share=share, explore=explore, draws=tuple(rng.random(3))) for _ in range(n)
    ]
    for way in (True, False):
        same = [one for one in taken if one.large == way]
        if same:
            assert len({one.propensity for one in same}) == 1
            p = same[0].propensity
            assert 0 < p <= 1
            # five standard errors
            assert abs(len(same) / n - p) <= 5 * (p * (1 - p) / n) ** 0.5 + 1e-12


def test_both_ways_add_up_to_one() -> None:
    kept = action(False, explore=0.3, canary=True, canary_share=0.1, draws=(0.9, 0.9, 0.9))
    sent = action(False, explore=0.3, canary=True, canary_share=0.1, draws=(0.05, 0.9, 0.9))
    assert kept.propensity + sent.propensity == pytest.approx(1)
    assert (kept.large, sent.large, sent.by_canary) == (False, True, True)


def test_an_override_is_certain_and_says_why() -> None:
    assert action(True, canary=False, canary_share=1, explore=1, override="unlike", draws=(0, 0, 0)) == Action(
        True, 1.0, override="unlike"
    )


@pytest.mark.parametrize("wrong", [{"explore": -0.1}, {"explore": 1.1}, {"canary_share": float("nan")}])
def test_shares_that_are_none(wrong: dict[str, float]) -> None:
    with pytest.raises(OutOfRange):
        action(True, **wrong)
