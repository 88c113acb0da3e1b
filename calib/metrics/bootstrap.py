"""Intervals of metrics, of one method and of the difference between two."""

from collections.abc import Mapping
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, Field
from scipy.special import expit, logit
from scipy.stats import t

from routecal.calib.checks import FloatArray, checked
from routecal.calib.errors import LengthMismatch, NoInterval
from routecal.calib.metrics.bin_counts import wilson
from routecal.calib.metrics.calibration_interval import ece_interval
from routecal.calib.metrics.registry import METRICS, WITH_INTERVAL, get_metric
from routecal.calib.metrics.replicates import OnCounts, OnRows, OnTies, resampling_counts


class Estimate(BaseModel, frozen=True):
    """A number and its interval; a format is that of each of the three.

    >>> f"{Estimate(value=0.078, low=0.052, high=0.13):.3f}"
    '0.078 [0.052, 0.130]'
    """

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
    """Intervals of several metrics, each by what covers its truth.

    - ece: test inversion (`calibration_interval`); holds 0 where noise explains all.
    - brier, brier_skill: of a mean with skewed values (`mean_interval`).
    - auroc, aurc, augrc: the standard error of the bootstrap (Efron 1979) on the logit scale, whose ends stay in
      [0, 1] and which is near to normal where few rows decide. Where every replicate gives 0 or 1, Wilson's interval
      of as many trials as the rarer class has rows.

    Coverage at 100, 300 and 1,000 rows: `tests/bench/coverage.py`. Duplicates or clusters of queries make every
    interval too narrow, since rows are taken as independent. A metric that is not listed has no interval.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.
        metrics: names in `WITH_INTERVAL`.
        level: coverage.
        n_replicates: resamples, and redraws for ECE.
        seed: of the private generators; the global one is left alone.

    Returns:
        One estimate per name; None where the metric is undefined on (p, y).

    Raises:
        UnknownName, NoInterval: no such metric, or none with an interval.
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> intervals([0.5, 0.5], [0, 1], metrics=("brier",))["brier"]  # every row costs .25
    Estimate(value=0.25, low=0.25, high=0.25)
    """
    p, y = checked(p, y)
    ways = {name: get_metric(name).prepare for name in metrics}
    if without := [name for name, way in ways.items() if way is None and name != "ece"]:
        raise NoInterval(without[0], "of", WITH_INTERVAL)
    values = {name: get_metric(name).fn(p, y) for name in metrics}
    replicates = _replicates(
        {name: way(p, y) for name, way in ways.items() if isinstance(way, OnTies)}, len(p), n_replicates, seed
    )
    trials = int(min(y.sum(), len(y) - y.sum())) or len(y)
    found: dict[str, Estimate | None] = {}
    for name, value in values.items():
        way = ways[name]
        if value is None:
            found[name] = None
            continue
        if way is None:
            low, high = ece_interval(p, y, level=level, n_replicates=n_replicates, seed=seed)
        elif isinstance(way, OnRows):
            low, high = mean_interval(way.rows(p, y), level=level)
        else:
            low, high = _on_logit_scale(value, replicates[name], trials=trials, level=level)
        found[name] = Estimate(value=value, low=low, high=high)
    return found


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
    """metric(p_a, y) - metric(p_b, y) with an interval over the same rows.

    Far narrower than the two intervals side by side suggest, since both methods meet the same hard queries. For
    brier and brier_skill that of the mean difference (`mean_interval`), for auroc, aurc and augrc percentiles over
    the same resampled rows. A difference of calibration errors has none: each is too large by its own noise.

    Args:
        metric: a name in METRICS; its `lower_is_better` says which sign is good.
        p_a: (n,) confidence of one method.
        p_b: (n,) confidence of the other, same rows.
        y: (n,) {0, 1}.
        level: coverage.
        n_replicates: resamples.
        seed: of the private generator.

    Returns:
        For brier a negative difference speaks for a; None where the metric is undefined.

    Raises:
        UnknownName, NoInterval: no such metric, or none whose differences have an interval.
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> paired_difference("brier", [1.0, 1.0], [0.5, 0.5], [1, 1])  # 0 - .25 on every row
    Estimate(value=-0.25, low=-0.25, high=-0.25)
    """
    (p_a, y), (p_b, _) = checked(p_a, y), checked(p_b, y)
    if len(p_a) != len(p_b):
        raise LengthMismatch("p_a", len(p_a), "p_b", len(p_b))
    fn, _, way = get_metric(metric)
    if way is None:
        raise NoInterval(metric, "of a difference in", [name for name, other in METRICS.items() if other.prepare])
    a, b = fn(p_a, y), fn(p_b, y)
    if a is None or b is None:
        return None
    if isinstance(way, OnRows):
        low, high = mean_interval(way.rows(p_a, y) - way.rows(p_b, y), level=level)
    else:
        drawn = _replicates({"a": way(p_a, y), "b": way(p_b, y)}, len(y), n_replicates, seed)
        low, high = np.nanquantile(drawn["a"] - drawn["b"], [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value=a - b, low=float(low), high=float(high))


def mean_interval(values: ArrayLike, *, level: float = 0.95) -> tuple[float, float]:
    """Confidence interval of the mean of independent, skewed values (losses), by Hall's transformation of Student's t.

        T = sqrt(n) (mean - mu) / s;   g(T) = T + a T² + a² T³ / 3 + a / 2,   a = skewness / (3 sqrt n)
        interval: mean - s / sqrt(n) · g⁻¹(± t),   t the quantile of Student's t with n - 1 degrees of freedom

    Hall 1992 (Journal of the Royal Statistical Society B 54, 221-228): g takes the skewness out of T, and unlike an
    expansion it can be inverted everywhere. No resampling: exact numbers, in one pass.

    When it lies: values that never vary have an interval of no width, as has a single one, whatever other rows may
    hold; a loss that one row in a thousand makes is not seen in a hundred.

    Args:
        values: (n,) one per row.
        level: coverage.

    >>> low, high = mean_interval([0.0, 0.0, 0.0, 1.0] * 25)
    >>> round(low, 3), round(high, 3)  # Wilson's interval of 25 in 100: .175 to .343
    (0.17, 0.345)
    """
    x: FloatArray = np.asarray(values, np.float64)
    n, mean = len(x), float(x.mean())
    centred = x - mean
    square = centred * centred
    return mean_interval_of(n, mean, float(square.sum()), float(square @ centred), level=level)


def mean_interval_of(n: int, mean: float, m2: float, m3: float, *, level: float = 0.95) -> tuple[float, float]:
    """`mean_interval` of values that are not at hand any more, from what is known of them.

    Args:
        n: values.
        mean: of them.
        m2: sum of their squared distances from the mean.
        m3: sum of the cubes of these.
        level: coverage.

    >>> mean_interval_of(4, 0.25, 0.75, 0.375) == mean_interval([0.0, 0.0, 0.0, 1.0])
    True
    """
    spread = (m2 / max(n - 1, 1)) ** 0.5
    if spread <= 1e-12 * max(abs(mean), 1e-300):  # rounding
        return mean, mean
    a = m3 / n / (m2 / n) ** 1.5 / (3 * n**0.5)
    quantile = float(t.ppf((1 + level) / 2, n - 1))

    def back(value: float) -> float:
        """g⁻¹; the plain value where there is no skewness to speak of."""
        return float(np.cbrt(1 + 3 * a * (value - a / 2)) - 1) / a if abs(a) > 1e-9 else value

    return mean - back(quantile) * spread / n**0.5, mean - back(-quantile) * spread / n**0.5


def _replicates(ways: Mapping[str, OnCounts], n: int, n_replicates: int, seed: int) -> dict[str, FloatArray]:
    """By name, the values (m,) on the same resampled rows."""
    if not ways:
        return {}
    chunks = [[f(c) for f in ways.values()] for c in resampling_counts(n, n_replicates=n_replicates, seed=seed)]
    return dict(zip(ways, map(np.concatenate, zip(*chunks, strict=True)), strict=True))


def _on_logit_scale(value: float, replicates: FloatArray, *, trials: int, level: float) -> tuple[float, float]:
    """Ends in [0, 1] around a share, by the spread of its replicates; NaN among these (one class) are left out."""
    kept = replicates[np.isfinite(replicates)]
    if not 0 < value < 1:
        low, high = wilson(np.array(value * trials), np.array(trials), level=level)
        return float(low), float(high)
    reach = NormalDist().inv_cdf((1 + level) / 2) * float(kept.std(ddof=1)) / (value * (1 - value))
    return float(expit(logit(value) - reach)), float(expit(logit(value) + reach))
