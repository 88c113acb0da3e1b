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


def divided(divisions, seeds, *, seed, division_sd, seed_sd, query_sd, noise_sd=0.0):
    """A mean of rows whose queries fall into the test part of each division with probability .3."""
    rng = np.random.default_rng(seed)
    queries, counts = rng.normal(0, query_sd, 300), rng.multinomial(300, np.full(300, 1 / 300), size=200)
    value, drawn = [], []
    for _ in range(divisions):
        own, effect = rng.random(300) < 0.3, rng.normal(0, division_sd)
        for _ in range(seeds):
            rows = (queries + rng.normal(0, noise_sd, 300))[own] + effect + rng.normal(0, seed_sd)
            value.append(rows.mean())
            drawn.append(counts[:, own] @ rows / counts[:, own].sum(axis=1))
    return Resampled(np.array(value), np.array(drawn), divisions)


@pytest.mark.parametrize(
    ("varies", "least"),
    [
        ({"query_sd": 1.0, "division_sd": 0.0, "seed_sd": 0.0}, 0.93),
        ({"query_sd": 1.0, "division_sd": 0.1, "seed_sd": 0.03}, 0.91),  # pairs drawn alike: .88
        ({"query_sd": 1.0, "division_sd": 0.5, "seed_sd": 0.0}, 0.85),  # pairs drawn alike: .71
        ({"query_sd": 0.5, "division_sd": 0.0, "seed_sd": 0.1, "noise_sd": 0.3}, 0.93),
    ],
)
def test_the_interval_covers_over_divisions(varies, least):
    found = [over_seeds(divided(3, 3, seed=i, **varies)) for i in range(300)]
    assert least <= np.mean([e.low <= 0 <= e.high for e in found]) <= 0.99


def test_divisions_of_several_sets_are_pooled():
    how = {"query_sd": 1.0, "division_sd": 0.5, "seed_sd": 0.0}
    found = [mean_over([divided(3, 2, seed=10 * i + k, **how) for k in range(3)], seeds=range(3)) for i in range(120)]
    assert 0.91 <= np.mean([e.low <= 0 <= e.high for e in found]) <= 0.99


def test_divisions_that_only_queries_tell_apart_have_an_interval_of_queries():
    """Every division measures the mean of its own rows, and nothing else: V(u) is their noise."""
    how = {"query_sd": 1.0, "division_sd": 0.0, "seed_sd": 0.0}
    alone = [divided(3, 3, seed=i, **how) for i in range(100)]
    widths = [(e.high - e.low) / (3.92 * one.drawn.mean(axis=0).std()) for one in alone for e in [over_seeds(one)]]
    assert 0.95 <= np.median(widths) <= 1.12  # with V(u) as it is: 1.18


def test_seeds_count_where_divisions_do_not_differ():
    one = Resampled(np.array([1.0, 3.0, 1.0, 3.0]), np.repeat([[1.0], [3.0], [1.0], [3.0]], 5, axis=1), 2)
    found = over_seeds(one)
    # variance within either division 2, of the mean of four .5; two degrees of freedom
    assert found.high - found.value == pytest.approx(4.3027 * 0.5**0.5, abs=1e-3)


def test_without_noise_of_queries_an_interval_is_of_divisions_alone():
    one = Resampled(np.array([1.0, 2.0, 3.0]), np.repeat([[1.0], [2.0], [3.0]], 5, axis=1), 3)
    found = over_seeds(one)
    # mean 2, standard error of three divisions 1 / sqrt(3), t with two degrees of freedom 4.303
    assert (found.low, found.high) == pytest.approx((2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-3)
