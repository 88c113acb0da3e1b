"""The area over random, by counting pairs and by trapezoids; its intervals cover, and resampled rows are rows."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings

from routecal.calib.errors import LengthMismatch, NonFinite
from routecal.calib.escalation.area import area_difference, area_of_counts, area_over_random
from routecal.calib.escalation.outcomes import Outcomes
from tests.calib.escalation.made import cases, simulated


def priced(medium: list[int], large: list[int], extra: list[float] | float = 19.0) -> Outcomes:
    m, g = np.array(medium, float), np.array(large, float)
    return Outcomes(m, g, np.ones(len(m)), np.ones(len(m)) + extra)


def value(need: np.ndarray, outcomes: Outcomes) -> float:
    found = area_over_random(need, outcomes)
    assert found is not None
    return found.value


@settings(max_examples=80, deadline=None)
@given(cases())
def test_it_counts_pairs(case: tuple[Outcomes, np.ndarray, np.ndarray]) -> None:
    outcomes, _, need = case
    g, x = outcomes.large_right - outcomes.medium_right, outcomes.large_cost - outcomes.medium_cost
    if not x.any():
        x = np.ones(len(g))
    need = np.where(np.isinf(need), 9.0, need)  # inf - inf is no number
    pairs = [(np.sign(need[i] - need[j]), g[i] * x[j] - g[j] * x[i]) for i, j in combinations(range(len(g)), 2)]
    best = sum(abs(size) for _, size in pairs)
    if best < 1e-9:
        assert area_over_random(need, outcomes) is None
        assert np.isnan(area_of_counts(need, outcomes)(np.ones((1, len(g))))).all()
    else:
        want = sum(sign * size for sign, size in pairs) / best
        assert value(need, outcomes) == pytest.approx(want, abs=1e-9)
        assert area_of_counts(need, outcomes)(np.ones((1, len(g)))) == pytest.approx([want], abs=1e-9)


@pytest.mark.parametrize("own_prices", [False, True])
def test_it_is_the_area_between_the_curve_and_the_chord(own_prices: bool) -> None:
    outcomes, need = simulated(400, 1, own_prices=own_prices)
    g, x = outcomes.large_right - outcomes.medium_right, outcomes.large_cost - outcomes.medium_cost

    def area(order: np.ndarray) -> float:
        cost, quality = (np.concatenate([[0.0], np.cumsum(v[order])]) for v in (x, g))
        return float(np.trapezoid(quality - cost * g.sum() / x.sum(), cost))

    want = area(np.argsort(-need)) / area(np.argsort(-g / x))
    assert value(need, outcomes) == pytest.approx(want)


def test_the_oracle_has_1_its_reverse_has_less_than_nothing_and_one_need_for_all_has_0() -> None:
    outcomes, _ = simulated(300, 2, own_prices=True)
    best = (outcomes.large_right - outcomes.medium_right) / (outcomes.large_cost - outcomes.medium_cost)
    assert value(best, outcomes) == pytest.approx(1)
    assert value(-best, outcomes) == pytest.approx(-1)
    assert value(np.zeros(300), outcomes) == 0
    assert value(np.where(best > 0, np.inf, best), outcomes) < 1  # which of those first is not said


def test_where_all_queries_gain_alike_there_is_no_order() -> None:
    assert area_over_random([0.1, 0.9], priced([1, 1], [1, 1])) is None
    assert area_over_random([0.1, 0.9], priced([0, 0], [1, 1])) is None
    assert area_difference([0.1, 0.9], [0.9, 0.1], priced([0, 0], [1, 1])) is None
    # the cheaper of two equal gains is to be bought first
    assert value(np.array([0.1, 0.9]), priced([0, 0], [1, 1], [20.0, 10.0])) == 1


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


def test_the_difference_is_paired_and_narrower_than_two_intervals() -> None:
    outcomes, need = simulated(500, 3)
    near = np.round(need, 1)
    found, alone = area_difference(need, near, outcomes), area_over_random(need, outcomes)
    assert found is not None
    assert alone is not None
    assert found.value == pytest.approx(value(need, outcomes) - value(near, outcomes))
    assert found.high - found.low < 0.5 * (alone.high - alone.low)
    same = area_difference(need, need, outcomes)
    assert same is not None
    assert (same.low, same.value, same.high) == (0, 0, 0)


def test_a_perfect_order_of_few_is_not_sure_to_be_perfect() -> None:
    found = area_over_random([0.0, 1.0, 2.0], priced([1, 0, 0], [1, 1, 1]))
    assert found is not None
    assert found.value == found.high == 1
    assert found.low < 0.5
    two = area_difference([0.0, 1.0], [1.0, 0.0], priced([1, 0], [1, 1]))
    assert two is not None
    assert (two.low, two.value, two.high) == (-2, 2, 2)


def test_counts_are_rows_drawn_so_often() -> None:
    outcomes, exact = simulated(200, 4, own_prices=True)
    need = np.round(exact, 1)
    counts = np.random.default_rng(0).multinomial(200, np.full(200, 1 / 200), size=3)
    rows = [np.repeat(np.arange(200), times) for times in counts]
    columns = ("medium_right", "large_right", "medium_cost", "large_cost")
    want = [value(need[i], Outcomes(*(getattr(outcomes, name)[i] for name in columns))) for i in rows]
    assert area_of_counts(need, outcomes)(counts.astype(float)) == pytest.approx(want)


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_a_need_that_is_none_is_refused(bad: float) -> None:
    with pytest.raises(NonFinite, match="need"):
        area_over_random([0.1, bad], priced([1, 0], [1, 1]))
    with pytest.raises(LengthMismatch):
        area_of_counts([0.1], priced([1, 0], [1, 1]))
