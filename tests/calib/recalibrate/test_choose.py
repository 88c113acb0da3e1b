"""What `choose_recalibrator` picks, and what it never does."""

import numpy as np
import pytest

from routecal.calib.metrics import brier, log_loss
from routecal.calib.recalibrate import LEAST_ROWS, RECALIBRATORS, Identity, choose_recalibrator
from tests.calib.recalibrate.made import bent, outcomes


def test_calibrated_confidence_is_left_alone():
    chosen = [choose_recalibrator(*outcomes(240, seed=s), n_folds=5).recalibrator.name for s in range(20)]
    assert chosen.count("identity") >= 18


def test_overconfidence_is_mended_and_the_table_says_why():
    p, y = outcomes(900, slope=0.3, intercept=-0.8)
    choice = choose_recalibrator(p, y)
    assert choice.recalibrator.name == "platt"
    assert [c.name for c in choice.table] == ["identity", "temperature", "platt", "ets"]
    table = {c.name: c for c in choice.table}
    assert table["platt"].excess == 0
    assert table["identity"].excess > table["identity"].excess_error > 0
    fresh_p, fresh_y = outcomes(5000, seed=9, slope=0.3, intercept=-0.8)
    assert brier(choice.recalibrator(fresh_p), fresh_y) < brier(fresh_p, fresh_y) - 0.02
    assert log_loss(choice.recalibrator(fresh_p), fresh_y) < log_loss(fresh_p, fresh_y)


def test_simpler_wins_where_it_is_as_good():
    assert choose_recalibrator(*outcomes(2000, slope=0.4)).recalibrator.name == "temperature"


def test_a_bend_needs_more_than_a_line():
    assert choose_recalibrator(*bent(9000), n_folds=5).recalibrator.name in ("beta", "quadratic", "spline")


@pytest.mark.parametrize(("n", "flexible"), [(999, "ets"), (1000, "spline"), (10_000, "venn_abers")])
def test_candidates_are_limited_by_rows(n, flexible):
    names = [c.name for c in choose_recalibrator(*outcomes(n), n_folds=2).table]
    assert names == list(RECALIBRATORS)[: list(RECALIBRATORS).index(flexible) + 1]


def test_histogram_is_never_a_candidate():
    assert LEAST_ROWS["histogram"] > 10**12


@pytest.mark.parametrize(("p", "y"), [([0.9] * 29, [0] * 28 + [1]), ([0.9] * 100, [1] * 100), ([0.3], [1])])
def test_too_few_rows_or_one_class_leave_p_alone(p, y):
    assert choose_recalibrator(p, y) == choose_recalibrator(p, y, seed=5)
    assert choose_recalibrator(p, y).recalibrator == Identity()


def test_the_seed_deals_the_folds_and_nothing_else():
    p, y = outcomes(200, slope=0.7)
    assert choose_recalibrator(p, y, seed=1) == choose_recalibrator(p, y, seed=1)
    one, two = (choose_recalibrator(p, y, seed=s).table for s in (1, 2))
    assert one[0].log_loss == pytest.approx(two[0].log_loss, abs=1e-12)  # identity fits nothing, so folds are nothing
    assert one[2].log_loss != two[2].log_loss


def test_the_global_generator_is_left_alone():
    p, y = outcomes(100)
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    choose_recalibrator(p, y)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
