import numpy as np
import pytest

from routecal.calib.metrics.binned import ece
from routecal.calib.metrics.noise import MIN_ROWS, noise_floor


def test_matches_the_known_table():
    # DESIGN 5.5: a calibrated Beta(6, 2) measures ECE-10 of about .026 at n = 1,000, 95th percentile .039
    p = np.random.default_rng(0).beta(6, 2, 1000)
    floor = noise_floor(p)
    assert floor.mean == pytest.approx(0.026, abs=0.003)
    assert floor.low < floor.mean < floor.high < 0.05


def test_drawing_whole_bins_gives_the_floor_of_drawing_rows(monkeypatch):
    p = np.random.default_rng(0).beta(6, 2, MIN_ROWS)
    by_bins = noise_floor(p)
    monkeypatch.setattr("routecal.calib.metrics.noise.MIN_ROWS", len(p) + 1)
    by_rows = noise_floor(p)
    assert by_bins != by_rows
    assert by_bins == pytest.approx(by_rows, rel=0.06)  # 1,000 draws each


def test_is_what_redrawn_labels_measure():
    rng = np.random.default_rng(1)
    p = rng.random(400)
    direct = [ece(p, rng.random(400) < p) for _ in range(500)]
    assert noise_floor(p).mean == pytest.approx(np.mean(direct), rel=0.03)
