"""One number for an order of queries: the area of its cost-quality curve over random, 0 for random, 1 for the oracle.

Queries are handed to the large model one after the other, those of highest need first. What the curve gains over the
straight line from all-medium to all-large is a sum over pairs of queries, each of which the order has right or wrong:

    area = sum over pairs of  sign(need_i - need_j) (g_i x_j - g_j x_i)  /  sum over pairs of  |g_i x_j - g_j x_i|

with g the large model's gain (large right - medium right: -1, 0 or 1) and x its extra cost. At flat prices the costs
cancel: the area is over the share of queries sent to the large model, and the number is Somers' D of gain and need,
weighed by the size of the gains. Pairs of equal need count nothing, which is the mean over the orders they could have.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

from routecal.calib.checks import FloatArray
from routecal.calib.escalation.outcomes import Outcomes
from routecal.calib.metrics import Estimate
from routecal.calib.metrics.bin_counts import wilson
from routecal.calib.need import checked_need


def area_over_random(need: ArrayLike, outcomes: Outcomes, *, level: float = 0.95) -> Estimate | None:
    """Area of the cost-quality curve over random, with an interval by the delta method on the scale of Fisher's z.

    In [-1, 1]; below 0 the order is worse than a coin. Says nothing of where on the curve one should stand: an order
    can be the better one on the whole, and the worse one near all-large. Where the large model is the cheaper one on
    some query, no order need reach 1.

    Args:
        need: (n,) how much each query needs the large model, any scale; +inf where only that may serve it.
        outcomes: of the same n queries, none of which taught what made `need`.
        level: coverage of the interval.

    Returns:
        None where no order is better than another: every query gains the same for its price.

    Raises:
        LengthMismatch, NonFinite: see `area_of_counts`.

    >>> four = Outcomes(*np.array([[1, 0, 0, 1], [1, 1, 1, 0]]) * 1.0, np.ones(4), np.full(4, 20.0))
    >>> round(area_over_random([0.0, 0.9, 0.2, 0.1], four).value, 4)  # gains 0, 1, 1, -1: (7 - 2 × 1) / 7
    0.7143
    """
    found = _influence(checked_need(need, len(outcomes)), outcomes)
    if found is None:
        return None
    value, rows = found
    telling = _telling(outcomes)
    if abs(value) > 1 - 1e-9 or telling < 2:
        # Every pair is ordered alike: as sure as a share of none or all of so many trials.
        trials = max(telling, 1)
        ends = wilson(np.array((value + 1) / 2 * trials), np.array(trials), level=level)
        low, high = (2 * float(end) - 1 for end in ends)
        return Estimate(value=value, low=min(low, value), high=max(high, value))
    reach = _reach(rows, telling, level) / (1 - value**2)
    low, high = (float(np.tanh(np.arctanh(value) + side * reach)) for side in (-1, 1))
    return Estimate(value=value, low=low, high=high)


def area_difference(a: ArrayLike, b: ArrayLike, outcomes: Outcomes, *, level: float = 0.95) -> Estimate | None:
    """Area of the order by `a` minus that by `b` on the same queries, with a paired interval; above 0 speaks for `a`.

    >>> two = Outcomes(np.array([0.0, 1.0]), np.array([1.0, 1.0]), np.ones(2), np.full(2, 20.0))
    >>> area_difference([1.0, 0.0], [0.0, 1.0], two).value
    2.0
    """
    found = [_influence(checked_need(need, len(outcomes)), outcomes) for need in (a, b)]
    if found[0] is None or found[1] is None:
        return None
    (value_a, rows_a), (value_b, rows_b), telling = found[0], found[1], _telling(outcomes)
    value, rows = value_a - value_b, rows_a - rows_b
    if telling < 2:
        return Estimate(value=value, low=-2.0, high=2.0)
    reach = _reach(rows, telling, level)
    return Estimate(value=value, low=max(value - reach, -2.0), high=min(value + reach, 2.0))


def area_of_counts(need: ArrayLike, outcomes: Outcomes) -> Callable[[FloatArray], FloatArray]:
    """The area as a function of how often each query was drawn, (m, n) to (m,), for resampling; NaN where undefined.

    Args:
        need: (n,) as `area_over_random`.
        outcomes: of the same n queries.

    Raises:
        LengthMismatch: they differ in length.
        NonFinite: a need is NaN or -inf.

    >>> two = Outcomes(np.array([0.0, 1.0]), np.array([1.0, 1.0]), np.ones(2), np.full(2, 20.0))
    >>> area_of_counts([1.0, 0.0], two)(np.array([[1.0, 1.0], [2.0, 0.0]])).tolist()
    [1.0, nan]
    """
    s, vectors = checked_need(need, len(outcomes)), _Vectors.of(outcomes)
    of_need, of_oracle = _pair_sum(s, vectors), _pair_sum(vectors.angle, vectors.upward)

    def area(counts: FloatArray) -> FloatArray:
        best = of_oracle(counts)
        return np.asarray(of_need(counts) / np.where(best > 1e-12 * counts.sum(axis=1), best, np.nan))

    return area


class _Vectors(NamedTuple):
    """Every query as a step to the right, by its extra cost, and up, by its gain.

    Attributes:
        cost: (n,) extra cost of the large model, as a multiple of its mean size.
        gain: (n,) -1, 0 or 1.
    """

    cost: FloatArray
    gain: FloatArray

    @classmethod
    def of(cls, outcomes: Outcomes) -> "_Vectors":
        extra = outcomes.large_cost - outcomes.medium_cost
        scale = float(np.abs(extra).mean())
        # Without a difference in price the share of queries is what sending one more costs.
        return cls(
            extra / scale if scale else np.ones(len(extra)),
            outcomes.large_right - outcomes.medium_right,
        )

    @property
    def upward(self) -> "_Vectors":
        """The same lines, pointing to the right: |g_i x_j - g_j x_i| knows no direction."""
        side = np.where(self.cost < 0, -1.0, 1.0)
        return _Vectors(self.cost * side, self.gain * side)

    @property
    def angle(self) -> FloatArray:
        """(n,) steepness, in the order of which every pair counts its whole size."""
        return np.arctan2(self.upward.gain, self.upward.cost)


def _pair_sum(key: FloatArray, vectors: _Vectors) -> Callable[[FloatArray], FloatArray]:
    """Counts (m, n) to (m,): sum over pairs of sign(key_i - key_j) (g_i x_j - g_j x_i)."""
    order = np.argsort(-key, kind="stable")
    starts = _starts(key[order])
    cost, gain = vectors.cost[order], vectors.gain[order]

    def total(counts: FloatArray) -> FloatArray:
        drawn = counts[:, order]
        x, g = (np.add.reduceat(drawn * values, starts, axis=1) for values in (cost, gain))
        return np.asarray(((np.cumsum(g, axis=1) - g) * x - (np.cumsum(x, axis=1) - x) * g).sum(axis=1))

    return total


def _pairs_of_each(key: FloatArray, vectors: _Vectors) -> FloatArray:
    """(n,) the same sum over the pairs that a query is part of."""
    order = np.argsort(key, kind="stable")
    starts = _starts(key[order])
    size = np.diff(np.append(starts, len(key)))

    def below_minus_above(values: FloatArray) -> FloatArray:
        group = np.add.reduceat(values[order], starts)
        below = np.cumsum(group) - group
        found = np.empty(len(key))
        found[order] = np.repeat(2 * below + group - group.sum(), size)
        return found

    cost, gain = vectors.cost, vectors.gain
    return np.asarray(gain * below_minus_above(cost) - cost * below_minus_above(gain))


def _influence(need: FloatArray, outcomes: Outcomes) -> tuple[float, FloatArray] | None:
    """The area, and (n,) what each query pulls it by: a mean of 0, whose spread over sqrt(n) is the standard error."""
    vectors = _Vectors.of(outcomes)
    won, best = _pairs_of_each(need, vectors), _pairs_of_each(vectors.angle, vectors.upward)
    if best.sum() <= 1e-12 * len(need):
        return None
    value = float(won.sum() / best.sum())
    return value, 2 * (won - value * best) / best.mean()


def _telling(outcomes: Outcomes) -> int:
    """Queries whose gain is not the commonest: what an order can have right or wrong; the others are a backdrop."""
    gains = outcomes.large_right - outcomes.medium_right
    return len(gains) - int(np.unique(gains, return_counts=True)[1].max())


def _reach(rows: FloatArray, telling: int, level: float) -> float:
    """Half the width of an interval: the spread is as well known as so few queries let it be."""
    return float(t.ppf((1 + level) / 2, telling - 1) * rows.std(ddof=1) / len(rows) ** 0.5)


def _starts(ordered: FloatArray) -> NDArray[np.int64]:
    """Where each group of equal values starts."""
    return np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
