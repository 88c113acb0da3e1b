"""The intervals of an area hold the truth as often as they say."""

import numpy as np
import pytest

from routecal.calib.escalation.area import area_difference, area_over_random
from routecal.calib.escalation.outcomes import Outcomes
from tests.calib.escalation.test_area import value


@pytest.mark.parametrize("rare", [False, True])
@pytest.mark.parametrize("n", [100, 400])
def test_its_intervals_cover(n: int, rare: bool) -> None:
    """95 % of 300 draws, minus three standard deviations; where 8 % of queries decide as well."""

    def drawn(n: int, rng: np.random.Generator) -> tuple[Outcomes, np.ndarray, np.ndarray]:
        p = rng.beta(4, 2, n)
        medium, large = (
            (rng.random(n) < 0.9 + 0.1 * p, rng.random(n) < 0.97) if rare else (rng.random(n) < p, rng.random(n) < 0.9)
        )
        return Outcomes(medium * 1.0, large * 1.0, np.ones(n), rng.uniform(5, 30, n)), -p, rng.normal(-p, 0.2)

    rng = np.random.default_rng(n)
    outcomes, a, b = drawn(300_000, rng)
    truth, difference = value(a, outcomes), value(a, outcomes) - value(b, outcomes)
    hits = np.zeros(2)
    for _ in range(300):
        outcomes, a, b = drawn(n, rng)
        one, two = area_over_random(a, outcomes), area_difference(a, b, outcomes)
        if one is None or two is None:  # nothing to gain on these rows, nothing claimed
            hits += 1
            continue
        assert -1 <= one.low <= one.value <= one.high <= 1
        hits += [one.low <= truth <= one.high, two.low <= difference <= two.high]
    assert (hits >= 273).all()
    assert (hits < 300).all()
