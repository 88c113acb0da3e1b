import numpy as np
import pytest

from calib.metrics import METRICS
from calib.metrics.replicates import resampling_counts

RNG = np.random.default_rng(1)
P = np.round(RNG.beta(6, 2, 200), 2)  # rounded, so that there are ties
Y = (RNG.random(200) < P).astype(float)


@pytest.mark.parametrize("name", METRICS)
def test_counting_rows_equals_repeating_them(name):
    counts = next(resampling_counts(len(P), n_replicates=5, seed=0))
    direct = [METRICS[name].fn(np.repeat(P, c.astype(int)), np.repeat(Y, c.astype(int))) for c in counts]
    assert METRICS[name].prepare(P, Y)(counts) == pytest.approx(direct, abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_a_replicate_of_one_row_repeated_equals_that_row(name):
    p, y = np.array([0.0, 0.5, 1.0]), np.array([1.0, 1.0, 0.0])
    counts = 3 * np.eye(3)
    direct = [METRICS[name].fn(np.repeat(p[i], 3), np.repeat(y[i], 3)) for i in range(3)]
    expected = [np.nan if value is None else value for value in direct]
    assert METRICS[name].prepare(p, y)(counts) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_chunks_cover_all_replicates(monkeypatch):
    monkeypatch.setattr("calib.metrics.replicates.COUNTS_PER_CHUNK", 700)
    chunks = list(resampling_counts(300, n_replicates=5, seed=0))
    assert [len(c) for c in chunks] == [2, 2, 1]
    assert (np.concatenate(chunks).sum(axis=1) == 300).all()
