"""Resamples are rows of counts: a metric on counts is the metric on repeated rows, and shared strata draw alike."""

import numpy as np
import pytest

from routecal.calib.comparison import COMPARED, minus, paired_counts, resample
from routecal.calib.errors import LengthMismatch, UnknownName
from routecal.calib.metrics import get_metric


def made(n, seed):
    rng = np.random.default_rng(seed)
    p = rng.random(n).round(1)  # ties
    return p, (rng.random(n) < p).astype(float)


def test_a_resample_is_the_metric_on_the_rows_it_drew():
    p, y = made(60, 0)
    counts = list(paired_counts([(np.arange(60), 3)], n_replicates=5))
    found = resample([p, p**2], y, counts)
    for name in COMPARED:
        assert found[name].value[1] == pytest.approx(get_metric(name).fn(p**2, y))
        for r, row in enumerate(counts[0].astype(int)):
            i = np.repeat(np.arange(60), row)
            assert found[name].drawn[1, r] == pytest.approx(get_metric(name).fn(p[i] ** 2, y[i]))


def test_shared_rows_are_drawn_alike_in_sets_of_different_size():
    shared, n_replicates = 40, 250  # more than a chunk
    small = np.concatenate(list(paired_counts([(np.arange(shared), 7), (np.arange(shared, 45), 1)], n_replicates=250)))
    rows = np.arange(10, 10 + shared)
    rest = np.setdiff1d(np.arange(70), rows)
    large = np.concatenate(list(paired_counts([(rows, 7), (rest, 2)], n_replicates=250)))
    assert small.shape == (n_replicates, 45)
    assert np.array_equal(small[:, :shared], large[:, rows])
    assert (small.sum(axis=1) == 45).all()
    assert (large.sum(axis=1) == 70).all()


def test_a_set_without_shared_rows_can_be_resampled():
    (counts,) = paired_counts([(np.empty(0, np.int64), 1), (np.arange(3), 2)], n_replicates=4)
    assert (counts.sum(axis=1) == 3).all()


def test_minus_pairs_resample_by_resample():
    p, y = made(50, 1)
    counts = list(paired_counts([(np.arange(50), 0)], n_replicates=20))
    a, b = (resample([q], y, counts)["brier"] for q in (p, np.full(50, 0.5)))
    difference = minus(a, b)
    assert np.array_equal(difference.drawn, a.drawn - b.drawn)
    assert difference.drawn.std() < a.drawn.std() + b.drawn.std()
    with pytest.raises(LengthMismatch):
        minus(a, resample([p, p], y, counts)["brier"])


def test_refuses_an_unknown_metric():
    with pytest.raises(UnknownName, match="brier"):
        resample([[0.5]], [1], [np.ones((1, 1))], metrics=("beauty",))
