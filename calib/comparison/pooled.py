"""Intervals over test queries and training seeds, of one set or of several."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm, t

from routecal.calib.checks import FloatArray
from routecal.calib.comparison.resampled import Resampled
from routecal.calib.metrics.bootstrap import Estimate


def tied_methods(difference: Estimate | None) -> bool:
    """Whether two methods tie: the interval of their difference holds 0, or there is none.

    >>> tied_methods(Estimate(value=0.1, low=-0.1, high=0.3)), tied_methods(Estimate(value=0.1, low=0.0, high=0.3))
    (True, True)
    """
    return difference is None or difference.low <= 0 <= difference.high


def over_seeds(found: Resampled, *, seed: int = 0, level: float = 0.95) -> Estimate | None:
    """Mean over training seeds, with an interval for other queries *and* other seeds.

    See `mean_over`, of which this is the case of one set.

    >>> over_seeds(Resampled(np.array([1.0, 3.0]), np.array([[1.0, 1.0], [3.0, 3.0]])), seed=1).value
    2.0
    """
    return mean_over([found], seeds=[seed], level=level)


def mean_over(found: Sequence[Resampled], *, seeds: Sequence[int], level: float = 0.95) -> Estimate | None:
    """Mean over several sets and all their training seeds, with a percentile interval.

        replicate r:  mean over sets of  q_r + sqrt(s / (s-1)) (mean of s seeds drawn with replacement - q_r)

    where every seed's value is that on the queries of resample r, and q_r their plain mean. Queries and seeds are
    crossed (each seed is tested on the same queries), so both are resampled: the pigeonhole bootstrap of Owen
    (2007, Annals of Applied Statistics), whose variance is, if anything, too large. Departs from it: the factor undoes
    what drawing s of s seeds takes off their variance, which at 5 seeds is a fifth. Sets count alike and are not
    resampled: the interval is about these sets.

    The variance of few seeds is itself a guess: percentiles are moved away from the value by Student's t over the
    normal quantile, with Satterthwaite's degrees of freedom (1946): s - 1 where seeds make all the variance, more where
    queries do. One seed has no variance to show, and the interval is of queries alone.

    Args:
        found: per set; resample r of sets that share questions must be of the same questions.
        seeds: per set, of the generator that draws training seeds; sets whose seeds drew the same labels share it.
        level: coverage.

    Returns:
        None where a set's metric is undefined on its rows. Single resamples where it is undefined are left out.

    >>> same = Resampled(np.array([1.0]), np.array([[1.0, 1.0]]))
    >>> mean_over([same, same], seeds=[0, 0])
    Estimate(value=1.0, low=1.0, high=1.0)
    """
    value = float(np.mean([one.value.mean() for one in found]))
    drawn = np.mean([_crossed(one.drawn, seed) for one, seed in zip(found, seeds, strict=True)], axis=0)
    drawn = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or not len(drawn):
        return None
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    wider = _stretch(found, seeds, float(drawn.var()), level=level)
    return Estimate(value=value, low=value + wider * float(low - value), high=value + wider * float(high - value))


def _stretch(found: Sequence[Resampled], seeds: Sequence[int], variance: float, *, level: float) -> float:
    """Quantile of Student's t over the normal one, with the degrees of freedom that few seeds leave."""
    shared: dict[tuple[int, int], list[FloatArray]] = {}
    for one, seed in zip(found, seeds, strict=True):
        shared.setdefault((seed, len(one.value)), []).append(one.value)
    lost = 0.0
    for (_, s), values in shared.items():
        if s > 1:
            lost += float((np.sum(values, axis=0) / len(found)).var(ddof=1) / s) ** 2 / (s - 1)
    tail = (1 + level) / 2
    return float(t.ppf(tail, max(variance**2 / lost, 1)) / norm.ppf(tail)) if lost > 0 else 1.0


def _crossed(drawn: FloatArray, seed: int) -> FloatArray:
    """(m,) replicates over queries and seeds from (s, m) over queries."""
    s, m = drawn.shape
    plain = drawn.mean(axis=0)
    if s == 1:
        return np.asarray(plain)
    chosen = np.random.default_rng(seed).integers(0, s, size=(s, m))
    means = np.take_along_axis(drawn, chosen, axis=0).mean(axis=0)
    return np.asarray(plain + np.sqrt(s / (s - 1)) * (means - plain))
