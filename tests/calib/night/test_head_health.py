"""A night rests only while a head serves that holds, and not for ever."""

import numpy as np
import pytest
from scipy.special import expit

from routecal.calib.metrics import Estimate
from routecal.calib.night.head_health import MIN_WINDOW, Health, alarming, examine, may_rest
from routecal.calib.night.query_drift import Drift

ECE = Estimate(value=0.03, low=0.0, high=0.06)
WELL = Health(n=500, ece=ECE, noise_high=0.03)
DRIFT = Drift(column="confidence", statistic=0.4, p_value=1e-9, is_found=True, n_before=500, n_now=500)


def world(n: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = expit(1.5 * rng.standard_normal(n))
    return p, (rng.random(n) < p).astype(float)


@pytest.mark.parametrize(("quiet", "rests"), [(0, True), (5, True), (6, False), (7, False)])
def test_every_seventh_night_labels_though_all_is_well(quiet: int, rests: bool) -> None:
    """Six nights rest in a row; the seventh does not."""
    assert may_rest(WELL, quiet=quiet, recheck=7) is rests


def test_with_a_recheck_of_one_no_night_rests() -> None:
    assert not may_rest(WELL, quiet=0, recheck=1)


def test_a_night_does_not_rest_where_no_head_serves_or_one_is_complained_of() -> None:
    assert not may_rest(None, quiet=0, recheck=7)
    assert not may_rest(WELL.model_copy(update={"drift": DRIFT}), quiet=0, recheck=7)
    assert not may_rest(Health(n=99), quiet=0, recheck=7)


def test_an_ece_at_the_end_of_its_noise_band_is_no_complaint_and_one_above_it_is() -> None:
    assert WELL.complaints == ()
    (above,) = WELL.model_copy(update={"noise_high": 0.0299}).complaints
    assert above == "ECE is 0.030 on the 500 newest held-out rows, outside its noise band (up to 0.030)"


def test_what_the_gate_saw_is_no_alarm_and_drift_is_one_at_any_time() -> None:
    off = WELL.model_copy(update={"noise_high": 0.02, "drift": DRIFT})
    assert alarming(off, is_news=True) == off.complaints
    assert alarming(off, is_news=False) == off.complaints[1:] != ()
    assert alarming(WELL, is_news=True) == alarming(None, is_news=True) == ()


def test_too_few_rows_are_a_concern_and_no_complaint() -> None:
    few = Health(n=MIN_WINDOW - 1)
    assert few.concerns == ("only 99 held-out rows are labelled, 100 are needed to judge calibration",)
    assert few.complaints == ()
    both = few.model_copy(update={"drift": DRIFT})
    assert both.concerns == (few.concerns[0], *both.complaints)
    assert both.complaints[0].startswith("queries drifted: confidence (Kolmogorov-Smirnov distance 0.40, p = 1e-09")


def test_drift_that_is_not_found_is_none() -> None:
    calm = WELL.model_copy(update={"drift": DRIFT.model_copy(update={"is_found": False})})
    assert not calm.drifted
    assert calm.concerns == ()
    assert WELL.model_copy(update={"drift": DRIFT}).drifted
    assert not WELL.drifted


def test_a_head_is_examined_from_a_hundred_rows_on() -> None:
    p, y = world(100)
    assert examine(p[:99], y[:99]) == Health(n=99)
    assert examine(p[:99], y[:99], drift=DRIFT) == Health(n=99, drift=DRIFT)
    found = examine(p, y, drift=DRIFT, escalated=p < 0.5, seed=3)
    assert (found.n, found.drift, found.escalated) == (100, DRIFT, float((p < 0.5).mean()))
    assert found.ece is not None
    assert found.brier is not None
    assert found.brier.value == pytest.approx(float(np.square(p - y).mean()))


def test_a_calibrated_head_is_well_and_one_that_is_off_is_not() -> None:
    p, y = world(1000)
    assert examine(p, y).complaints == ()
    assert "outside its noise band" in examine(np.clip(p + 0.15, 0, 1), y).complaints[0]
