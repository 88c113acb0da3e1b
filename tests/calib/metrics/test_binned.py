import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from calib.errors import InvalidLabel, InvalidProbability, LengthMismatch, TooFewExamples
from calib.metrics.binned import bin_index, ece, reliability_bins, wilson

ROWS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("p", "b"), [(0.0, 0), (0.1, 1), (0.3, 3), (0.5, 5), (0.6, 6), (0.7, 7), (np.nextafter(0.5, 0), 4), (1.0, 9)]
)
def test_bins_are_closed_on_the_left_and_the_last_holds_one(p, b):
    assert bin_index(np.array([p]), n_bins=10)[0] == b


def test_bin_edges_are_compared_not_multiplied():
    assert 0.29 * 100 < 29  # flooring would put .29 into bin 28 of 100
    assert bin_index(np.array([0.29]), n_bins=100)[0] == 29


def test_ece_by_hand():
    # bins of 2: {.1, .3 | y 0, 1} gap |.5 - .2| = .3, {.8 | y 1} gap .2, {1 | y 0} with .8: mean p .9, mean y .5
    assert ece([0.1, 0.3], [0, 1], n_bins=2) == pytest.approx(0.3)
    assert ece([0.8, 1.0], [1, 0], n_bins=2) == pytest.approx(0.4)
    assert ece([0.1, 0.3, 0.8, 1.0], [0, 1, 1, 0], n_bins=2) == pytest.approx(0.5 * 0.3 + 0.5 * 0.4)


def test_ece_counts_certainty():
    assert ece([1.0, 1.0], [0, 0]) == 1.0  # METHOD.md's own loop gives 0 here
    assert ece([0.0, 0.0], [1, 1]) == 1.0


@given(ROWS, st.integers(1, 20))
def test_ece_is_at_least_the_overall_gap_at_most_one_and_blind_to_order(rows, n_bins):
    p, y = (np.array(column, float) for column in zip(*rows, strict=True))
    value = ece(p, y, n_bins=n_bins)
    assert abs(p.mean() - y.mean()) - 1e-12 <= value <= 1 + 1e-12
    assert ece(p[::-1], y[::-1], n_bins=n_bins) == pytest.approx(value)


@given(ROWS)
def test_bins_recombine_to_ece(rows):
    p, y = (np.array(column, float) for column in zip(*rows, strict=True))
    bins = reliability_bins(p, y)
    assert bins.n.sum() == len(p)
    assert (bins.n * abs(bins.accuracy - bins.mean_p)).sum() / len(p) == pytest.approx(ece(p, y), abs=1e-12)
    assert ((bins.low <= bins.accuracy + 1e-12) & (bins.accuracy <= bins.high + 1e-12)).all()


@pytest.mark.parametrize(("k", "n"), [(0, 5), (3, 7), (40, 40)])
def test_wilson_agrees_with_scipy(k, n):
    low, high = wilson(np.array([float(k)]), np.array([float(n)]), level=0.9)
    expected = binomtest(k, n).proportion_ci(0.9, method="wilson")
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("p", "y", "error"),
    [
        ([0.5, np.nan], [0, 1], InvalidProbability),
        ([0.5, 1.1], [0, 1], InvalidProbability),
        ([-1e-9], [0], InvalidProbability),
        ([0.5], [2], InvalidLabel),
        ([0.5], [np.nan], InvalidLabel),
        ([0.5], [0, 1], LengthMismatch),
        ([[0.5]], [[1]], LengthMismatch),
        ([], [], TooFewExamples),
    ],
)
def test_what_is_not_p_and_y_is_refused(p, y, error):
    with pytest.raises(error):
        ece(p, y)


def test_the_refusal_names_the_row():
    with pytest.raises(InvalidProbability, match=r"p\[1\] = nan"):
        ece([0.5, np.nan], [0, 1])
