import numpy as np
import pytest

from routecal.calib.errors import OutOfRange
from routecal.calib.metrics.smooth import smooth_ece


@pytest.fixture
def rng() -> np.random.Generator:
    """Each test's own numbers, whatever ran before it."""
    return np.random.default_rng(0)


def by_definition(p, y, bandwidth, *, n_points=20_001, n_images=6):
    """The integral of the paper, kernel by kernel, with its images on both sides."""
    t = np.linspace(0, 1, n_points)
    total = np.zeros(n_points)
    for pi, yi in zip(p, y, strict=True):
        for k in range(-n_images, n_images + 1):
            for centre in (2 * k + pi, 2 * k - pi):
                total += (yi - pi) * np.exp(-((t - centre) ** 2) / 2 / bandwidth**2)
    return np.trapezoid(np.abs(total) / bandwidth / np.sqrt(2 * np.pi), t) / len(p)


@pytest.mark.parametrize("bandwidth", [0.03, 0.1, 0.5, 1.0])
def test_is_the_integral_of_the_reflected_kernel(bandwidth, rng):
    p = np.r_[0.0, 0.5, 1.0, rng.random(20)]
    y = (rng.random(23) < 0.5).astype(float)
    assert smooth_ece(p, y, bandwidth=bandwidth) == pytest.approx(by_definition(p, y, bandwidth), rel=1e-4)


def test_on_grid_nodes_the_grid_adds_nothing(rng):
    p, y = rng.integers(0, 2049, 30) / 2048, rng.integers(0, 2, 30)
    assert smooth_ece(p, y, bandwidth=0.1) == pytest.approx(by_definition(p, y, 0.1), rel=1e-6)


def test_is_its_own_bandwidth(rng):
    p = rng.beta(6, 2, 1000)
    y = rng.random(1000) < p**2
    value = smooth_ece(p, y)
    assert smooth_ece(p, y, bandwidth=value) == pytest.approx(value, abs=1e-7)


def test_by_hand():
    assert smooth_ece([0.75] * 4, [1, 1, 1, 0]) == pytest.approx(0, abs=1e-12)
    assert smooth_ece([0.0, 1.0], [0, 1]) == 0
    assert smooth_ece([1.0, 1.0], [0, 0]) == pytest.approx(1)
    assert smooth_ece([0.5], [1]) == pytest.approx(0.5)


def test_a_tiny_error_is_not_lost_below_the_grid():
    assert smooth_ece(np.full(10, 1e-4), np.zeros(10)) == pytest.approx(1e-4, rel=1e-6)


def test_never_grows_with_the_bandwidth(rng):
    p = rng.random(300)
    y = rng.random(300) < 0.3
    values = [smooth_ece(p, y, bandwidth=s) for s in (0.003, 0.01, 0.03, 0.1, 0.3, 1, 3)]
    assert (np.diff(values) <= 1e-12).all()
    assert values[-1] == pytest.approx(abs(p.mean() - y.mean()), rel=1e-6)


def test_is_continuous_where_ece_jumps():
    p, y = np.r_[np.full(50, 0.3), np.full(50, 0.4)], np.r_[np.ones(50), np.zeros(50)]
    moved = p - np.r_[np.zeros(50), np.full(50, 1e-9)]
    assert smooth_ece(p, y) == pytest.approx(smooth_ece(moved, y), abs=1e-7)


def test_refuses_no_bandwidth():
    with pytest.raises(OutOfRange, match="bandwidth = 0"):
        smooth_ece([0.5], [1], bandwidth=0)
