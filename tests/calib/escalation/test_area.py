"""The area over random, by counting pairs and by trapezoids; its intervals cover, and resampled rows are rows."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.stats import t

from routecal.calib.errors import LengthMismatch, NonFinite
from routecal.calib.escalation.area import area_difference, area_of_counts, area_over_random
from routecal.calib.escalation.outcomes import Outcomes
from routecal.calib.metrics.bin_counts import wilson
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


def jackknife(need: np.ndarray, outcomes: Outcomes) -> np.ndarray:
    """(n,) the area without each query."""
    others = [np.arange(len(need)) != i for i in range(len(need))]
    return np.array([value(need[rows], outcomes.where(rows)) for rows in others])


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_are_as_wide_as_leaving_one_query_out_says(level: float) -> None:
    outcomes, other = simulated(250, 5, own_prices=True)
    gains = outcomes.large_right - outcomes.medium_right
    need = gains + np.random.default_rng(0).normal(0, 0.7, 250)  # tells much: the area is about .6
    quantile = t.ppf((1 + level) / 2, len(gains) - np.unique(gains, return_counts=True)[1].max() - 1)
    left_out = jackknife(need, outcomes)
    error, v = np.sqrt(249 / 250 * ((left_out - left_out.mean()) ** 2).sum()), value(need, outcomes)
    found = area_over_random(need, outcomes, level=level)
    assert found is not None
    ends = np.tanh(np.arctanh(v) + np.array([-1, 1]) * quantile * error / (1 - v**2))
    assert (found.low, found.high) == pytest.approx(tuple(ends), abs=0.03 * (ends[1] - ends[0]))
    both = left_out - jackknife(other, outcomes)
    reach = quantile * np.sqrt(249 / 250 * ((both - both.mean()) ** 2).sum())
    difference = area_difference(need, other, outcomes, level=level)
    assert difference is not None
    assert difference.value == pytest.approx(v - value(other, outcomes))
    assert difference.high - difference.value == pytest.approx(reach, rel=0.03)
    assert difference.value - difference.low == pytest.approx(reach, rel=0.03)
    assert area_difference(need, other, outcomes) == area_difference(need, other, outcomes, level=0.95)
    assert area_over_random(need, outcomes) == area_over_random(need, outcomes, level=0.95)


def test_an_interval_is_one_of_fisher_s_z_with_as_many_degrees_of_freedom_as_tell() -> None:
    outcomes, need = priced([1, 1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1]), np.array([0.0, 0.1, 0.2, 0.6, 0.5, 0.7, 0.3])
    v = value(need, outcomes)
    reach = {}
    for level in (0.3, 0.5):  # narrow enough for the difference not to end at 2
        found, against = (f(*args, level=level) for f, args in (
            (area_over_random, (need, outcomes)), (area_difference, (need, np.zeros(7), outcomes)),
        ))  # fmt: skip
        assert found is not None
        assert against is not None
        reach[level] = against.high - v
        assert np.arctanh(found.high) - np.arctanh(v) == pytest.approx(reach[level] / (1 - v**2))
        assert np.arctanh(v) - np.arctanh(found.low) == pytest.approx(reach[level] / (1 - v**2))
    assert reach[0.5] / reach[0.3] == pytest.approx(t.ppf(0.75, 2) / t.ppf(0.65, 2))  # three of seven tell


@pytest.mark.parametrize("factor", [0.0, 1e-9, 1e9])
def test_no_unit_of_cost_is_too_small_and_at_one_price_for_both_the_share_is_what_counts(factor: float) -> None:
    need = np.array([0.0, 0.9, 0.2, 0.1])
    assert value(need, priced([1, 0, 0, 1], [1, 1, 1, 0], 19 * factor)) == pytest.approx(5 / 7)
    outcomes = Outcomes(np.array([1.0, 0, 0, 1]), np.array([1.0, 1, 1, 0]), np.zeros(4), np.full(4, factor))
    assert value(need, outcomes) == pytest.approx(5 / 7)
    assert area_of_counts(need, outcomes)(np.ones((1, 4))) == pytest.approx([5 / 7])


def test_a_perfect_order_is_as_sure_as_a_share_of_all_of_the_telling_queries() -> None:
    outcomes = priced([1, 1, 1, 0, 0, 0, 1], [1, 1, 1, 1, 1, 1, 0])  # 3 of gain 0, 3 of gain 1, one of -1
    need = np.array([0.0, 0, 0, 1, 1, 1, -1])
    for order, low, high in ((need, 0, 1), (-need, 1, 0)):
        found = area_over_random(order, outcomes, level=0.8)
        ends = [2 * float(end) - 1 for end in wilson(np.array(4.0 * high), np.array(4.0), level=0.8)]
        assert found is not None
        assert (found.low, found.high) == pytest.approx((ends[0] if high else -1, 1 if high else ends[1]))
        assert found.value == high - low


def test_few_telling_queries_make_wide_intervals() -> None:
    found = area_over_random([0.0, 1.0, 2.0], priced([1, 0, 0], [1, 1, 1]))
    assert found is not None
    assert found.value == found.high == 1
    assert found.low < 0.5
    # of four queries one tells, and one of the others is sent before it: a share of 2/3 of one trial
    one = area_over_random([0.0, 0.1, 0.9, 0.5], priced([1, 1, 1, 0], [1, 1, 1, 1]), level=0.8)
    ends = [2 * float(end) - 1 for end in wilson(np.array(2 / 3), np.array(1.0), level=0.8)]
    assert one is not None
    assert (one.low, one.value, one.high) == pytest.approx((ends[0], 1 / 3, ends[1]))
    two = priced([1, 1, 1, 0, 0], [1, 1, 1, 1, 1])
    wide = area_over_random([0.0, 0.1, 0.9, 0.5, 0.6], two)
    assert wide is not None
    assert wide.low < -0.9  # Student's t with one degree of freedom
    assert wide.high > 0.9
    apart = area_difference([0.0, 0.1, 0.9, 0.5, 0.6], [0.3, 0.0, 0.2, 0.5, 0.1], two)
    assert apart is not None
    assert (apart.low, apart.high) == (-2, 2)
    unsure = area_difference([0.0, 0.1, 0.9, 0.5, 0.6], [0.3, 0.0, 0.2, 0.5, 0.1], two, level=0.1)
    assert unsure is not None
    assert unsure.high < 2
    certain = area_difference([0.0, 1.0], [1.0, 0.0], priced([1, 0], [1, 1]))
    assert certain is not None
    assert (certain.low, certain.value, certain.high) == (-2, 2, 2)


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


@pytest.mark.parametrize("of", [area_over_random, area_of_counts, lambda need, rows: area_difference(need, need, rows)])
def test_needs_of_other_queries_are_refused(of: Callable[[list[float], Outcomes], object]) -> None:
    with pytest.raises(LengthMismatch):
        of([0.1], priced([1, 0], [1, 1]))
