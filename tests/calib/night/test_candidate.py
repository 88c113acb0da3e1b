"""The better head stands against the serving one, and none learns from what is doubted."""

import numpy as np
import pytest
from scipy.special import expit, logit

from routecal.calib.night.candidate import WARM_FROM, Contender, choose_candidate, may_warm_start
from routecal.calib.recalibrate import Identity
from routecal.calib.recalibrate.isotonic import fit_isotonic
from routecal.calib.recalibrate.platt import Platt, fit_platt


def world(n: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    q = expit(1.5 * rng.standard_normal(n))
    return q, (rng.random(n) < q).astype(float)


def contender(p: np.ndarray, y: np.ndarray, is_judged: np.ndarray | None = None) -> Contender:
    return Contender(p, y, np.ones(len(p), bool) if is_judged is None else is_judged, Identity())


def test_the_serving_head_is_not_trained_on_doubted_outcomes() -> None:
    assert may_warm_start(n_right=100, n_wrong=100, is_doubted=False)
    assert not may_warm_start(n_right=100, n_wrong=100, is_doubted=True)


@pytest.mark.parametrize(("n_right", "n_wrong", "may"), [(30, 30, True), (29, 500, False), (500, 29, False)])
def test_the_serving_head_is_trained_on_from_thirty_rows_of_each_class_on(
    n_right: int, n_wrong: int, may: bool
) -> None:
    assert WARM_FROM == 30
    assert may_warm_start(n_right=n_right, n_wrong=n_wrong, is_doubted=False) is may


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_the_head_of_less_brier_is_chosen_whatever_its_name_and_place(names: tuple[str, str]) -> None:
    q, y = world(300)
    better, worse = names
    pair = {better: contender(q, y), worse: contender(np.full(300, 0.5), y)}
    assert choose_candidate(pair) == choose_candidate(dict(reversed(pair.items()))) == better


def test_of_equal_heads_the_first_by_name_is_chosen() -> None:
    q, y = world(100)
    assert choose_candidate({"b": contender(q, y), "a": contender(q, y)}) == "a"


def test_only_tonight_s_rows_decide() -> None:
    q, y = world(400)
    is_tonight = np.arange(400) >= 200
    # Perfect on the nights before and useless tonight.
    cheat = np.where(is_tonight, 0.5, y)
    assert choose_candidate({"cheat": contender(cheat, y, is_tonight), "fair": contender(q, y, is_tonight)}) == "fair"


def test_heads_are_compared_as_they_serve_after_recalibration() -> None:
    """Sharp but overconfident: worse than the base rate as it is, better once recalibrated."""
    q, y = world(2000)
    wild = expit(8 * (logit(q) - 1.5))
    platt = Contender(wild, y, np.ones(2000, bool), fit_platt(wild, y))
    assert choose_candidate({"constant": contender(np.full(2000, y.mean()), y), "platt": platt}) == "platt"
    bare = contender(wild, y)
    assert choose_candidate({"constant": contender(np.full(2000, y.mean()), y), "bare": bare}) == "constant"


def test_a_recalibrator_does_not_judge_the_rows_that_it_was_fitted_on() -> None:
    """Fitted on tonight's few rows it knows their outcomes: in sample a head that knows nothing seems to know some."""
    wins = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        p, y = rng.random(140), rng.permutation(np.repeat([0.0, 1.0], 70))
        knows_nothing = Contender(p, y, np.ones(140, bool), fit_isotonic(p, y))
        assert np.square(fit_isotonic(p, y)(p) - y).mean() < 0.25
        wins += choose_candidate({"constant": contender(np.full(140, 0.5), y), "bins": knows_nothing}) == "bins"
    assert wins <= 6


def test_a_recalibrator_is_fitted_with_the_rows_of_other_nights_it_had() -> None:
    """At one confidence isotonic regression says the rate of its rows: .8 tonight, about .04 with 950 wrong ones."""
    y, p = np.concatenate([np.zeros(950), np.tile([1.0, 1.0, 1.0, 1.0, 0.0], 10)]), np.full(1000, 0.5)
    is_tonight, fitted = np.arange(1000) >= 950, fit_isotonic(p, y)
    alone = Contender(p[is_tonight], y[is_tonight], np.ones(50, bool), fitted)
    assert choose_candidate({"a, with memory": Contender(p, y, is_tonight, fitted), "b, alone": alone}) == "b, alone"


def test_one_row_is_judged_by_the_recalibrator_as_it_is() -> None:
    one = Contender(np.array([0.9]), np.array([1.0]), np.array([True]), Platt(1.0, 0.0))
    assert choose_candidate({"one": one}) == "one"
