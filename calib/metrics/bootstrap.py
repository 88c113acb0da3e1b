"""Intervals by resampling rows, and the noise floor of the calibration error.

A replicate is a row of counts: how often each example was drawn. Every metric here is a function of those counts, so a
thousand replicates are a few matrix products and all metrics of one call see the same replicates.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from calib.checks import FloatArray, checked, checked_p
from calib.errors import LengthMismatch, UnknownName
from calib.metrics.binned import bin_index, ece
from calib.metrics.proper import brier, brier_rows, brier_skill, log_loss, log_loss_rows
from calib.metrics.ranking import auroc

# Replicates are made in chunks of about this many counts: 16 MB, whatever n is.
COUNTS_PER_CHUNK = 2_000_000


class Estimate(BaseModel):
    """A number and its interval."""

    model_config = ConfigDict(frozen=True)

    value: float = Field(description="on the rows as they are")
    low: float = Field(description="lower end of the interval")
    high: float = Field(description="upper end of the interval")


class NoiseFloor(NamedTuple):
    """What a perfectly calibrated p would measure: mean and band of ECE over redrawn labels."""

    mean: float
    low: float
    high: float


# (p, y) -> a function of counts (m, n) -> (m,) values of the metric, NaN where a replicate leaves it undefined
Prepared = Callable[[FloatArray], FloatArray]


def _ece(p: FloatArray, y: FloatArray, *, n_bins: int = 10) -> Prepared:
    gap = np.zeros((len(p), n_bins))
    gap[np.arange(len(p)), bin_index(p, n_bins=n_bins)] = y - p
    return lambda counts: np.asarray(np.abs(counts @ gap).sum(axis=1) / len(p))


def _brier(p: FloatArray, y: FloatArray) -> Prepared:
    rows = brier_rows(p, y) / len(p)
    return lambda counts: counts @ rows


def _log_loss(p: FloatArray, y: FloatArray) -> Prepared:
    rows = log_loss_rows(p, y) / len(p)
    return lambda counts: counts @ rows


def _brier_skill(p: FloatArray, y: FloatArray) -> Prepared:
    rows = brier_rows(p, y) / len(p)

    def values(counts: FloatArray) -> FloatArray:
        q = counts @ y / len(p)
        spread = np.where((q > 0) & (q < 1), q * (1 - q), np.nan)
        return 1 - (counts @ rows) / spread

    return values


def _auroc(p: FloatArray, y: FloatArray) -> Prepared:
    order = np.argsort(p, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(p[order]) > 0])  # first row of each group of tied p
    right = y[order]

    def values(counts: FloatArray) -> FloatArray:
        counts = counts[:, order]
        n1 = np.add.reduceat(counts * right, starts, axis=1)
        n0 = np.add.reduceat(counts * (1 - right), starts, axis=1)
        below = np.cumsum(n0, axis=1) - n0 / 2
        pairs = n1.sum(axis=1) * n0.sum(axis=1)
        return np.asarray((n1 * below).sum(axis=1) / np.where(pairs > 0, pairs, np.nan))

    return values


_ON_COUNTS: dict[str, tuple[Callable[..., float | None], Callable[[FloatArray, FloatArray], Prepared]]] = {
    "ece": (ece, _ece),
    "brier": (brier, _brier),
    "log_loss": (log_loss, _log_loss),
    "brier_skill": (brier_skill, _brier_skill),
    "auroc": (auroc, _auroc),
}


def intervals(
    p: ArrayLike,
    y: ArrayLike,
    *,
    metrics: tuple[str, ...],
    level: float = 0.95,
    n_replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate | None]:
    """Percentile bootstrap intervals of several metrics over the same replicates.

    Efron 1979. Rows are resampled independently: duplicates or clusters of queries make the interval too narrow. The
    ECE of a replicate is biased upward (labels get noise twice), so its interval lies high; judge ECE against
    `noise_floor`.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.
        metrics: names among ece (10 bins), brier, log_loss, brier_skill, auroc.
        level: coverage.
        n_replicates: resamples.
        seed: of the private generator; the global one is left alone.

    Returns:
        One estimate per name; None where the metric is undefined on (p, y).

    Raises:
        UnknownName: a metric has no bootstrap.
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> intervals([0.5, 0.5], [0, 1], metrics=("brier",), n_replicates=10)["brier"]  # every row costs .25
    Estimate(value=0.25, low=0.25, high=0.25)
    """
    p, y = checked(p, y)
    prepared = {name: _lookup(name)[1](p, y) for name in metrics}
    chunks = [
        [f(counts) for f in prepared.values()] for counts in _counts(len(p), n_replicates=n_replicates, seed=seed)
    ]
    replicates = [np.concatenate(column) for column in zip(*chunks, strict=True)]
    return {
        name: _estimate(_lookup(name)[0](p, y), values, level=level)
        for name, values in zip(metrics, replicates, strict=True)
    }


def paired_difference(
    metric: str,
    p_a: ArrayLike,
    p_b: ArrayLike,
    y: ArrayLike,
    *,
    level: float = 0.95,
    n_replicates: int = 1000,
    seed: int = 0,
) -> Estimate | None:
    """metric(p_a, y) - metric(p_b, y) with a percentile interval over the same resampled rows.

    Far narrower than the two intervals side by side suggest, since both methods meet the same hard queries.

    Args:
        metric: a name, as in `intervals`.
        p_a: (n,) confidence of one method.
        p_b: (n,) confidence of the other, same rows.
        y: (n,) {0, 1}.
        level: coverage.
        n_replicates: resamples.
        seed: of the private generator.

    Returns:
        For ece, brier and log_loss a negative difference speaks for a; None where the metric is undefined.

    Raises:
        UnknownName: the metric has no bootstrap.
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> paired_difference("brier", [1.0, 1.0], [0.5, 0.5], [1, 1], n_replicates=10)  # 0 - .25 on every row
    Estimate(value=-0.25, low=-0.25, high=-0.25)
    """
    (p_a, y), (p_b, _) = checked(p_a, y), checked(p_b, y)
    if len(p_a) != len(p_b):
        raise LengthMismatch("p_a", len(p_a), "p_b", len(p_b))
    fn, prepare = _lookup(metric)
    on_a, on_b = prepare(p_a, y), prepare(p_b, y)
    values = np.concatenate([on_a(c) - on_b(c) for c in _counts(len(y), n_replicates=n_replicates, seed=seed)])
    a, b = fn(p_a, y), fn(p_b, y)
    return None if a is None or b is None else _estimate(a - b, values, level=level)


def noise_floor(
    p: ArrayLike, *, n_bins: int = 10, seed: int = 0, n_replicates: int = 1000, level: float = 0.95
) -> NoiseFloor:
    """ECE that this very p would measure if it were perfectly calibrated: labels are redrawn from p itself.

    An ECE inside [low, high] is no evidence of miscalibration; n is too small to tell. Bröcker & Smith 2007
    (consistency resampling), applied to ECE instead of single bins.

    Args:
        p: (n,) confidence in [0, 1].
        n_bins: equal-width bins, rule as in `binned.ece`.
        seed: of the private generator.
        n_replicates: redraws.
        level: coverage of the band.

    Raises:
        InvalidProbability, TooFewExamples: see `calib.checks.checked_p`.

    >>> noise_floor([0.0, 1.0, 1.0])  # labels redrawn from certainties never miss
    NoiseFloor(mean=0.0, low=0.0, high=0.0)
    """
    p = checked_p(p)
    rng = np.random.default_rng(seed)
    bins = np.zeros((len(p), n_bins), np.float32)
    bins[np.arange(len(p)), bin_index(p, n_bins=n_bins)] = 1
    expected = p @ bins
    hits = [(rng.random((m, len(p))) < p).astype(np.float32) @ bins for m in _chunk_sizes(len(p), n_replicates)]
    values = np.abs(np.concatenate(hits) - expected).sum(axis=1) / len(p)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return NoiseFloor(mean=float(values.mean()), low=float(low), high=float(high))


def _lookup(name: str) -> tuple[Callable[..., float | None], Callable[[FloatArray, FloatArray], Prepared]]:
    if name not in _ON_COUNTS:
        raise UnknownName("metric with a bootstrap", name, _ON_COUNTS)
    return _ON_COUNTS[name]


def _chunk_sizes(n: int, n_replicates: int) -> Iterator[int]:
    size = max(1, COUNTS_PER_CHUNK // n)
    for start in range(0, n_replicates, size):
        yield min(size, n_replicates - start)


def _counts(n: int, *, n_replicates: int, seed: int) -> Iterator[FloatArray]:
    """Chunks (m, n) of resampling counts; each row sums to n."""
    rng = np.random.default_rng(seed)
    for m in _chunk_sizes(n, n_replicates):
        drawn = rng.integers(0, n, size=(m, n)) + n * np.arange(m)[:, None]
        yield np.bincount(drawn.ravel(), minlength=m * n).reshape(m, n).astype(np.float64)


def _estimate(value: float | None, replicates: FloatArray, *, level: float) -> Estimate | None:
    kept = replicates[np.isfinite(replicates)]  # a replicate with one class has no AUROC
    if value is None or not len(kept):
        return None
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value=value, low=float(low), high=float(high))
