import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routecal.calib.errors import OutOfRange
from routecal.calib.metrics.ranking import auroc
from routecal.calib.metrics.selective import augrc, aurc, coverage_at_risk, decision_accuracy, e_aurc, risk_at_coverage

TIED = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), min_size=1, max_size=6)


def orders(p):
    """All orders of rows from the most confident down."""
    return [o for o in itertools.permutations(range(len(p))) if all(p[i] >= p[j] for i, j in itertools.pairwise(o))]


@given(TIED)
def test_ties_count_with_the_mean_over_all_their_orders(rows):
    p, y = np.array([a for a, _ in rows]) / 4, np.array([b for _, b in rows])
    risks = np.mean([np.cumsum(1 - y[list(o)]) for o in orders(p)], axis=0) / np.arange(1, len(p) + 1)
    assert aurc(p, y) == pytest.approx(risks.mean(), abs=1e-12)
    for k in range(1, len(p) + 1):
        assert risk_at_coverage(p, y, coverage=k / len(p)) == pytest.approx(risks[k - 1], abs=1e-12)
    wrong = np.r_[0, risks * np.arange(1, len(p) + 1)] / len(p)
    assert augrc(p, y) == pytest.approx(np.trapezoid(wrong, dx=1 / len(p)), abs=1e-12)


def test_by_hand():
    p, y = [0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0]
    assert aurc(p, y) == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    assert e_aurc(p, y) == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4 - (0 + 0 + 1 / 3 + 2 / 4) / 4)
    assert augrc(p, y) == pytest.approx((0 + 0.5 + 1 + 1.5) / 16)  # trapezoids between 0, 0, 1, 1, 2 wrong of 4 rows
    assert risk_at_coverage(p, y, coverage=0.5) == 0.5
    assert risk_at_coverage(p, y, coverage=0.51) == pytest.approx(1 / 3)
    assert coverage_at_risk(p, y, risk=0.34) == 0.75
    assert coverage_at_risk(p, y, risk=0.3) == 0.25
    assert coverage_at_risk(p, y, risk=1) == 1
    assert decision_accuracy(p, y) == 0.5


@given(TIED)
def test_augrc_follows_from_auroc_and_accuracy(rows):
    p, y = np.array([a for a, _ in rows]) / 4, np.array([b for _, b in rows])
    if 0 < y.mean() < 1:
        a = y.mean()
        assert augrc(p, y) == pytest.approx((1 - auroc(p, y)) * a * (1 - a) + (1 - a) ** 2 / 2, abs=1e-12)


@given(TIED)
def test_no_ranking_beats_the_best(rows):
    p, y = np.array([a for a, _ in rows]) / 4, np.array([b for _, b in rows], float)
    assert e_aurc(p, y) >= -1e-12
    assert e_aurc(y, y) == pytest.approx(0, abs=1e-12)


def test_a_constant_keeps_at_the_error_rate():
    p, y = [0.7] * 5, [1, 1, 0, 1, 0]
    assert aurc(p, y) == pytest.approx(0.4)
    assert augrc(p, y) == pytest.approx(0.2)
    assert risk_at_coverage(p, y, coverage=0.2) == pytest.approx(0.4)
    assert (coverage_at_risk(p, y, risk=0.39), coverage_at_risk(p, y, risk=0.4)) == (0, 1)


def test_thresholds_keep_or_drop_ties_whole():
    assert coverage_at_risk([0.9, 0.5, 0.5], [1, 1, 0], risk=0.2) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("share", "n", "k"), [(0.7, 10, 7), (0.1, 30, 3), (0.29, 100, 29)])
def test_a_share_that_rounds_badly_still_keeps_the_rows_it_means(share, n, k):
    p, y = np.linspace(1, 0, n), np.arange(n) < k
    assert risk_at_coverage(p, y, coverage=share) == 0
    assert coverage_at_risk(np.linspace(1, 0, n), np.arange(n) >= k, risk=share) >= 0
    assert coverage_at_risk(np.zeros(n), np.arange(n) >= k, risk=share) == 1


@pytest.mark.parametrize("y", [0, 1])
def test_one_class(y):
    p, labels = [0.2, 0.9], [y, y]
    assert (aurc(p, labels), e_aurc(p, labels), augrc(p, labels)) == (1 - y, 0, (1 - y) / 2)


def test_shares_out_of_range_are_refused():
    with pytest.raises(OutOfRange, match="coverage = 0 "):
        risk_at_coverage([0.5], [1], coverage=0)
    with pytest.raises(OutOfRange, match="risk = 5 "):
        coverage_at_risk([0.5], [1], risk=5)
