"""What a metric measures on resampled test queries, seed by seed; the same resamples for every method.

A resample is a row of counts, how often each query was drawn. Two methods measured on the same counts are paired: the
difference of their values has the interval of the difference.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from routecal.calib.checks import FloatArray, checked
from routecal.calib.errors import LengthMismatch, NoInterval
from routecal.calib.metrics import get_metric
from routecal.calib.metrics.registry import WITH_INTERVAL
from routecal.calib.metrics.replicates import OnCounts

# Resamples made at a time. Fixed, as it decides which numbers a generator draws for which stratum.
PER_CHUNK = 100


@dataclass(frozen=True)
class Resampled:
    """One metric of one method.

    Attributes:
        value: (s,) on the rows as they are, one per training seed; NaN where it is undefined.
        drawn: (s, m) on each of m resamples of the queries.
        divisions: how many divisions into router, labelled and test rows the seeds belong to, division by division.
    """

    value: FloatArray
    drawn: FloatArray
    divisions: int = 1


# What a method is compared by, of `calib.metrics.METRICS`.
COMPARED = ("brier", "auroc", "aurc")


def paired_counts(strata: Sequence[tuple[NDArray[np.int64], int]], *, n_replicates: int = 1000) -> Iterator[FloatArray]:
    """Chunks (m, n) of resampling counts; every stratum is resampled by itself, from a generator of its own.

    Two sets whose files share questions are not independent samples. With the shared rows as one stratum, in the same
    order and with the same seed, a resample draws the same questions of both.

    Args:
        strata: (rows, seed) each; together the rows are 0 … n-1.
        n_replicates: resamples; each row of counts sums to n.

    >>> [c.sum(axis=1).tolist() for c in paired_counts([(np.array([0, 2]), 1), (np.array([1]), 2)], n_replicates=2)]
    [[3.0, 3.0]]
    """
    n = sum(len(rows) for rows, _ in strata)
    generators = [np.random.default_rng(seed) for _, seed in strata]
    for start in range(0, n_replicates, PER_CHUNK):
        m = min(PER_CHUNK, n_replicates - start)
        counts = np.empty((m, n))
        for (rows, _), rng in zip(strata, generators, strict=True):
            k = len(rows)
            drawn = rng.integers(0, k, size=(m, k)) + k * np.arange(m)[:, None] if k else np.empty((m, 0), np.int64)
            counts[:, rows] = np.bincount(drawn.ravel(), minlength=m * k).reshape(m, k)
        yield counts


def resample(
    p: Sequence[ArrayLike], y: ArrayLike, counts: Iterable[FloatArray], *, metrics: Sequence[str] = COMPARED
) -> dict[str, Resampled]:
    """Metrics of one method under several training seeds, on the rows and on resamples of them.

    Args:
        p: per seed, (n,) confidence in [0, 1].
        y: (n,) {0, 1}.
        counts: chunks (m, n), as `paired_counts` makes them; a list, if it is used for several methods.
        metrics: names of `calib.metrics.METRICS` that can be resampled; calibration errors cannot.

    Raises:
        UnknownName, NoInterval: no such metric, or none that can be resampled.
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> found = resample([[0.5, 0.5], [1.0, 0.0]], [1, 0], [np.array([[2.0, 0.0]])], metrics=("brier",))["brier"]
    >>> found.value.tolist(), found.drawn.tolist()
    ([0.25, 0.0], [[0.25], [0.0]])
    """
    measured = [get_metric(name) for name in metrics]
    rows = [checked(one, y) for one in p]
    prepared = [[_prepared(name, *one) for one in rows] for name in metrics]
    values = [np.array([_or_nan(metric.fn(*one)) for one in rows]) for metric in measured]
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
    return Resampled(a.value - b.value, a.drawn - b.drawn, a.divisions)


def over_divisions(found: Sequence[Resampled]) -> Resampled:
    """One metric of one method over several divisions, all measured on resamples of the same questions."""
    values, drawn = ([getattr(one, field) for one in found] for field in ("value", "drawn"))
    return Resampled(np.concatenate(values), np.concatenate(drawn), len(found))


def _prepared(name: str, p: FloatArray, y: FloatArray) -> OnCounts:
    way = get_metric(name).prepare
    if way is None:
        raise NoInterval(name, "by resampling", [known for known in WITH_INTERVAL if get_metric(known).prepare])
    return way(p, y)


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value
