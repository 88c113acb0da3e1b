"""Ranks: by value, with ties where the paired interval says tie."""

import numpy as np
import pytest

from routecal.calib.comparison import Resampled, rank


def around(value, noise):
    return Resampled(np.array([value]), value + np.atleast_2d(noise))


def test_a_difference_within_noise_is_a_tie_and_one_beyond_it_is_not():
    rng = np.random.default_rng(0)
    common, own = rng.normal(0, 0.05, 500), rng.normal(0, 0.01, 500)
    found = {
        "far": [around(0.30, common), around(0.30, common)],
        "first": [around(0.20, common), around(0.20, common)],
        "near": [around(0.201, common + own), around(0.201, common + own)],
    }
    ranks = {r.method: r for r in rank(found, seeds=[0, 1])}
    assert list(ranks) == ["first", "near", "far"]
    assert [r.mean_rank for r in ranks.values()] == [1, 2, 3]
    assert [r.mean_tied_rank for r in ranks.values()] == [1, 1, 3]
    assert [r.is_first for r in ranks.values()] == [True, True, False]
    assert ranks["far"].behind.value == pytest.approx(0.10)


def test_equal_values_share_their_rank_and_higher_may_be_better():
    found = {name: [around(value, np.zeros(10))] for name, value in {"a": 0.7, "b": 0.8, "c": 0.8}.items()}
    ranks = {r.method: r.mean_rank for r in rank(found, seeds=[0], lower_is_better=False)}
    assert ranks == {"b": 1.5, "c": 1.5, "a": 3}
