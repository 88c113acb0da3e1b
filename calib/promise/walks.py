"""The loosest threshold whose risk is bounded, with probability 1 - delta over the draw of the labels.

Every walk starts where the large model serves all, lowers the bar for the medium model step by step, and stops for good
at the first step that fails: tests in a fixed order need no correction for their number (Angelopoulos et al. 2021,
arXiv:2110.01052). The order comes from the scores alone; labels decide only where it ends.

`score` says how much a query needs the large model: the gain it brings, or minus the confidence in a decision. A query
whose score is at most the threshold is *kept* on the medium model.
"""

from dataclasses import dataclass
from math import ceil, log

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom

from routecal.calib.checks import FloatArray
from routecal.calib.errors import LengthMismatch, NonFinite, OutOfRange, TooFewExamples
from routecal.calib.promise.exact_margin import passes

# Below every score: nothing is kept, the large model serves all.
NOTHING_KEPT = -np.inf
# Of the thresholds that a risk among the kept is tried at: every fiftieth of the queries.
_STEP = 0.02
# A promise of at most 5 % is walked to from the strict end; a looser one from three places, each at a third of delta.
# Mean share kept by one and by three starts, 400 draws (AUROC .72, n = 1,000, level .2): .18 and .28; at level .05 a
# third of delta costs more than the starts bring.
_ONE_START_UP_TO = 0.05
_STARTS = 3


@dataclass(frozen=True)
class Walk:
    """Where a walk ended.

    Attributes:
        threshold: a score at most this is kept; `NOTHING_KEPT` where no threshold passed.
        kept: share of the rows that are.
        n_kept: their number.
        events: what was counted among them: wrong decisions, harms, or losses minus gains.
    """

    threshold: float
    kept: float
    n_kept: int
    events: int


def keep_at_most(score: ArrayLike, wrong: ArrayLike, *, level: float, delta: float) -> Walk:
    """P(decision wrong | kept) <= level.

    Binomial p-values along quantiles of the score, from the strictest with enough rows to pass without an error
    (ceil(log delta / log(1 - level))). The risk among the kept need not rise along the way: a walk that stops says
    nothing about what lies beyond.

    Args:
        score: (n,) finite.
        wrong: (n,) 1 where it was wrong to keep the query, else 0; rows that are not kept do not count.
        level: of the risk, in (0, 1).
        delta: probability that the promise does not hold, in (0, .5].

    Raises:
        LengthMismatch, TooFewExamples, NonFinite, OutOfRange: the arguments are not of this kind.

    >>> keep_at_most(np.arange(100), np.arange(100) >= 60, level=0.1, delta=0.05).n_kept
    60
    """
    s, bad = _checked(score, wrong, level, delta)
    order, wrongs, n = np.sort(s), np.concatenate([[0], np.cumsum(bad[np.argsort(s, kind="stable")])]), len(s)
    grid = np.unique(np.quantile(s, np.arange(_STEP, 1 + _STEP / 2, _STEP), method="inverted_cdf"))
    kept = np.searchsorted(order, grid, side="right")
    grid, kept = (values[kept >= ceil(log(delta) / log(1 - level))] for values in (grid, kept))
    if not len(grid):
        return Walk(NOTHING_KEPT, 0.0, 0, 0)
    starts = 1 if level <= _ONE_START_UP_TO else _STARTS
    ok = binom.cdf(wrongs[kept], kept, level) <= delta / starts
    ends = [_end(ok, int(start)) for start in (np.arange(starts) * len(grid)) // starts]
    at = max(ends)
    if at < 0:
        return Walk(NOTHING_KEPT, 0.0, 0, 0)
    return Walk(float(grid[at]), kept[at] / n, int(kept[at]), int(wrongs[kept[at]]))


def harm_at_most(score: ArrayLike, harm: ArrayLike, *, level: float, delta: float) -> Walk:
    """P(kept and harmed) <= level per query, where a query is harmed if medium is wrong on it and large is right.

    Rises with every query kept, so the first threshold that is too much has but one chance to pass: the walk is exact
    over all thresholds, without a correction.

    Args:
        score: (n,) finite.
        harm: (n,) 1 where keeping the query does harm, else 0.
        level, delta: as `keep_at_most`.

    >>> harm_at_most(np.arange(200), np.arange(200) >= 150, level=0.05, delta=0.05).n_kept  # 4 of 200 pass at 5 %
    154
    """
    s, bad = _checked(score, harm, level, delta)
    at, kept = _every_threshold(s)
    harms = np.concatenate([[0], np.cumsum(bad[np.argsort(s, kind="stable")])])[kept]
    return _last_before_failure(at, kept, harms, binom.cdf(harms, len(s), level) <= delta, len(s))


def loss_at_most(score: ArrayLike, difference: ArrayLike, *, level: float, delta: float) -> Walk:
    """E[large right - served right] <= level: quality lost against all-large, the queries won back set against it.

    An exact paired test at every threshold (`exact_margin`). Where nothing at all is lost it passes from about 270
    rows on for a level of one point, from 135 for two; with fewer nothing is kept.

    Args:
        score: (n,) finite.
        difference: (n,) medium right minus large right: -1, 0 or 1.
        level, delta: as `keep_at_most`.

    >>> loss_at_most(np.arange(500), np.where(np.arange(500) < 400, 0, -1), level=0.01, delta=0.05).n_kept
    401
    """
    s, d = _checked(score, difference, level, delta)
    at, kept = _every_threshold(s)
    sorted_ = d[np.argsort(s, kind="stable")]
    gains, losses = (np.concatenate([[0], np.cumsum(v)])[kept] for v in (sorted_ > 0, sorted_ < 0))
    ok = passes(gains, losses, len(s), margin=level, delta=delta)
    return _last_before_failure(at, kept, losses - gains, ok, len(s))


def _every_threshold(s: FloatArray) -> tuple[FloatArray, NDArray[np.int64]]:
    """(thresholds, rows kept at each), from nothing to all: midway between neighbours, so that rounding turns none."""
    seen = np.unique(s)
    middle = (seen[:-1] + seen[1:]) / 2
    at = np.concatenate([[NOTHING_KEPT], np.where(middle < seen[1:], middle, seen[:-1]), [np.inf]])
    return at, np.searchsorted(np.sort(s), at, side="right")


def _last_before_failure(
    at: FloatArray, kept: NDArray[np.int64], events: NDArray[np.int64], ok: NDArray[np.bool_], n: int
) -> Walk:
    end = _end(ok, 0)
    if end < 0:
        return Walk(NOTHING_KEPT, 0.0, 0, 0)
    return Walk(float(at[end]), kept[end] / n, int(kept[end]), int(events[end]))


def _end(ok: NDArray[np.bool_], start: int) -> int:
    """The last index of the run of True that begins at `start`; -1 where it does not."""
    failed = np.flatnonzero(~ok[start:])
    end = start + (failed[0] if len(failed) else len(ok) - start) - 1
    return int(end) if end >= start else -1


def _checked(score: ArrayLike, events: ArrayLike, level: float, delta: float) -> tuple[FloatArray, NDArray[np.int64]]:
    s, e = np.asarray(score, np.float64), np.asarray(events, np.int64)
    if not len(s):
        raise TooFewExamples(0, 1)
    if e.shape != s.shape:
        raise LengthMismatch("score", len(s), "events", e.size)
    if len(bad := np.flatnonzero(~np.isfinite(s))):
        raise NonFinite("score", tuple(bad.tolist()), len(s))
    if not 0 < level < 1:
        raise OutOfRange("level", level, "above 0 and below 1: a share of queries that may go wrong")
    if not 0 < delta <= 0.5:
        raise OutOfRange("delta", delta, "above 0 and at most .5: 0.05 promises with 95 %")
    return s, e
