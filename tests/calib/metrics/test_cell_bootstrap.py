import numpy as np
import pytest

from calib.metrics import METRICS, intervals
from calib.metrics.cell_bootstrap import MIN_PER_CELL, MIN_ROWS, CellBootstrap
from calib.metrics.replicates import OnBins, OnRows, resampling_counts

BY_CELLS = [name for name, metric in METRICS.items() if isinstance(metric.prepare, OnBins | OnRows)]
RNG = np.random.default_rng(3)


def rows(n):
    p = RNG.beta(4, 2, n)
    return p, (RNG.random(n) < p**1.3).astype(float)


def naive(p, y, name, *, n_replicates=3000, seed=1):
    on_counts = METRICS[name].prepare(p, y)
    return np.concatenate([on_counts(c) for c in resampling_counts(len(p), n_replicates=n_replicates, seed=seed)])


def test_ece_and_brier_and_all_other_means_go_by_cells():
    assert {"ece", "brier", "log_loss", "brier_skill", "ece_debiased", "decision_accuracy"} <= set(BY_CELLS)


# Means and both ends of 95% of 3,000 replicates each; the tolerances are four standard errors and more.
@pytest.mark.parametrize("name", BY_CELLS)
def test_replicates_are_distributed_as_the_naive_ones(name):
    p, y = rows(MIN_ROWS)
    cells = CellBootstrap(p, y, n_bins=10, n_replicates=3000, seed=0).values(METRICS[name].prepare)
    direct = naive(p, y, name)
    spread = direct.std()
    assert cells.mean() == pytest.approx(direct.mean(), abs=0.13 * spread)
    assert cells.std() == pytest.approx(spread, rel=0.1)
    if name != "ece_max":  # that of the thinnest bin has too long a tail for an end of 3,000 draws
        ends = [np.quantile(values, [0.025, 0.975]) for values in (cells, direct)]
        assert ends[0] == pytest.approx(ends[1], abs=0.3 * spread)


def test_thin_cells_are_drawn_row_by_row():
    # MIN_PER_CELL - 1 surprises, p near 0 and right; MIN_PER_CELL ordinary mistakes; the rest in one thick cell
    p = np.r_[np.linspace(0, 0.09, MIN_PER_CELL - 1), np.full(MIN_PER_CELL, 0.95), np.full(5000, 0.97)]
    y = np.r_[np.ones(MIN_PER_CELL - 1), np.zeros(MIN_PER_CELL), np.ones(5000)]
    drawn = CellBootstrap(p, y, n_bins=10, n_replicates=10, seed=0)
    assert len(drawn.size) == 2 + MIN_PER_CELL - 1
    assert sorted(drawn.size)[: MIN_PER_CELL - 1] == [1] * (MIN_PER_CELL - 1)
    assert (drawn.counts.sum(axis=1) == len(p)).all()


def test_where_every_cell_is_thin_the_replicates_are_exactly_naive_sums():
    p, y = np.linspace(0, 1, 20), np.tile([0.0, 1.0], 10)
    drawn = CellBootstrap(p, y, n_bins=10, n_replicates=50, seed=0)
    order = np.argsort(drawn.atom)
    assert (drawn.size == 1).all()
    for name in BY_CELLS:
        expected = METRICS[name].prepare(p[order], y[order])(drawn.counts)
        assert drawn.values(METRICS[name].prepare) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_the_rule_is_five_thousand_rows():
    p, y = rows(MIN_ROWS)
    ends = intervals(p, y, metrics=("ece",), n_replicates=50)["ece"]
    by_cells = CellBootstrap(p, y, n_bins=10, n_replicates=50, seed=0).values(METRICS["ece"].prepare)
    assert (ends.low, ends.high) == tuple(np.quantile(by_cells, [0.025, 0.975]))
    p, y = p[1:], y[1:]
    ends = intervals(p, y, metrics=("ece",), n_replicates=50)["ece"]
    row_by_row = naive(p, y, "ece", n_replicates=50, seed=0)
    assert (ends.low, ends.high) == tuple(np.quantile(row_by_row, [0.025, 0.975]))


def test_one_value_of_p_has_no_noise_within_cells():
    drawn = CellBootstrap(np.full(6000, 0.7), np.r_[np.ones(4000), np.zeros(2000)], n_bins=10, n_replicates=20, seed=0)
    right = drawn.counts[:, drawn.cell_of % 2 == 1].sum(axis=1) / 6000
    assert drawn.values(METRICS["ece"].prepare) == pytest.approx(np.abs(right - 0.7), abs=1e-7)
