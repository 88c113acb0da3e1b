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

    Over several divisions into router, labelled and test rows, seeds are those of a division, and each division tests
    on other queries, some of which it shares with the next: see `_over_divisions`. The interval is then for other
    queries, other divisions and other seeds.

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
    if any(one.divisions > 1 for one in found):
        return _over_divisions(value, found, seeds, level=level)
    drawn = np.mean([_crossed(one.drawn, seed) for one, seed in zip(found, seeds, strict=True)], axis=0)
    drawn = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or not len(drawn):
        return None
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    wider = _stretch(found, seeds, float(drawn.var()), level=level)
    return Estimate(value=value, low=value + wider * float(low - value), high=value + wider * float(high - value))


def _over_divisions(value: float, found: Sequence[Resampled], seeds: Sequence[int], *, level: float) -> Estimate | None:
    """The interval of the mean where each set was divided several times.

    Queries are resampled once for all divisions, so a query that two of them test on is drawn in both, and the variance
    Q of the plain mean is all that queries do. To it comes what divisions (routers and labels) and seeds do,

        E = max(sum over sets of (2 V(u) - mean over r of V(u_r)) / d,  the variance of seeds within divisions / (d s))

    where u are the means of d divisions, u_r those on resample r, V their variance between divisions: the resamples
    carry the noise of the queries once more than u does, and so say how much of V(u) is that noise. Percentiles are
    moved away from the value by sqrt((Q + E) / Q) and by Student's t. Drawing (division, seed) pairs alike, as if they
    were independent, covers 75 to 91 % where divisions differ as much as their queries do or more; this 92 to 98 %, and
    89 % for one set alone whose divisions make nearly all the variance (300 draws, 3 divisions x 3 seeds).
    """
    drawn = np.mean([one.drawn.mean(axis=0) for one in found], axis=0)
    seen = np.isfinite(drawn)
    if not np.isfinite(value) or not seen.any():
        return None
    shared: dict[tuple[int, int, int], list[Resampled]] = {}
    for one, seed in zip(found, seeds, strict=True):
        shared.setdefault((seed, len(one.value), one.divisions), []).append(one)
    divisions = seeds_alone = lost_divisions = lost_seeds = 0.0
    for (_, pairs, d), own in shared.items():
        u = np.sum([one.value for one in own], axis=0).reshape(d, -1) / len(found)
        resampled = np.sum([one.drawn for one in own], axis=0)[:, seen].reshape(d, pairs // d, -1) / len(found)
        if pairs > d:
            within = float(u.var(axis=1, ddof=1).mean()) / pairs
            seeds_alone += within
            lost_seeds += within**2 / (pairs - d)
        if d > 1:
            between = float(u.mean(axis=1).var(ddof=1))
            noisy = float(resampled.mean(axis=1).var(axis=0, ddof=1).mean())
            divisions += (2 * between - noisy) / d
            lost_divisions += (between / d) ** 2 / (d - 1)
    extra, lost = (divisions, lost_divisions) if divisions > seeds_alone else (seeds_alone, lost_seeds)
    queries, tail = float(drawn[seen].var()), (1 + level) / 2
    total = queries + extra
    quantile = float(t.ppf(tail, max(total**2 / lost, 1))) if lost > 0 else float(norm.ppf(tail))
    if queries < 1e-9 * total:
        return Estimate(value=value, low=value - quantile * total**0.5, high=value + quantile * total**0.5)
    low, high = np.quantile(drawn[seen], [1 - tail, tail])
    wider = (total / queries) ** 0.5 * quantile / float(norm.ppf(tail)) if total > 0 else 1.0
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
