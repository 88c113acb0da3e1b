"""Metrics of bootstrap replicates, many at a time.

A replicate is a row of counts: how often each example was drawn. Every metric is a function of those counts, through
sums over rows, bins, groups of tied p or grid nodes, so a thousand replicates are a few matrix products. Each class
here is one way to get there: called with checked (p, y), it gives a function of counts (m, n) that gives (m,) values,
NaN where a replicate leaves the metric undefined.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from calib.checks import FloatArray
from calib.metrics.cells import BinSums, bin_index
from calib.metrics.smooth import N_GRID, nodes_of, smooth_ece_of
from calib.metrics.ties import Ties

OnCounts = Callable[[FloatArray], FloatArray]

# Replicates are made in chunks of about this many counts: 16 MB, whatever n is.
COUNTS_PER_CHUNK = 2_000_000


def chunk_sizes(n: int, n_replicates: int) -> Iterator[int]:
    """How many replicates of n rows to make at a time."""
    size = max(1, COUNTS_PER_CHUNK // n)
    for start in range(0, n_replicates, size):
        yield min(size, n_replicates - start)


def resampling_counts(n: int, *, n_replicates: int, seed: int) -> Iterator[FloatArray]:
    """Chunks (m, n) of resampling counts; each row sums to n."""
    rng = np.random.default_rng(seed)
    for m in chunk_sizes(n, n_replicates):
        drawn = rng.integers(0, n, size=(m, n)) + n * np.arange(m)[:, None]
        yield np.bincount(drawn.ravel(), minlength=m * n).reshape(m, n).astype(np.float64)


def _as_it_is(mean: FloatArray, rate: FloatArray) -> FloatArray:
    return mean


@dataclass(frozen=True)
class OnRows:
    """For finish(mean of rows(p, y), mean of y)."""

    rows: Callable[[FloatArray, FloatArray], FloatArray]
    finish: Callable[[FloatArray, FloatArray], FloatArray] = _as_it_is

    def __call__(self, p: FloatArray, y: FloatArray) -> OnCounts:
        """Prepare for rows (n,)."""
        values = self.rows(p, y) / len(p)
        return lambda counts: self.finish(counts @ values, counts @ y / len(p))


@dataclass(frozen=True)
class OnBins:
    """For a metric of equal-width bins."""

    metric: Callable[[BinSums], FloatArray]
    n_bins: int = 10

    def __call__(self, p: FloatArray, y: FloatArray) -> OnCounts:
        """Prepare for rows (n,)."""
        member = np.zeros((len(p), self.n_bins))
        member[np.arange(len(p)), bin_index(p, n_bins=self.n_bins)] = 1
        right, weight = member * y[:, None], member * p[:, None]
        return lambda counts: self.metric(BinSums(n=counts @ member, y=counts @ right, p=counts @ weight))


@dataclass(frozen=True)
class OnTies:
    """For a metric of groups of tied p."""

    metric: Callable[[Ties], FloatArray]

    def __call__(self, p: FloatArray, y: FloatArray) -> OnCounts:
        """Prepare for rows (n,)."""
        order = np.argsort(p, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(p[order]) > 0])  # first row of each group
        value, right = p[order][starts], y[order]

        def values(counts: FloatArray) -> FloatArray:
            counts = counts[:, order]
            n1 = np.add.reduceat(counts * right, starts, axis=1)
            return self.metric(Ties(p=value, n0=np.add.reduceat(counts, starts, axis=1) - n1, n1=n1))

        return values


@dataclass(frozen=True)
class OnGrid:
    """For the smooth ECE, where each row's residual goes to two nodes of the grid."""

    def __call__(self, p: FloatArray, y: FloatArray) -> OnCounts:
        """Prepare for rows (n,)."""
        left, share = nodes_of(p, n_grid=N_GRID)
        residual, rows = (y - p) / len(p), np.arange(len(p))
        ends = (np.r_[residual * (1 - share), residual * share], (np.r_[left, left + 1], np.r_[rows, rows]))
        spread = csr_array(ends, shape=(N_GRID + 1, len(p)))
        return lambda counts: smooth_ece_of(np.ascontiguousarray((spread @ counts.T).T))


Prepare = OnRows | OnBins | OnTies | OnGrid
