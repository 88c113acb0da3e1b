"""Defaults, limits and every kind of number of a claim, by hand or by a second way to get there."""

import numpy as np
import pytest
from scipy.stats import t

from routecal.calib.decision_errors import InvalidCost
from routecal.calib.errors import InvalidLabel, LengthMismatch
from routecal.calib.escalation import (
    Outcomes,
    curve,
    paired_difference_of_shares,
    quality_band,
    random_mix,
    saving_at,
    score_statistic,
)
from routecal.calib.escalation.saving import _random_saving
from routecal.calib.metrics.bin_counts import wilson
from routecal.calib.metrics.bootstrap import mean_interval
from routecal.calib.need import ALL_KEPT, NOTHING_KEPT, thresholds_of
from tests.calib.escalation.made import NEED, SIX, simulated


def test_a_claim_is_made_at_95_percent_unless_told_otherwise() -> None:
    case = simulated(300, 1, own_prices=True)
    assert saving_at(*case, threshold=-0.7) == saving_at(*case, threshold=-0.7, margin=0.01, level=0.95)
    assert np.array_equal(quality_band(*case, thresholds=[-0.7]), quality_band(*case, thresholds=[-0.7], level=0.95))


def test_a_band_is_wilson_s_interval_of_the_share_answered_right() -> None:
    outcomes, need = simulated(200, 2, own_prices=True)
    right = np.where(-need < 0.7, outcomes.large_right, outcomes.medium_right).sum()
    found = quality_band(outcomes, need, thresholds=[-0.7], level=0.8)
    assert [end[0] for end in found] == pytest.approx([float(e) for e in wilson(right, np.array(200.0), level=0.8)])


def test_the_quality_difference_counts_the_queries_that_differ() -> None:
    outcomes, need = simulated(200, 2, own_prices=True)
    right = np.where(-need < 0.7, outcomes.large_right, outcomes.medium_right)
    gains, losses = ((sign * (right - outcomes.large_right) > 0).sum() for sign in (1, -1))
    found = saving_at(outcomes, need, threshold=-0.7, level=0.8)
    assert found.quality_difference == paired_difference_of_shares(int(gains), int(losses), 200, level=0.8)


def test_the_saving_is_at_least_as_wide_as_that_of_a_share_served_by_medium() -> None:
    """Every query saves 8 of 9: the interval is Wilson's of the share, 30 of 100, times 8 / 9."""
    n = 100
    same = Outcomes(np.ones(n), np.ones(n), np.ones(n), np.full(n, 9.0))
    p = np.where(np.arange(n) < 30, 0.9, 0.1)
    found = saving_at(same, -p, threshold=-0.5)
    ends = [float(end) * 8 / 9 for end in wilson(np.array(30.0), np.array(100.0), level=0.95)]
    assert found.saving.value == pytest.approx(0.3 * 8 / 9)
    assert found.saving.low <= ends[0] + 1e-12
    assert found.saving.high >= ends[1] - 1e-12
    # at a threshold that sends everything to large without being above 1 the whole is of the mean price difference
    none = saving_at(same, np.full(n, -0.5), threshold=-0.9).saving
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(8 / 9 * float(wilson(np.array(0.0), np.array(100.0), level=0.95)[1]))


def test_quality_above_random_is_that_of_the_mix_of_the_same_cost() -> None:
    outcomes, need = simulated(300, 3, own_prices=True)
    found = saving_at(outcomes, need, threshold=-0.7, level=0.9)
    point, ends = found.point, random_mix(outcomes)
    share = (point.cost - ends.cost[0]) / (ends.cost[1] - ends.cost[0])
    assert found.above_random is not None
    assert found.above_random.value == pytest.approx(
        point.quality - ends.quality[0] - share * (ends.quality[1] - ends.quality[0])
    )
    # influence of each row on quality minus the mix's at the same cost, and Student's interval of their mean
    large, extra = -need < 0.7, outcomes.large_cost - outcomes.medium_cost
    better = outcomes.large_right - outcomes.medium_right
    slope = better.mean() / extra.mean()
    influence = (large - share) * (better - slope * extra)
    reach = t.ppf(0.95, 299) * influence.std(ddof=1) / np.sqrt(300)
    assert found.above_random.low <= found.above_random.value - reach + 1e-12
    assert found.above_random.high >= found.above_random.value + reach - 1e-12
    assert found.above_random.high - found.above_random.low < 2.2 * reach


@pytest.mark.parametrize(("threshold", "is_skewed_down"), [(0.5, False), (0.95, True)])
def test_an_interval_above_random_ends_at_the_farther_of_the_skewed_end_and_student_s(
    threshold: float, is_skewed_down: bool
) -> None:
    """Prices of large are lognormal: few queries carry the mean, and one end lies farther out than Student's."""
    rng = np.random.default_rng(1)
    p, n = rng.random(200), 200
    medium, large_right = (rng.random(n) < 0.5) * 1.0, (rng.random(n) < 0.97) * 1.0
    outcomes = Outcomes(medium, large_right, np.ones(n), 1 + rng.lognormal(1, 1.5, n))
    found = saving_at(outcomes, -p, threshold=-threshold).above_random
    large, extra, better = p < threshold, outcomes.large_cost - 1, large_right - medium
    share = (large * extra).mean() / extra.mean()
    influence = (large - share) * (better - better.mean() / extra.mean() * extra)
    assert found is not None
    low, high = mean_interval(found.value + influence - influence.mean(), level=0.95)
    reach = t.ppf(0.975, n - 1) * influence.std(ddof=1) / np.sqrt(n)
    assert bool(low < found.value - reach) is is_skewed_down
    assert bool(high > found.value + reach) is not is_skewed_down
    ends = (low, found.value + reach) if is_skewed_down else (found.value - reach, high)
    assert (found.low, found.high) == pytest.approx(ends)


def test_a_saving_varies_with_what_each_query_saves_and_with_what_all_large_costs() -> None:
    """Influence of each row on a ratio of means: (saved - saving × price of large) / mean price of large."""
    rng = np.random.default_rng(0)
    n, p = 2000, rng.random(2000)
    price = 2 + rng.lognormal(1, 1.0, n)
    outcomes = Outcomes(np.ones(n), np.ones(n), np.full(n, 0.5), price)
    found = saving_at(outcomes, -p, threshold=-0.5).saving
    saved = np.where(p < 0.5, 0.0, price - 0.5)
    assert found.value == pytest.approx(saved.mean() / price.mean())
    ends = mean_interval(found.value + (saved - found.value * price) / price.mean(), level=0.95)
    assert (found.low, found.high) == pytest.approx(tuple(float(end) for end in ends))


def test_one_model_for_every_query_is_no_mix_to_be_above() -> None:
    outcomes, need = simulated(50, 4, own_prices=True)
    assert saving_at(outcomes, need, threshold=ALL_KEPT).above_random is None
    assert saving_at(outcomes, need, threshold=-1.0).above_random is None
    assert saving_at(outcomes, need, threshold=-0.7).above_random is not None


def test_no_quality_is_lost_where_the_interval_ends_at_the_margin() -> None:
    case = simulated(300, 1, own_prices=True)
    low = saving_at(*case, threshold=-0.9).quality_difference.low
    assert saving_at(*case, threshold=-0.9, margin=-low).non_inferior
    assert not saving_at(*case, threshold=-0.9, margin=np.nextafter(-low, 0)).non_inferior
    assert saving_at(*case, threshold=NOTHING_KEPT, margin=0.0).non_inferior


def test_only_the_threshold_that_keeps_nothing_is_all_large() -> None:
    """At -1 a query of confidence 1 stays with the medium model: nothing was lost, but it might have been."""
    same = Outcomes(np.ones(50), np.ones(50), np.ones(50), np.full(50, 9.0))
    found = saving_at(same, -np.ones(50), threshold=-1.0)
    assert found.quality_difference.low < 0 < found.quality_difference.high


def test_a_random_mix_of_the_same_quality_has_a_share_between_none_and_all() -> None:
    # medium is right on 5 of 10 for 1, large on 9 of 10 for 9
    ten = np.arange(10)
    outcomes = Outcomes((ten < 5) * 1.0, (ten < 9) * 1.0, np.ones(10), np.full(10, 9.0))
    assert _random_saving(0.7, outcomes) == pytest.approx(1 - 5 / 9)
    assert _random_saving(0.4, outcomes) == pytest.approx(1 - 1 / 9)
    assert _random_saving(0.95, outcomes) == pytest.approx(0.0)
    for large_right in ((ten < 5), (ten < 4)):
        assert _random_saving(0.5, Outcomes((ten < 5) * 1.0, large_right * 1.0, np.ones(10), np.full(10, 9.0))) is None


def test_a_bad_grade_or_cost_is_named_with_its_row() -> None:
    one, two = np.ones(2), np.array([1.0, 2.0])
    for columns, name in (((two, one, one, one), "medium_right"), ((one, two, one, one), "large_right")):
        with pytest.raises(InvalidLabel) as grade:
            Outcomes(*columns)
        assert (grade.value.name, grade.value.index, grade.value.value) == (name, 1, 2.0)
    with pytest.raises(InvalidCost) as cost:
        Outcomes(one, one, one, np.array([1.0, -3.0]))
    assert cost.value.args == ("large", 1, -3.0)
    for column in range(1, 4):
        columns = [one] * 4
        columns[column] = np.ones(3)
        with pytest.raises(LengthMismatch):
            Outcomes(*columns)


def test_a_random_mix_has_every_number_of_a_curve_and_is_its_two_ends_unless_told_otherwise() -> None:
    ends = random_mix(SIX)
    assert ends.threshold.tolist() == ends.large.tolist() == [0.0, 1.0]
    assert ends.quality.tolist() == pytest.approx([2 / 6, 5 / 6])


def test_thresholds_given_are_kept_as_they_are() -> None:
    found = curve(SIX, NEED, thresholds=[-0.5, -0.1])
    assert found.threshold.tolist() == [-0.5, -0.1]
    assert found.line.cost.tolist() == found.cost.tolist()
    assert found.line.quality.tolist() == found.quality.tolist()
    assert thresholds_of(NEED).tolist() == curve(SIX, NEED).threshold.tolist()


@pytest.mark.parametrize(
    ("gains", "losses", "n", "difference", "z"),
    [
        # d = .1, n = 10, b = 3, c = 1: A = 20, B = -4 + 18 × .1 = -2.2, C = -.09,
        # q = (sqrt(4.84 + 7.2) + 2.2) / 40 = .141747, Z = (2 - 1) / sqrt(10 (.283494 + .09))
        (3, 1, 10, 0.1, 0.517438),
        # d = -.2: B = -4 - 18 × .2 = -7.6, C = .24, q = (sqrt(57.76 - 19.2) + 7.6) / 40 = .345242,
        # Z = (2 + 2) / sqrt(10 (.690483 - .24))
        (3, 1, 10, -0.2, 1.884606),
        # nothing differs among few: Z = sqrt(n m / (1 - m)) = sqrt(.01 / .99) for d = -m
        (0, 0, 1, -0.01, 0.100504),
    ],
)
def test_the_score_by_hand(gains: int, losses: int, n: int, difference: float, z: float) -> None:
    assert score_statistic(gains, losses, n, difference=difference) == pytest.approx(z, abs=1e-5)


@pytest.mark.parametrize(("gains", "losses", "low", "high"), [(5, 0, None, 1.0), (0, 5, -1.0, None)])
def test_where_all_queries_differ_one_way_the_interval_ends_at_the_whole(
    gains: int, losses: int, low: float | None, high: float | None
) -> None:
    found = paired_difference_of_shares(gains, losses, 5)
    assert low is None or found.low == low
    assert high is None or found.high == high
    assert -1 <= found.low < found.high <= 1
    assert found.value == (gains - losses) / 5
