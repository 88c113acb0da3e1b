import numpy as np
import pytest

from routecal.calib.metrics import METRICS
from routecal.calib.metrics.replicates import OnRows, resampling_counts

RNG = np.random.default_rng(1)
P = np.round(RNG.beta(6, 2, 200), 2)  # rounded, so that there are ties
Y = (RNG.random(200) < P).astype(float)
# Brier skill is resampled to first order only.
RESAMPLED = [name for name, metric in METRICS.items() if metric.prepare and name != "brier_skill"]


def test_the_mean_over_rows_is_the_metric():
    means = {name: m.prepare.rows(P, Y).mean() for name, m in METRICS.items() if isinstance(m.prepare, OnRows)}
    assert means == pytest.approx({name: METRICS[name].fn(P, Y) for name in means})
    assert means.keys() == {"brier", "brier_skill"}


def test_the_rows_of_brier_skill_move_as_it_does():
    p, y = np.r_[P, P[7]], np.r_[Y, Y[7]]
    change = METRICS["brier_skill"].fn(p, y) - METRICS["brier_skill"].fn(P, Y)
    rows = METRICS["brier_skill"].prepare.rows(P, Y)
    assert change == pytest.approx((rows[7] - rows.mean()) / 201, rel=0.05)


@pytest.mark.parametrize("name", RESAMPLED)
def test_counting_rows_equals_repeating_them(name):
    counts = next(resampling_counts(len(P), n_replicates=5, seed=0))
    direct = [METRICS[name].fn(np.repeat(P, c.astype(int)), np.repeat(Y, c.astype(int))) for c in counts]
    assert METRICS[name].prepare(P, Y)(counts) == pytest.approx(direct, abs=1e-12)


@pytest.mark.parametrize("name", RESAMPLED)
def test_a_replicate_of_one_row_repeated_equals_that_row(name):
    p, y = np.array([0.0, 0.5, 1.0]), np.array([1.0, 1.0, 0.0])
    counts = 3 * np.eye(3)
    direct = [METRICS[name].fn(np.repeat(p[i], 3), np.repeat(y[i], 3)) for i in range(3)]
    expected = [np.nan if value is None else value for value in direct]
    assert METRICS[name].prepare(p, y)(counts) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_chunks_cover_all_replicates(monkeypatch):
    monkeypatch.setattr("routecal.calib.metrics.replicates.COUNTS_PER_CHUNK", 700)
    chunks = list(resampling_counts(300, n_replicates=5, seed=0))
    assert [len(c) for c in chunks] == [2, 2, 1]
    assert (np.concatenate(chunks).sum(axis=1) == 300).all()
