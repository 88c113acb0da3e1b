"""What every family keeps: the ranking, [0, 1], its JSON, its sense with few rows; and what each one mends."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from routecal.calib.checks import logit
from routecal.calib.errors import InvalidLabel, InvalidProbability, LengthMismatch, TooFewExamples, UnknownName
from routecal.calib.metrics import log_loss
from routecal.calib.recalibrate import FAMILIES, LEAST_ROWS, RECALIBRATORS, from_json, get_recalibrator, to_json
from routecal.calib.recalibrate.beta import fit_beta
from routecal.calib.recalibrate.ets import fit_ets
from routecal.calib.recalibrate.histogram import fit_histogram
from routecal.calib.recalibrate.isotonic import fit_isotonic
from routecal.calib.recalibrate.platt import Platt, fit_platt
from routecal.calib.recalibrate.quadratic import Quadratic, fit_quadratic
from routecal.calib.recalibrate.spline import Spline, fit_spline
from routecal.calib.recalibrate.temperature import fit_temperature
from routecal.calib.recalibrate.venn_abers import fit_venn_abers
from tests.calib.recalibrate.made import bent, capped, confidences, drawn, outcomes

FITS = pytest.mark.parametrize("fit", RECALIBRATORS.values(), ids=RECALIBRATORS.keys())
GRID = np.linspace(0, 1, 1001)


def test_registries_agree():
    assert RECALIBRATORS.keys() == FAMILIES.keys() == LEAST_ROWS.keys()
    for name, fit in RECALIBRATORS.items():
        assert fit([0.2, 0.7], [0, 1]).name == name


@FITS
def test_json_round_trip_gives_the_same_map(fit):
    made = fit(*bent(300))
    again = from_json(json.loads(json.dumps(to_json(made))))
    assert again == made
    assert hash(again) == hash(made)
    assert again(GRID).tolist() == made(GRID).tolist()


@FITS
@pytest.mark.parametrize("make", [outcomes, bent, capped])
@pytest.mark.parametrize("n", [3, 60, 2000])
def test_maps_never_reverse_the_ranking(fit, make, n):
    q = fit(*make(n))(GRID)
    assert ((q >= 0) & (q <= 1)).all()
    assert (np.diff(q) >= -1e-12).all()


@FITS
@settings(deadline=None, max_examples=30)
@given(rows=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=30))
def test_nor_on_any_rows(fit, rows):
    p, y = (np.array(column, float) for column in zip(*rows, strict=True))
    q = fit(p, y)(np.sort(np.concatenate([p, GRID[::100]])))
    assert ((q >= 0) & (q <= 1)).all()
    assert (np.diff(q) >= -1e-12).all()


@FITS
@pytest.mark.parametrize("y", [0, 1])
@pytest.mark.parametrize("n", [1, 40])
def test_one_class_is_not_taken_for_certainty(fit, y, n):
    q = fit(np.linspace(0.3, 0.7, n), np.full(n, float(y)))([0.3, 0.5, 0.7])
    assert ((q > 0.001) & (q < 0.999)).all()
    if fit not in (RECALIBRATORS["identity"], RECALIBRATORS["temperature"], RECALIBRATORS["ets"]):
        # those three cannot move .5
        assert q[1] >= 0.5 if y else q[1] <= 0.5


@FITS
def test_ties_and_extremes(fit):
    p = np.repeat([0.0, 0.5, 1.0], 50)
    y = np.tile([1.0, 0.0], 75)
    q = fit(p, y)(p)
    assert np.isfinite(q).all()
    assert len(np.unique(q)) <= 3
    alone = fit(np.full(100, 0.9), y[:100])
    assert (np.diff(alone(GRID)) >= -1e-12).all()


@FITS
def test_what_is_not_a_probability_or_a_label_is_refused(fit):
    with pytest.raises(InvalidProbability):
        fit([1.5], [1])
    with pytest.raises(InvalidLabel):
        fit([0.5], [0.5])
    with pytest.raises(LengthMismatch):
        fit([0.5, 0.5], [1])
    with pytest.raises(TooFewExamples):
        fit([], [])
    with pytest.raises(InvalidProbability):
        fit([0.5], [1])([np.nan])


def test_unknown_names_are_refused():
    with pytest.raises(UnknownName, match="venn_abers"):
        get_recalibrator("sigmoid")
    with pytest.raises(UnknownName):
        from_json({"name": "sigmoid"})


MENDS = {
    "temperature": (fit_temperature, lambda n, seed: outcomes(n, slope=0.5, seed=seed)),
    "platt": (fit_platt, lambda n, seed: outcomes(n, slope=0.7, intercept=-0.6, seed=seed)),
    "ets": (fit_ets, lambda n, seed: capped(n, seed=seed)),
    "beta": (fit_beta, lambda n, seed: bent(n, seed=seed)),
    "quadratic": (fit_quadratic, lambda n, seed: bent(n, seed=seed)),
    "spline": (fit_spline, lambda n, seed: bent(n, seed=seed)),
    "isotonic": (fit_isotonic, lambda n, seed: bent(n, seed=seed)),
    "venn_abers": (fit_venn_abers, lambda n, seed: bent(n, seed=seed)),
    "histogram": (fit_histogram, lambda n, seed: bent(n, seed=seed)),
}


@pytest.mark.parametrize("name", MENDS)
def test_each_family_mends_what_it_is_made_for(name):
    fit, make = MENDS[name]
    p, y = make(20_000, 1)
    found = fit(*make(20_000, 0))
    assert log_loss(found(p), y) < log_loss(p, y) - 0.005


@pytest.mark.parametrize("name", ["beta", "quadratic", "spline"])
def test_a_bend_is_mended_better_than_by_a_line(name):
    p, y = bent(50_000, seed=1)
    rows = bent(5000)
    assert log_loss(RECALIBRATORS[name](*rows)(p), y) < log_loss(fit_platt(*rows)(p), y) - 0.003


def test_ets_mends_a_cap_better_than_temperature():
    p, y = capped(50_000, seed=1)
    rows = capped(20_000)
    assert log_loss(fit_ets(*rows)(p), y) < log_loss(fit_temperature(*rows)(p), y) - 0.0005
    assert fit_ets(*rows).half == pytest.approx(0.2, abs=0.05)


def test_temperature_is_recovered():
    assert fit_temperature(*outcomes(20_000, slope=0.5)).temperature == pytest.approx(2, rel=0.07)


def test_platt_is_recovered_and_agrees_with_scikit_learn():
    p, y = outcomes(20_000, slope=0.6, intercept=-0.5)
    found = fit_platt(p, y)
    assert (found.slope, found.intercept) == pytest.approx((0.6, -0.5), abs=0.05)
    reference = LogisticRegression(C=1e9).fit(logit(p)[:, None], y)
    assert found.slope == pytest.approx(reference.coef_[0, 0], abs=2e-3)
    assert found.intercept == pytest.approx(reference.intercept_[0], abs=2e-3)


def test_beta_is_recovered():
    p = confidences(50_000)
    found = fit_beta(*drawn(p, expit(1.3 * np.log(p) - 0.4 * np.log1p(-p) + 0.2), 0))
    assert (found.a, found.b, found.c) == pytest.approx((1.3, 0.4, 0.2), abs=0.07)


def test_quadratic_and_spline_of_equal_slopes_are_platt():
    platt = Platt(0.6, -0.3)(GRID)
    assert Quadratic(-1.0, 2.0, 0.6, 0.6, -0.3)(GRID) == pytest.approx(platt, abs=1e-12)
    assert Spline((-2.0, -1.0, 3.0), (0.6, 0.6, 0.6), -0.3)(GRID) == pytest.approx(platt, abs=1e-12)


def test_quadratic_by_hand():
    # slope falls from 2 at logit -1 to 0 at logit 1: from 0 to 1 it climbs the triangle 1 * 1 / 2; flat beyond
    q = Quadratic(low=-1.0, high=1.0, slope_low=2.0, slope_high=0.0, intercept=0.0)(expit(np.array([-2.0, 0, 1, 5])))
    # from 0 down to -1 it falls the trapezoid (1 + 2) / 2, from -1 to -2 by another 2
    assert logit(q) == pytest.approx([-3.5, 0, 0.5, 0.5])


def test_isotonic_is_scikit_learns_within_laplaces_bounds():
    p, y = bent(500)
    reference = IsotonicRegression().fit(p, y).predict(p)
    assert fit_isotonic(p, y)(p) == pytest.approx(np.clip(reference, 1 / 502, 501 / 502), abs=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_venn_abers_is_isotonic_regression_done_twice(seed):
    rng = np.random.default_rng(seed)
    n = rng.integers(1, 20)
    p, y = rng.integers(0, 8, n) / 7, rng.integers(0, 2, n).astype(float)
    found = fit_venn_abers(p, y)
    asked = np.append(np.arange(8) / 7, rng.random(4))
    both = []
    for label in (0.0, 1.0):
        join = [IsotonicRegression().fit(np.append(p, x), np.append(y, label)).predict([x])[0] for x in asked]
        both.append(np.array(join))
    low, high = found.bounds(asked)
    assert low == pytest.approx(both[0], abs=1e-12)
    assert high == pytest.approx(both[1], abs=1e-12)
    assert found(asked) == pytest.approx(both[1] / (1 - both[0] + both[1]), abs=1e-12)


def test_histogram_by_hand():
    p = np.repeat([0.25, 0.75], 10)
    y = np.array([1.0] + [0.0] * 9 + [1.0] * 9 + [0.0])
    # (1 + .25) / 11 and (9 + .75) / 11
    assert fit_histogram(p, y).q == pytest.approx((1.25 / 11, 9.75 / 11))
    assert fit_histogram(p, y).edges == (0.75,)
    # reversed: 9.25 / 11 and 1.75 / 11 are pooled
    assert fit_histogram(p, y[::-1]).q == pytest.approx((0.5, 0.5))
