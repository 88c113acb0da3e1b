import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from calib.checks import logit
from calib.errors import InvalidProbability, UnknownName
from calib.metrics import brier, log_loss
from calib.recalibrate import (
    FAMILIES,
    LEAST_ROWS,
    RECALIBRATORS,
    Identity,
    Platt,
    Temperature,
    choose,
    fit_platt,
    fit_temperature,
    from_json,
    get,
    to_json,
)


def outcomes(n, *, seed=0, slope=1.0, intercept=0.0):
    """p and outcomes whose true rate is sigmoid(slope * logit(p) + intercept)."""
    rng = np.random.default_rng(seed)
    p = expit(rng.normal(0.5, 1.5, n))
    return p, (rng.random(n) < expit(slope * logit(p) + intercept)).astype(float)


def test_registries_agree():
    assert RECALIBRATORS.keys() == FAMILIES.keys() == LEAST_ROWS.keys()


@pytest.mark.parametrize("made", [Identity(), Temperature(1.7), Platt(0.4, -0.2)])
def test_json_round_trip_gives_the_same_map(made):
    again = from_json(json.loads(json.dumps(to_json(made))))
    assert again == made
    assert again([0.1, 0.9]).tolist() == made([0.1, 0.9]).tolist()


def test_unknown_names_are_refused():
    with pytest.raises(UnknownName):
        from_json({"name": "isotonic"})
    with pytest.raises(UnknownName):
        get("isotonic")
    with pytest.raises(InvalidProbability):
        Platt(1, 0)([1.5])


def test_temperature_is_recovered():
    assert fit_temperature(*outcomes(20_000, slope=0.5)).temperature == pytest.approx(2, rel=0.07)


def test_platt_is_recovered_and_agrees_with_scikit_learn():
    p, y = outcomes(20_000, slope=0.6, intercept=-0.5)
    found = fit_platt(p, y)
    assert (found.slope, found.intercept) == pytest.approx((0.6, -0.5), abs=0.05)
    reference = LogisticRegression(C=1e9).fit(logit(p)[:, None], y)
    assert found.slope == pytest.approx(reference.coef_[0, 0], abs=2e-3)
    assert found.intercept == pytest.approx(reference.intercept_[0], abs=2e-3)


@pytest.mark.parametrize("fit", RECALIBRATORS.values())
@given(rows=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=30))
def test_maps_never_reverse_the_ranking(fit, rows):
    p, y = (np.array(column, float) for column in zip(*rows, strict=True))
    q = fit(p, y)(np.sort(p))
    assert ((q >= 0) & (q <= 1)).all()
    assert (np.diff(q) >= -1e-12).all()


def test_calibrated_confidence_is_left_alone():
    chosen = [choose(*outcomes(300, seed=s)).recalibrator.name for s in range(10)]
    assert chosen.count("identity") >= 6


def test_overconfidence_is_mended_and_the_table_says_why():
    p, y = outcomes(1000, slope=0.3, intercept=-0.8)
    choice = choose(p, y)
    assert choice.recalibrator.name == "platt"
    assert [c.name for c in choice.table] == list(RECALIBRATORS)
    table = {c.name: c for c in choice.table}
    assert table["platt"].excess == 0
    assert table["identity"].excess > table["identity"].excess_error > 0
    fresh_p, fresh_y = outcomes(5000, seed=9, slope=0.3, intercept=-0.8)
    assert brier(choice.recalibrator(fresh_p), fresh_y) < brier(fresh_p, fresh_y) - 0.02
    assert log_loss(choice.recalibrator(fresh_p), fresh_y) < log_loss(fresh_p, fresh_y)


def test_simpler_wins_where_it_is_as_good():
    assert choose(*outcomes(2000, slope=0.4)).recalibrator.name == "temperature"


@pytest.mark.parametrize(("p", "y"), [([0.9] * 29, [0] * 28 + [1]), ([0.9] * 100, [1] * 100)])
def test_too_few_rows_or_one_class_leave_p_alone(p, y):
    assert choose(p, y) == choose(p, y, seed=5)
    assert choose(p, y).recalibrator == Identity()


def test_choice_depends_on_the_seed_only_through_folds():
    p, y = outcomes(200, slope=0.7)
    assert choose(p, y, seed=1) == choose(p, y, seed=1)
