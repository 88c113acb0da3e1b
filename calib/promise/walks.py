"""The loosest threshold whose risk is bounded, with probability 1 - delta over the draw of the labels.

Every walk starts where the large model serves all, lowers the bar for the medium model step by step, and stops for good
at the first step that fails: tests in a fixed order need no correction for their number (Angelopoulos et al. 2021,
arXiv:2110.01052). The order comes from the needs alone; labels decide only where it ends.

`need` says how much a query needs the large model: the gain it brings, or minus the confidence in a decision. A query
whose need is at most the threshold is *kept* on the medium model. A need of +inf is never kept.
"""

from dataclasses import dataclass
from math import ceil, log

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom

from routecal.calib.checks import FloatArray
from routecal.calib.errors import LengthMismatch, OutOfRange, TooFewExamples
from routecal.calib.need import NOTHING_KEPT, checked_need, thresholds_of
from routecal.calib.promise.exact_margin import passes

# Of the thresholds that a risk among the kept is tried at: every fiftieth of the queries.
_STEPS = 50
# A promise of at most 5 % is walked to from the strict end; a looser one from three places, each at a third of delta.
# Mean share kept by one and by three starts, 400 draws (AUROC .72, n = 1,000, level .2): .18 and .28; at level .05 a
# third of delta costs more than the starts bring.
_ONE_START_UP_TO = 0.05
_STARTS = 3


@dataclass(frozen=True)
class Walk:
    """Where a walk ended.

    Attributes:
        threshold: a need at most this is kept; `NOTHING_KEPT` where no threshold passed, `ALL_KEPT` where all did.
        kept: share of the rows that are.
        n_kept: their number.
        events: what was counted among them: wrong decisions, harms, or losses minus gains.
    """

    threshold: float
    kept: float
    n_kept: int
    events: int


_NOTHING = Walk(NOTHING_KEPT, 0.0, 0, 0)


def least_rows(level: float, delta: float) -> int:
    """Rows from which on a walk can pass at all: so many without one event have probability delta at a risk of `level`.

    Of all rows for harm and loss, of the kept ones for `keep_at_most`.

    >>> least_rows(0.01, 0.05), least_rows(0.05, 0.05)
    (299, 59)
    """
    return ceil(log(delta) / log(1 - level))


def keep_at_most(need: ArrayLike, wrong: ArrayLike, *, level: float, delta: float) -> Walk:
    """P(decision wrong | kept) <= level.

    Binomial p-values along quantiles of the need, from the strictest with enough rows to pass without an error
    (`least_rows`). The risk among the kept need not rise along the way: a walk that stops says nothing about what lies
    beyond.

    Args:
        need: (n,) finite, or +inf where a query is never kept.
        wrong: (n,) 1 where it was wrong to keep the query, else 0; rows that are not kept do not count.
        level: of the risk, in (0, 1).
        delta: probability that the promise does not hold, in (0, .5].

    Raises:
        LengthMismatch, TooFewExamples, NonFinite, OutOfRange: the arguments are not of this kind.

    >>> keep_at_most(np.arange(100), np.arange(100) >= 60, level=0.1, delta=0.05).n_kept
    60
    """
    s, bad = _checked(need, wrong, level, delta)
    at, kept, wrongs = _every_threshold(s, bad)
    # Of all thresholds, those at quantiles: the first that keeps at least every fiftieth, two fiftieths … of the rows.
    steps = np.ceil((np.arange(_STEPS) + 1) * len(s) / _STEPS)
    grid = np.unique(np.searchsorted(kept, steps))
    grid = grid[grid < len(kept)]
    grid = grid[kept[grid] >= least_rows(level, delta)]
    if not len(grid):
        return _NOTHING
    n_starts = 1 if level <= _ONE_START_UP_TO else _STARTS
    ok = binom.cdf(wrongs[grid], kept[grid], level) <= delta / n_starts
    starts = [i * len(grid) // n_starts for i in range(n_starts)]
    ends = [_end(ok, start) for start in starts if ok[start]]
    return _walk(at, kept, wrongs, int(grid[max(ends)]), len(s)) if ends else _NOTHING


def harm_at_most(need: ArrayLike, harm: ArrayLike, *, level: float, delta: float) -> Walk:
    """P(kept and harmed) <= level per query, where a query is harmed if medium is wrong on it and large is right.

    Rises with every query kept, so the first threshold that is too much has but one chance to pass: the walk is exact
    over all thresholds, without a correction.

    Args:
        need: (n,) finite, or +inf where a query is never kept.
        harm: (n,) 1 where keeping the query does harm, else 0.
        level, delta: as `keep_at_most`.

    >>> harm_at_most(np.arange(200), np.arange(200) >= 150, level=0.05, delta=0.05).n_kept  # 4 of 200 pass at 5 %
    154
    """
    s, bad = _checked(need, harm, level, delta)
    at, kept, harms = _every_threshold(s, bad)
    return _walk(at, kept, harms, _end(binom.cdf(harms, len(s), level) <= delta), len(s))


def harm_on_average(need: ArrayLike, harm: ArrayLike, *, level: float) -> Walk:
    """The same risk, kept on average only: over many draws of the labels its mean is at most `level`.

    Conformal risk control (Angelopoulos et al. 2022, arXiv:2208.02814, eq. 4): (harms + 1) / (n + 1) <= level. No
    promise about this threshold: nearly every other draw of labels ends at one that does more harm (46 % of 400 draws
    at n = 1,000, level .02).

    Args:
        need, harm, level: as `harm_at_most`.

    >>> harm_on_average(np.arange(200), np.arange(200) >= 150, level=0.05).n_kept  # (9 + 1) / 201
    159
    """
    s, bad = _checked(need, harm, level, 0.5)
    at, kept, harms = _every_threshold(s, bad)
    return _walk(at, kept, harms, _end((harms + 1) / (len(s) + 1) <= level), len(s))


def loss_at_most(need: ArrayLike, difference: ArrayLike, *, level: float, delta: float) -> Walk:
    """E[large right - served right] <= level: quality lost against all-large, the queries won back set against it.

    An exact paired test at every threshold (`exact_margin`). Where nothing at all is lost it passes from about 300
    rows on for a level of one point, from 150 for two (`least_rows`); with fewer nothing is kept.

    Args:
        need: (n,) finite, or +inf where a query is never kept.
        difference: (n,) medium right minus large right: -1, 0 or 1.
        level, delta: as `keep_at_most`.

    >>> loss_at_most(np.arange(500), np.where(np.arange(500) < 400, 0, -1), level=0.01, delta=0.05).n_kept
    401
    """
    s, d = _checked(need, difference, level, delta)
    at, kept, gains = _every_threshold(s, d > 0)
    losses = _every_threshold(s, d < 0)[2]
    end = _end(passes(gains, losses, len(s), margin=level, delta=delta))
    return _walk(at, kept, losses - gains, end, len(s))


def _every_threshold(
    s: FloatArray, events: NDArray[np.integer] | NDArray[np.bool_]
) -> tuple[FloatArray, NDArray[np.int64], NDArray[np.int64]]:
    """(thresholds, rows kept at each, events among them), from nothing to all that may be kept."""
    order = np.argsort(s)
    # Where no row may be kept there is no threshold but the first.
    at = thresholds_of(s) if np.isfinite(s).any() else np.array([NOTHING_KEPT])
    kept = np.searchsorted(s[order], at, side="right")
    return at, kept, np.concatenate([[0], np.cumsum(events[order])])[kept]


def _walk(at: FloatArray, kept: NDArray[np.int64], events: NDArray[np.int64], end: int, n: int) -> Walk:
    end = max(end, 0)  # at the first threshold nothing is kept, whether it passes or not
    return Walk(float(at[end]), float(kept[end] / n), int(kept[end]), int(events[end]))


def _end(ok: NDArray[np.bool_], start: int = 0) -> int:
    """The last index of the run of True that begins at `start`; the one before `start` where none does."""
    return start + int(np.argmin(np.append(ok[start:], False))) - 1


def _checked(need: ArrayLike, events: ArrayLike, level: float, delta: float) -> tuple[FloatArray, NDArray[np.int64]]:
    s, e = checked_need(need), np.asarray(events, np.int64)
    if not len(s):
        raise TooFewExamples(0, 1)
    if e.shape != s.shape:
        raise LengthMismatch("need", len(s), "events", e.size)
    if not 0 < level < 1:
        raise OutOfRange("level", level, "above 0 and below 1: a share of queries that may go wrong")
    if not 0 < delta <= 0.5:
        raise OutOfRange("delta", delta, "above 0 and at most .5: 0.05 promises with 95 %")
    return s, e
