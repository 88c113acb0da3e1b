"""What a metric measures on resampled test queries, seed by seed; the same resamples for every method.

A resample is a row of counts, how often each query was drawn. Two methods measured on the same counts are paired: the
difference of their values has the interval of the difference.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calib.checks import FloatArray, checked
from calib.errors import LengthMismatch, UnknownName
from calib.metrics.binned import bin_index

# Counts are made and used in chunks of about this many: 32 MB.
COUNTS_PER_CHUNK = 4_000_000


@dataclass(frozen=True)
class Resampled:
    """One metric of one method.

    Attributes:
        value: (s,) on the rows as they are, one per training seed; NaN where it is undefined.
        drawn: (s, m) on each of m resamples of the queries.
    """

    value: FloatArray
    drawn: FloatArray


# (p, y) -> a function of counts (m, n) -> (m,) values of the metric, NaN where a resample leaves it undefined
Prepared = Callable[[FloatArray], FloatArray]


def _brier(p: FloatArray, y: FloatArray) -> Prepared:
    rows = (p - y) ** 2
    return lambda counts: np.asarray(counts @ rows / counts.sum(axis=1))


def _ece(p: FloatArray, y: FloatArray) -> Prepared:
    gap = np.zeros((len(p), 10))
    gap[np.arange(len(p)), bin_index(p, n_bins=10)] = y - p
    return lambda counts: np.asarray(np.abs(counts @ gap).sum(axis=1) / counts.sum(axis=1))


def _grouped(p: FloatArray, y: FloatArray) -> Callable[[FloatArray], tuple[FloatArray, FloatArray]]:
    """counts -> (right, wrong) (m, g) in the g groups of tied p, the largest p first."""
    order = np.argsort(-p, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(p[order]) < 0])
    right = y[order]

    def groups(counts: FloatArray) -> tuple[FloatArray, FloatArray]:
        counts = counts[:, order]
        n_right = np.add.reduceat(counts * right, starts, axis=1)
        return n_right, np.add.reduceat(counts, starts, axis=1) - n_right

    return groups


def _auroc(p: FloatArray, y: FloatArray) -> Prepared:
    groups = _grouped(p, y)

    def values(counts: FloatArray) -> FloatArray:
        right, wrong = groups(counts)
        above = np.cumsum(right, axis=1) - right / 2
        pairs = right.sum(axis=1) * wrong.sum(axis=1)
        return np.asarray((wrong * above).sum(axis=1) / np.where(pairs > 0, pairs, np.nan))

    return values


RESAMPLED: dict[str, Callable[[FloatArray, FloatArray], Prepared]] = {"brier": _brier, "ece": _ece, "auroc": _auroc}


def cluster_counts(cluster: NDArray[np.int64], *, n_replicates: int = 1000, seed: int = 0) -> Iterable[FloatArray]:
    """Chunks (m, n) of counts that draw whole clusters of rows with replacement.

    The clusters of all chunks come from one generator over the *sorted* clusters: two sets with the same clusters and
    the same seed get the same resamples, whatever the order of their rows.

    Args:
        cluster: (n,) a number per row; rows that share it are drawn together.
        n_replicates: resamples.
        seed: of the private generator.

    >>> [c.tolist() for c in cluster_counts(np.array([7, 7, 7]), n_replicates=2)]
    [[[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]]
    """
    _, place = np.unique(cluster, return_inverse=True)
    k, rng = int(place.max()) + 1, np.random.default_rng(seed)
    size = max(1, COUNTS_PER_CHUNK // len(cluster))
    for start in range(0, n_replicates, size):
        m = min(size, n_replicates - start)
        drawn = rng.integers(0, k, size=(m, k)) + k * np.arange(m)[:, None]
        yield np.bincount(drawn.ravel(), minlength=m * k).reshape(m, k).astype(np.float64)[:, place]


def resample(
    p: Sequence[ArrayLike], y: ArrayLike, counts: Iterable[FloatArray], *, metrics: Sequence[str] = ("brier",)
) -> dict[str, Resampled]:
    """Metrics of one method under several training seeds, on the rows and on resamples of them.

    Args:
        p: per seed, (n,) confidence in [0, 1].
        y: (n,) {0, 1}.
        counts: chunks (m, n), as `cluster_counts` makes them; a list, if it is used for several methods.
        metrics: names of `RESAMPLED`: brier, ece (10 bins) and auroc.

    Raises:
        UnknownName: no such metric.
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> found = resample([[0.5, 0.5], [1.0, 0.0]], [1, 0], [np.array([[2.0, 0.0]])])["brier"]
    >>> found.value.tolist(), found.drawn.tolist()
    ([0.25, 0.0], [[0.25], [0.0]])
    """
    for name in metrics:
        if name not in RESAMPLED:
            raise UnknownName("metric that can be resampled", name, RESAMPLED)
    prepared = [[RESAMPLED[name](*checked(one, y)) for one in p] for name in metrics]
    whole = np.ones((1, len(np.asarray(y))))
    values = [np.array([f(whole)[0] for f in seeds]) for seeds in prepared]
    drawn = [[[f(chunk) for f in seeds] for seeds in prepared] for chunk in counts]
    return {
        name: Resampled(values[i], np.concatenate([np.stack(chunk[i]) for chunk in drawn], axis=1))
        for i, name in enumerate(metrics)
    }


def minus(a: Resampled, b: Resampled) -> Resampled:
    """a - b, paired: both must have been measured under the same seeds on the same resamples.

    Raises:
        LengthMismatch: they differ in seeds or resamples.
    """
    if a.drawn.shape != b.drawn.shape:
        raise LengthMismatch("a", a.drawn.size, "b", b.drawn.size)
    return Resampled(a.value - b.value, a.drawn - b.drawn)
