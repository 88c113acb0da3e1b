"""The interval of ECE: 0 where noise explains all, and the true error wherever that is."""

import numpy as np
import pytest
from scipy.stats import binom

from routecal.calib.metrics import ece, noise_floor
from routecal.calib.metrics.calibration_interval import ece_interval


def calibrated(rng):
    p = rng.beta(6, 2, 300)
    return p, rng.random(300) < p


def seven_points_off(rng):
    p = rng.beta(6, 2, 300) * 0.93 + 0.07
    return p, rng.random(300) < p - 0.07


@pytest.mark.parametrize(("draw", "true"), [(calibrated, 0.0), (seven_points_off, 0.07)])
def test_the_true_error_is_inside(draw, true):
    rng = np.random.default_rng(0)
    found = [ece_interval(*draw(rng), n_replicates=200, seed=seed) for seed in range(120)]
    hits = sum(low <= true <= high for low, high in found)
    assert hits >= 107  # .95 of 120 is 114, less three standard deviations of 2.4; a bootstrap has 0 of the calibrated
    # and says something: a calibrated model is not granted ten points, nor is a wrong one always granted none
    assert np.median([high for _, high in found]) < (0.1 if true == 0 else 0.15)
    assert true == 0 or sum(low > 0 for low, _ in found) > 48


def test_with_too_few_redraws_nothing_is_refuted():
    p, y = [0.9] * 300, [0, 1] * 150
    # (k + 1) / (m + 1) is at least .0256 with 38 redraws, and below .025 with 40 where none is as far
    assert ece_interval(p, y, n_replicates=38) == pytest.approx((0.0, 0.9))
    low, high = ece_interval(p, y, n_replicates=40)
    assert 0.3 < low < 0.4 < high < 0.5


def test_it_holds_zero_just_where_ece_is_inside_the_noise_band():
    rng, apart = np.random.default_rng(3), []
    for seed in range(40):
        p = rng.beta(6, 2, 300)
        y = rng.random(300) < np.clip(p - rng.uniform(0, 0.1), 0, 1)
        band, error = noise_floor(p, seed=seed).high, ece(p, y)
        if (ece_interval(p, y, seed=seed)[0] == 0) != (error <= band):
            apart.append(abs(error - band))
    assert all(distance < 0.004 for distance in apart)  # both ends are of 1,000 draws
    assert len(apart) <= 4


def test_one_bin_is_the_binomial_test_of_its_accuracy():
    # 65 of 100 right at p = .5: gap .15; the ends are the accuracies that leave 2.5% beyond
    low, high = ece_interval([0.5] * 100, [1] * 65 + [0] * 35, n_replicates=20_000)
    assert binom.sf(64, 100, 0.5 + low) + binom.cdf(35, 100, 0.5 + low) == pytest.approx(0.025, abs=0.003)
    assert binom.cdf(65, 100, 0.5 + high) - binom.cdf(34, 100, 0.5 + high) == pytest.approx(0.025, abs=0.003)


def test_it_holds_the_measured_error_and_narrows_with_rows_and_level():
    rng = np.random.default_rng(1)
    p = rng.random(40_000)
    y = rng.random(40_000) < p**1.3
    widths = []
    for n in (100, 1000, 40_000):
        low, high = ece_interval(p[:n], y[:n])
        assert 0 <= low <= ece(p[:n], y[:n]) <= high <= 1
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[2] < 0.02
    narrow = ece_interval(p[:1000], y[:1000], level=0.5)
    wide = ece_interval(p[:1000], y[:1000])
    assert wide[0] < narrow[0] <= narrow[1] < wide[1]


@pytest.mark.parametrize(
    ("p", "y"), [([0.5], [1]), ([0.0, 1.0], [0, 1]), ([1.0], [0]), ([0.97] * 100, [1] * 100), ([0.02] * 50, [0] * 50)]
)
def test_every_edge_has_ends_in_order(p, y):
    low, high = ece_interval(p, y)
    assert 0 <= low <= ece(p, y) <= high <= 1


def test_a_gap_that_has_no_room_above_is_looked_for_below():
    # all right at .97: a gap of .03 is all there can be above; an ECE of at most .03 is 94 right rows or more
    low, high = ece_interval([0.97] * 100, [1] * 100, n_replicates=20_000)
    assert low == 0
    assert binom.sf(93, 100, 0.97 - high) == pytest.approx(0.025, abs=0.003)


def test_it_is_repeatable_and_depends_on_its_seed():
    p, y = seven_points_off(np.random.default_rng(5))
    assert ece_interval(p, y, seed=1) == ece_interval(p, y, seed=1) != ece_interval(p, y, seed=2)
