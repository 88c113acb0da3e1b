"""Where definitions coincide, numbers agree to 1e-9; where not, they differ by just what the docstrings say."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from routecal.calib.metrics import ece, ece_debiased, ece_equal_mass, reliability_bins, smooth_ece
from routecal.calib.metrics.smooth import cosines, smoothed, spread_on_grid
from tests.calib.metrics.reference_libraries import by_netcal, by_torchmetrics, by_uncertainty_calibration, relplot

RNG = np.random.default_rng(0)
P = RNG.beta(4, 2, 3000)
Y = (RNG.random(3000) < P**1.3).astype(float)


def same(value: float) -> object:
    return pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("n_bins", [1, 10, 15, 200])
@pytest.mark.parametrize("norm", [1, 2, "max"])
def test_equal_width_bins(n_bins, norm):
    ours = ece(P, Y, n_bins=n_bins, norm=norm)
    assert by_torchmetrics(P, Y, n_bins=n_bins, norm=norm) == same(ours)
    if norm != 2:
        assert by_netcal(P, Y, n_bins=n_bins, norm=norm) == same(ours)
    if norm != "max":
        assert by_uncertainty_calibration(P, Y, n_bins=n_bins, norm=norm) == same(ours)
    if norm == 1:
        assert relplot().metrics.binnedECE(P, Y, n_bins) == same(ours)


@pytest.mark.parametrize("norm", [1, 2])
@pytest.mark.parametrize("n_bins", [10, 15])
def test_equal_mass_bins_of_distinct_values(n_bins, norm):
    assert len(P) % n_bins == 0
    theirs = by_uncertainty_calibration(P, Y, n_bins=n_bins, norm=norm, is_equal_mass=True)
    assert theirs == same(ece_equal_mass(P, Y, n_bins=n_bins, norm=norm))


@pytest.mark.parametrize("n_bins", [10, 15])
def test_debiased(n_bins):
    theirs = by_uncertainty_calibration(P, Y, n_bins=n_bins, norm=2, is_debiased=True)
    assert theirs == same(ece_debiased(P, Y, n_bins=n_bins))


def test_debiased_norm_1_is_the_expectation_of_their_thousand_draws(monkeypatch):
    monkeypatch.setattr("numpy.random.normal", np.random.default_rng(1).normal)  # theirs draws from the global one
    drawn = [by_uncertainty_calibration(P, Y, n_bins=5, norm=1, is_debiased=True) for _ in range(4)]
    assert np.mean(drawn) == pytest.approx(ece_debiased(P, Y, n_bins=5, norm=1), abs=6e-4)


@pytest.mark.parametrize("n_bins", [10, 15])
def test_reliability_bins_are_scikit_learns(n_bins):
    accuracy, mean_p = calibration_curve(Y, P, n_bins=n_bins)
    bins = reliability_bins(P, Y, n_bins=n_bins)
    assert (bins.accuracy, bins.mean_p) == (same(accuracy), same(mean_p))


# Eighths are exact, so that only the rule of each library decides where they go.
EDGES = np.repeat(np.arange(9) / 8, 5)
ON_EDGES = np.r_[np.ones(5), np.zeros(5), RNG.integers(0, 2, len(EDGES) - 10)]  # gaps that cancel in one bin


def test_netcal_closes_bins_on_the_left_and_the_last_on_both_sides():
    assert by_netcal(EDGES, ON_EDGES, n_bins=8) == same(ece(EDGES, ON_EDGES, n_bins=8))


def test_netcal_takes_edges_that_are_a_little_off():
    assert np.linspace(0, 1, 11)[3] > 3 / 10  # so .3 is in bin 2 there
    p, y = np.array([0.25, 0.3, 0.35]), np.array([1.0, 1.0, 0.0])
    assert ece(p, y) == pytest.approx((0.75 + abs(1 - 0.65)) / 3)
    assert by_netcal(p, y, n_bins=10) == pytest.approx((2 - 0.55 + 0.35) / 3)


@pytest.mark.parametrize("library", ["torchmetrics", "relplot"])
def test_others_give_certainty_a_bin_of_its_own(library):
    theirs = {
        "torchmetrics": lambda p, y: by_torchmetrics(p, y, n_bins=8),
        "relplot": lambda p, y: relplot().metrics.binnedECE(p, y, 8),
    }[library]
    below = EDGES < 1
    apart = (
        ece(EDGES[below], ON_EDGES[below], n_bins=8) * below.mean() + (1 - ON_EDGES[~below]).mean() * (~below).mean()
    )
    assert theirs(EDGES, ON_EDGES) == same(apart)
    almost = np.minimum(EDGES, np.nextafter(1, 0))
    assert theirs(almost, ON_EDGES) == same(ece(EDGES, ON_EDGES, n_bins=8))


def test_uncertainty_calibration_closes_bins_on_the_right():
    mirrored = ece(1 - EDGES, 1 - ON_EDGES, n_bins=8)
    assert by_uncertainty_calibration(EDGES, ON_EDGES, n_bins=8) == same(mirrored)
    assert mirrored != same(ece(EDGES, ON_EDGES, n_bins=8))


def test_torchmetrics_sums_in_the_precision_of_p():
    p = P.astype(np.float32)
    assert by_torchmetrics(p.astype(np.float64), Y, n_bins=10) == same(ece(p, Y))
    assert by_torchmetrics(p, Y, n_bins=10) == pytest.approx(ece(p, Y), abs=1e-5)


@pytest.mark.parametrize("bandwidth", [0.02, 0.05, 0.07])
def test_smoothed_residuals_are_relplots_at_every_node_of_its_grid(bandwidth):
    nodes = np.linspace(0, 1, 1001)
    theirs = relplot().kernels.ReflectedGaussianKernel(bandwidth).apply(P, Y - P, nodes) / len(P)
    spread = spread_on_grid(P, Y - P, n_grid=1000) / len(P)
    assert smoothed(cosines(spread), np.asarray(bandwidth)) == same(theirs)


def test_relplot_reflects_certainty_onto_itself_and_counts_it_half():
    p, y = np.r_[np.zeros(9), np.ones(5), P], np.r_[np.ones(9), np.zeros(5), Y]
    theirs = relplot().kernels.ReflectedGaussianKernel(0.05).apply(p, y - p, np.linspace(0, 1, 1001))
    spread = spread_on_grid(p, y - p, n_grid=1000)
    spread[[0, -1]] /= 2
    assert smoothed(cosines(spread), np.asarray(0.05)) == same(theirs)


@pytest.mark.parametrize("bend", [0.7, 1.0, 1.3, 3.0])
def test_smooth_ece_is_relplots_up_to_its_mesh_and_its_search(bend):
    y = (RNG.random(3000) < P**bend).astype(float)
    assert smooth_ece(P, y, bandwidth=0.05) == pytest.approx(relplot().metrics.smECE_sigma(P, y, 0.05), rel=2e-3)
    assert smooth_ece(P, y) == pytest.approx(relplot().metrics.smECE(P, y), abs=2e-3)
