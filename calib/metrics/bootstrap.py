"""Intervals by resampling rows, of one method and of the difference between two."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from calib.checks import FloatArray, checked
from calib.errors import LengthMismatch
from calib.metrics.cell_bootstrap import MIN_ROWS, CellBootstrap
from calib.metrics.noise import NoiseFloor, noise_floor
from calib.metrics.registry import get
from calib.metrics.replicates import OnBins, OnRows, resampling_counts

# Bins of the registered metrics.
N_BINS = 10


class Estimate(BaseModel):
    """A number and its interval; a format is that of each of the three.

    >>> f"{Estimate(value=0.078, low=0.052, high=0.13):.3f}"
    '0.078 [0.052, 0.130]'
    """

    model_config = ConfigDict(frozen=True)

    value: float = Field(description="on the rows as they are")
    low: float = Field(description="lower end of the interval")
    high: float = Field(description="upper end of the interval")

    def __format__(self, spec: str) -> str:
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def times(self, factor: float) -> Self:
        """The same in another unit: 100 makes percent of shares."""
        return self.model_copy(update={name: factor * value for name, value in self})


def intervals(
    p: ArrayLike,
    y: ArrayLike,
    *,
    metrics: tuple[str, ...],
    level: float = 0.95,
    n_replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate | None]:
    """Percentile bootstrap intervals of several metrics.

    Efron 1979; percentiles, not BCa, whose acceleration costs n more evaluations of each metric. Metrics that are means
    over rows or functions of equal-width bins are resampled by cells from 5,000 rows on (`cell_bootstrap` states the
    rule and what it costs in exactness); all others row by row, over the same replicates. Duplicates or clusters of
    queries make the interval too narrow, since rows are resampled independently. The ECE of a replicate is biased
    upward (labels get noise twice), so its interval lies high; judge ECE against `noise_floor`.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.
        metrics: names in METRICS; binned ones have 10 bins.
        level: coverage.
        n_replicates: resamples.
        seed: of the private generator; the global one is left alone.

    Returns:
        One estimate per name; None where the metric is undefined on (p, y).

    Raises:
        UnknownName: no such metric.
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> intervals([0.5, 0.5], [0, 1], metrics=("brier",), n_replicates=10)["brier"]  # every row costs .25
    Estimate(value=0.25, low=0.25, high=0.25)
    """
    p, y = checked(p, y)
    found: dict[str, FloatArray] = {}
    prepare = {name: get(name).prepare for name in metrics}
    if len(p) >= MIN_ROWS:
        cells: CellBootstrap | None = None
        for name, way in prepare.items():
            if isinstance(way, OnBins | OnRows):
                cells = cells or CellBootstrap(p, y, n_bins=N_BINS, n_replicates=n_replicates, seed=seed)
                found[name] = cells.values(way)
    naive = {name: way(p, y) for name, way in prepare.items() if name not in found}
    if naive:
        counts = resampling_counts(len(p), n_replicates=n_replicates, seed=seed)
        chunks = [[f(c) for f in naive.values()] for c in counts]
        found |= dict(zip(naive, map(np.concatenate, zip(*chunks, strict=True)), strict=True))
    return {name: _estimate(get(name).fn(p, y), found[name], level=level) for name in metrics}


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
        metric: a name in METRICS; its `lower_is_better` says which sign is good.
        p_a: (n,) confidence of one method.
        p_b: (n,) confidence of the other, same rows.
        y: (n,) {0, 1}.
        level: coverage.
        n_replicates: resamples.
        seed: of the private generator.

    Returns:
        For ece, brier and log_loss a negative difference speaks for a; None where the metric is undefined. Replicates
        are drawn row by row at any n: what two methods share is lost in cells.

    Raises:
        UnknownName: no such metric.
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> paired_difference("brier", [1.0, 1.0], [0.5, 0.5], [1, 1], n_replicates=10)  # 0 - .25 on every row
    Estimate(value=-0.25, low=-0.25, high=-0.25)
    """
    (p_a, y), (p_b, _) = checked(p_a, y), checked(p_b, y)
    if len(p_a) != len(p_b):
        raise LengthMismatch("p_a", len(p_a), "p_b", len(p_b))
    fn, _, prepare = get(metric)
    on_a, on_b = prepare(p_a, y), prepare(p_b, y)
    counts = resampling_counts(len(y), n_replicates=n_replicates, seed=seed)
    values = np.concatenate([on_a(c) - on_b(c) for c in counts])
    a, b = fn(p_a, y), fn(p_b, y)
    return None if a is None or b is None else _estimate(a - b, values, level=level)


def _estimate(value: float | None, replicates: FloatArray, *, level: float) -> Estimate | None:
    kept = replicates[np.isfinite(replicates)]  # a replicate with one class has no AUROC
    if value is None or not len(kept):
        return None
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value=value, low=float(low), high=float(high))


__all__ = ["Estimate", "NoiseFloor", "intervals", "noise_floor", "paired_difference"]
