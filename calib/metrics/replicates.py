"""Metrics of bootstrap replicates, many at a time.

A replicate is a row of counts: how often each example was drawn. A metric is a function of those counts, through sums
over rows or groups of tied p, so a thousand replicates are a few matrix products. Each class here is one way to get
there: called with checked (p, y), it gives a function of counts (m, n) that gives (m,) values, NaN where a replicate
leaves the metric undefined. Calibration errors have none: noise in the labels adds to them, resampling adds it again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from routecal.calib.checks import FloatArray
from routecal.calib.metrics.ties import Ties

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


@dataclass(frozen=True)
class OnRows:
    """For a mean of rows(p, y), or a metric whose linear part is one."""

    rows: Callable[[FloatArray, FloatArray], FloatArray]

    def __call__(self, p: FloatArray, y: FloatArray) -> OnCounts:
        """Prepare for rows (n,)."""
        values = self.rows(p, y) / len(p)
        return lambda counts: np.asarray(counts @ values)


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


Prepare = OnRows | OnTies
