import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from routecal.calib.errors import OutOfRange, UnknownName
from routecal.calib.metrics.binned import ece, ece_debiased, ece_equal_mass

ROWS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=60)


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


def test_norms_by_hand():
    # bins of 2: two rows with gap .3, two with gap .4
    p, y = [0.1, 0.3, 0.8, 1.0], [0, 1, 1, 0]
    assert ece(p, y, n_bins=2, norm=2) == pytest.approx(np.sqrt(0.5 * 0.09 + 0.5 * 0.16))
    assert ece(p, y, n_bins=2, norm="max") == pytest.approx(0.4)
    with pytest.raises(UnknownName, match="1, 2, max"):
        ece(p, y, norm=3)
    with pytest.raises(OutOfRange, match="n_bins = 0"):
        ece(p, y, n_bins=0)


@given(ROWS, st.integers(1, 20))
def test_norms_are_ordered(rows, n_bins):
    p, y = (np.array(column, float) for column in zip(*rows, strict=True))
    values = [ece(p, y, n_bins=n_bins, norm=norm) for norm in (1, 2, "max")]
    assert values[0] <= values[1] + 1e-12 <= values[2] + 2e-12


def test_empty_bins_and_fewer_rows_than_bins_weigh_nothing():
    assert ece([0.05, 0.95], [0, 1], n_bins=1000) == pytest.approx(0.05)
    assert ece_equal_mass([0.05, 0.95], [0, 1], n_bins=1000) == pytest.approx(0.05)


def test_equal_mass_bins_by_hand():
    # halves of six rows: {.1, .2, .3 | 0, 0, 1} gap |.2 - 1/3|, {.7, .8, .9 | 1, 1, 0} gap |.8 - 2/3|
    p, y = [0.9, 0.1, 0.8, 0.2, 0.7, 0.3], [0, 0, 1, 0, 1, 1]
    assert ece_equal_mass(p, y, n_bins=2) == pytest.approx(0.4 / 3)
    # .1 is tied twice and starts at row 0 of four: one bin of three, then .9 alone, from row 3, in bin 1
    assert ece_equal_mass([0.1, 0.1, 0.1, 0.9], [0, 0, 1, 1], n_bins=2, norm="max") == pytest.approx(1 / 3 - 0.1)


def test_a_constant_has_one_bin_of_equal_mass():
    assert ece_equal_mass([0.7] * 4, [0, 1, 1, 0]) == pytest.approx(0.2)


def test_debiased_by_hand():
    # one bin: gap .5, variance 3/16 over 3
    assert ece_debiased([0.25] * 4, [1, 1, 1, 0]) == pytest.approx(np.sqrt(0.25 - 1 / 16))
    # a bin of one row says nothing about its noise and counts as calibrated
    assert ece_debiased([0.25], [1]) == 0
    sd, gap = np.sqrt(3 / 16 / 4), 0.5
    folded = sd * np.sqrt(2 / np.pi) * np.exp(-(gap**2) / 2 / sd**2) + gap * (1 - 2 * norm.cdf(-gap / sd))
    assert ece_debiased([0.25] * 4, [1, 1, 1, 0], norm=1) == pytest.approx(1 - folded)
    with pytest.raises(UnknownName):
        ece_debiased([0.25], [1], norm="max")


@pytest.mark.parametrize("norm", [1, 2])
def test_debiasing_takes_off_most_of_what_noise_adds(norm):
    rng = np.random.default_rng(5)
    raw, debiased = [], []
    for _ in range(200):
        p = rng.beta(6, 2, 500)
        y = rng.random(500) < p
        raw.append(ece(p, y, norm=norm) ** norm)
        debiased.append(ece_debiased(p, y, norm=norm) ** norm)
    assert np.mean(debiased) < {1: 0.7, 2: 0.5}[norm] * np.mean(raw)


def test_where_p_is_far_off_debiasing_changes_little():
    rng = np.random.default_rng(6)
    p = rng.beta(6, 2, 5000)
    y = rng.random(5000) < p**3
    assert ece_debiased(p, y, norm=1) == pytest.approx(ece(p, y, norm=1), rel=0.02)
    assert ece_debiased(p, y, norm=2) == pytest.approx(ece(p, y, norm=2), rel=0.02)
