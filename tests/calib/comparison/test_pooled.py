"""Intervals over queries and seeds: their width is that of the truth, and undefined is None."""

import numpy as np
import pytest

from routecal.calib.comparison import Resampled, mean_over, over_seeds, tied_methods

N = 60
COUNTS = np.random.default_rng(99).multinomial(N, np.full(N, 1 / N), size=400) / N


def crossed(n_seeds, *, seed, seed_sd, query_sd, noise_sd=0.0):
    """A metric that is a mean of rows: seed effect + query effect + noise, on resamples of the queries."""
    rng = np.random.default_rng(seed)
    rows = (
        rng.normal(0, seed_sd, (n_seeds, 1)) + rng.normal(0, query_sd, (1, N)) + rng.normal(0, noise_sd, (n_seeds, N))
    )
    return Resampled(rows.mean(axis=1), rows @ COUNTS.T)


def covers(n_seeds, **how):
    found = [over_seeds(crossed(n_seeds, seed=i, **how), seed=i) for i in range(300)]
    return np.mean([e.low <= 0 <= e.high for e in found])


def test_the_interval_covers_where_queries_vary():
    assert 0.90 <= covers(5, seed_sd=0.0, query_sd=1.0) <= 0.98


def test_the_interval_covers_where_seeds_vary():
    # five seeds are few: without Student's quantile it is 0.86
    assert covers(5, seed_sd=0.1, query_sd=0.0) >= 0.93
    assert 0.90 <= covers(20, seed_sd=0.1, query_sd=0.0) <= 0.98


def test_the_interval_is_too_wide_rather_than_too_narrow_where_both_interact():
    assert covers(5, seed_sd=0.0, query_sd=0.0, noise_sd=1.0) >= 0.95


def test_one_seed_has_the_interval_of_its_queries():
    one = crossed(1, seed=0, seed_sd=0.0, query_sd=1.0)
    low, high = np.quantile(one.drawn[0], [0.025, 0.975])
    found = over_seeds(one)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_sets_count_alike_and_keep_their_pairing():
    a = crossed(3, seed=1, seed_sd=0.1, query_sd=1.0)
    b = Resampled(-a.value, -a.drawn)
    assert mean_over([a, a], seeds=[4, 4]) == mean_over([a], seeds=[4])
    cancelled = mean_over([a, b], seeds=[4, 4])
    assert max(abs(cancelled.value), abs(cancelled.low), abs(cancelled.high)) < 1e-12


def test_undefined_is_none_and_a_tie():
    nothing = Resampled(np.array([np.nan]), np.array([[0.5, 0.5]]))
    assert over_seeds(nothing) is None
    assert tied_methods(over_seeds(nothing))
    some = over_seeds(Resampled(np.array([0.5]), np.array([[0.4, np.nan, 0.6]])))
    assert (some.low, some.high) == (0.405, 0.595)
