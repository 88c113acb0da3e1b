"""What was saved lies in its interval as often as it says, is that of the whole log, and is refused where unknown."""

import numpy as np
import pytest

from routecal.calib.errors import OutOfRange
from routecal.calib.feedback.saved_cost import FEWEST, Costs, TooFewPriced, saved_cost
from routecal.calib.metrics.bootstrap import mean_interval


def test_a_small_log_by_hand() -> None:
    # Large: 60 answers of 2 and 60 of 4, mean 3. Kept: 2 answers of .5 and 1.5. Saved: 2 * 3 - 2.
    large = [2.0] * 60 + [4.0] * 60
    found = saved_cost(Costs.of([0.5, 1.5]), Costs.of(large))
    assert (found.saved_usd.value, found.paid_usd, found.large_usd) == pytest.approx((4.0, 2.0, 3.0))
    assert (found.n_kept, found.n_large) == (2, 120)
    # s² = 120 / 119; t of 119 degrees of freedom at .975 is 1.9801; two queries of s each, and twice the mean's error.
    of_queries = 1.9801 * (120 / 119) ** 0.5 * 2**0.5
    of_mean = 2 * (3.0 - mean_interval(large)[0])
    assert found.saved_usd.low == pytest.approx(max(4 - (of_mean**2 + of_queries**2) ** 0.5, -2.0), rel=1e-4)
    assert found.saved_usd.high == pytest.approx(4 + (of_mean**2 + of_queries**2) ** 0.5, rel=1e-4)


@pytest.mark.parametrize("sigma", [0.3, 1.2])
@pytest.mark.parametrize(("m", "n"), [(FEWEST, 100), (FEWEST, 2000), (2000, 5), (500, 500)])
def test_what_was_saved_lies_in_its_interval_about_as_often_as_it_says(m: int, n: int, sigma: float) -> None:
    """Long queries cost more with either model, which the interval must not care about."""
    rng, below, above, rounds = np.random.default_rng(0), 0, 0, 400
    for _ in range(rounds):
        long = rng.normal(size=n)
        instead = np.exp(sigma * long)
        paid = 0.1 * np.exp(sigma * (0.7 * long + 0.7 * rng.normal(size=n)))
        found = saved_cost(Costs.of(paid), Costs.of(np.exp(sigma * rng.normal(size=m)))).saved_usd
        saved = float(instead.sum() - paid.sum())
        below, above = below + (saved < found.low), above + (saved > found.high)
    # 380 are meant; three standard errors are 13, and the most skewed costs are held by 93 in 100.
    assert 0.915 <= 1 - (below + above) / rounds <= 0.983
    if sigma == 0.3:
        assert max(below, above) <= 24


def test_a_log_in_parts_is_the_whole_log() -> None:
    """In parts that are unlike each other: the dear answers came first."""
    usd = np.random.default_rng(1).lognormal(0, 1, 5000)
    usd[:900] *= 5
    together = Costs()
    for part in np.split(usd, [0, 1, 3, 40, 41, 3000]):
        together = together + Costs.of(part)
    whole = Costs.of(usd)
    assert together.n == whole.n == 5000
    assert (together.mean, together.m2, together.m3) == pytest.approx((whole.mean, whole.m2, whole.m3), rel=1e-9)
    kept = Costs.of([0.1] * 7)
    one, other = saved_cost(kept, together).saved_usd, saved_cost(kept, whole).saved_usd
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high), rel=1e-9)


def test_too_few_priced_answers_are_refused_with_their_number() -> None:
    many = Costs.of([1.0, 2.0] * FEWEST)
    with pytest.raises(TooFewPriced, match=rf"^{FEWEST - 1} answers of the large model .* at least {FEWEST}$"):
        saved_cost(many, Costs.of([2.0] * (FEWEST - 1)))
    with pytest.raises(TooFewPriced, match=r"^0 answers of the medium model"):
        saved_cost(Costs(), many)
    assert saved_cost(Costs.of([1.0]), Costs.of([1.0, 2.0] * (FEWEST // 2))).n_large == FEWEST


def test_all_that_can_be_lost_is_what_was_paid() -> None:
    found = saved_cost(Costs.of([5.0]), Costs.of([0.0] * 990 + [0.1] * 10)).saved_usd
    assert found.low == -5.0
    assert found.value == pytest.approx(0.001 - 5)


@pytest.mark.parametrize("usd", [-0.1, float("nan"), float("inf")])
def test_a_cost_is_a_number(usd: float) -> None:
    with pytest.raises(OutOfRange, match=r"usd\[1\]"):
        Costs.of([0.0, usd])
