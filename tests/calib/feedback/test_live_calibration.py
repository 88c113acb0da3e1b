"""A calibration on graded answers has the numbers of the metrics, and too few are refused."""

import numpy as np
import pytest

from routecal.calib.errors import InvalidLabel
from routecal.calib.feedback.live_calibration import FEWEST, TooFewGraded, live_calibration
from routecal.calib.metrics import summarise


def test_numbers_are_those_of_a_report() -> None:
    rng = np.random.default_rng(0)
    said = rng.random(400)
    right = (rng.random(400) < said).astype(float)
    found, report = live_calibration(said, right), summarise(said, right)
    assert (found.brier, found.ece, found.noise_high) == (report.brier, report.ece, report.noise_high)
    assert (found.said, found.right) == (report.mean_p, report.accuracy)
    assert found.bins.n.sum() == found.n == 400
    # A calibrated head: noise explains all of it.
    assert found.ece.low == 0.0


def test_a_head_that_says_too_much_shows() -> None:
    found = live_calibration(np.full(200, 0.9), np.arange(200) % 2)
    assert found.ece.value == pytest.approx(0.4)
    assert found.ece.low > found.noise_high > 0
    assert found.bins.high[0] < 0.6


def test_too_few_are_refused() -> None:
    with pytest.raises(TooFewGraded, match=f"^{FEWEST - 1} graded answers .* from {FEWEST} on"):
        live_calibration([0.5] * (FEWEST - 1), [1] * (FEWEST - 1))
    with pytest.raises(InvalidLabel):
        live_calibration([0.5] * FEWEST, [0.5] * FEWEST)
