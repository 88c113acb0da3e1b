"""Quality and cost of every threshold, and what they are measured against: random mix and the perfect oracle.

Who serves a query says `need`: the medium model where it is at most the threshold, else the large one. What the router
itself costs is the same at every threshold and is left out.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, Field

from routecal.calib.checks import FloatArray
from routecal.calib.errors import LengthMismatch
from routecal.calib.escalation.outcomes import Outcomes
from routecal.calib.need import Threshold, checked_need, thresholds_of


class CostQuality(NamedTuple):
    """A line in the plane of cost and quality: cost per query (t,), ascending as a rule, and quality (t,) in [0, 1]."""

    cost: FloatArray
    quality: FloatArray


class ThresholdPoint(BaseModel, frozen=True):
    """What one threshold comes to, on the rows it was measured on."""

    threshold: Threshold = Field(description="a need up to it is kept on the medium model; -inf is all-large")
    quality: float = Field(description="share of queries answered CORRECT by the model that serves them")
    cost: float = Field(description="mean cost per query, in the unit of the costs given")
    large: float = Field(description="share of queries served by the large model")
    harmful_cheap: float = Field(description="share served by medium, which is wrong where large is right")
    wasteful_large: float = Field(description="share served by large where medium is right")
    escalated: float | None = Field(
        default=None, description="share served by large against the router's policy; None where that is not known"
    )
    downgraded: float | None = Field(
        default=None, description="share served by medium against the router's policy; None where that is not known"
    )


@dataclass(frozen=True)
class Curve:
    """`ThresholdPoint` for many thresholds, (t,) each, in ascending order of threshold."""

    threshold: FloatArray
    quality: FloatArray
    cost: FloatArray
    large: FloatArray
    harmful_cheap: FloatArray
    wasteful_large: FloatArray
    escalated: FloatArray | None = None
    downgraded: FloatArray | None = None

    @property
    def line(self) -> CostQuality:
        """Cost and quality alone."""
        return CostQuality(self.cost, self.quality)

    def point(self, i: int) -> ThresholdPoint:
        """The i-th threshold by name."""
        return ThresholdPoint(**{name: float(values[i]) for name, values in vars(self).items() if values is not None})


def curve(
    outcomes: Outcomes, need: ArrayLike, *, thresholds: ArrayLike | None = None, to_large: ArrayLike | None = None
) -> Curve:
    """Quality, cost and the two kinds of error at every threshold, in one pass over the sorted rows.

    Of the two errors only `harmful_cheap` can be healed by escalating; `wasteful_large` is its price. Both-wrong
    queries are neither. The end at `NOTHING_KEPT` is all-large; the end at `ALL_KEPT` is all-medium, or by the
    confidence rule the router alone.

    Args:
        outcomes: n queries.
        need: (n,) of each, +inf where only the large model may serve it.
        thresholds: (t,) ascending; by default every one that makes a difference.
        to_large: (n,) whether the router's policy goes to the large model, for the shares that go against it.

    Raises:
        LengthMismatch, NonFinite: see `calib.need.checked_need`.

    >>> two = Outcomes.of(["CORRECT", "INCORRECT"], ["CORRECT", "CORRECT"], medium_cost=1, large_cost=10)
    >>> found = curve(two, [-0.9, -0.3])  # thresholds NOTHING_KEPT, -0.6 and ALL_KEPT
    >>> found.quality.tolist(), found.cost.tolist(), found.wasteful_large.tolist()
    ([1.0, 1.0, 0.5], [10.0, 5.5, 1.0], [0.5, 0.0, 0.0])
    """
    s, n = checked_need(need, len(outcomes)), len(outcomes)
    at = thresholds_of(s) if thresholds is None else np.asarray(thresholds, dtype=np.float64)
    may_stay = s < np.inf
    order = np.flatnonzero(may_stay)[np.argsort(-s[may_stay], kind="stable")]  # those of highest need first
    n_sent = np.searchsorted(-s[order], -at, side="left")  # of the rows in `order`, those above the threshold

    def means(if_medium: FloatArray, if_large: FloatArray) -> FloatArray:
        """Mean at each threshold of what a query counts where medium serves it, and where large does."""
        start = np.where(may_stay, if_medium, if_large).sum()
        change = np.concatenate([[0.0], np.cumsum((if_large - if_medium)[order])])
        return np.asarray((start + change[n_sent]) / n)

    none, every = np.zeros(n), np.ones(n)
    medium, large = outcomes.medium_right, outcomes.large_right
    sent = None if to_large is None else np.asarray(to_large, bool) * 1.0
    if sent is not None and sent.shape != s.shape:
        raise LengthMismatch("to_large", sent.size, "need", n)
    return Curve(
        threshold=at,
        quality=means(medium, large),
        cost=means(outcomes.medium_cost, outcomes.large_cost),
        large=means(none, every),
        harmful_cheap=means((1 - medium) * large, none),
        wasteful_large=means(none, medium),
        escalated=None if sent is None else means(none, 1 - sent),
        downgraded=None if sent is None else means(sent, none),
    )


def random_mix(outcomes: Outcomes, shares: ArrayLike = (0.0, 1.0)) -> Curve:
    """What tossing a coin per query comes to: a straight line from all-medium (share 0) to all-large (share 1).

    The expectation, so it needs no draws. A router worth its keep lies above this line; "20% cheaper" is nothing where
    the line is 20% cheaper at the same quality.

    Args:
        outcomes: n queries.
        shares: (t,) of the queries that the large model serves.

    >>> two = Outcomes.of(["CORRECT", "INCORRECT"], ["CORRECT", "CORRECT"], medium_cost=1, large_cost=9)
    >>> random_mix(two, [0.0, 0.5, 1.0]).quality.tolist(), random_mix(two, [0.0, 0.5, 1.0]).cost.tolist()
    ([0.5, 0.75, 1.0], [1.0, 5.0, 9.0])
    """
    s = np.asarray(shares, dtype=np.float64)
    medium, large = outcomes.medium_right, outcomes.large_right
    return Curve(
        threshold=s,
        quality=(1 - s) * medium.mean() + s * large.mean(),
        cost=(1 - s) * outcomes.medium_cost.mean() + s * outcomes.large_cost.mean(),
        large=s,
        harmful_cheap=(1 - s) * ((1 - medium) * large).mean(),
        wasteful_large=s * medium.mean(),
    )


def oracle_line(outcomes: Outcomes) -> CostQuality:
    """The most quality that any assignment of queries to the two models could have bought, for every budget.

    Every query starts at its cheaper model (the better one if they cost the same). Upgrades that turn a wrong answer
    into a right one are then bought in order of their price: all gain one query, so no assignment of the same cost
    lies above this line. Its right end is the perfect oracle; spending more buys nothing. It knows every grade
    beforehand: a bound, not an aim.

    >>> two = Outcomes.of(["CORRECT", "INCORRECT"], ["CORRECT", "CORRECT"], medium_cost=1, large_cost=9)
    >>> oracle_line(two).cost.tolist(), oracle_line(two).quality.tolist()
    ([1.0, 5.0], [0.5, 1.0])
    """
    extra = outcomes.large_cost - outcomes.medium_cost
    better = outcomes.large_right - outcomes.medium_right
    start_large = (extra < 0) | ((extra == 0) & (better > 0))
    cost = np.where(start_large, outcomes.large_cost, outcomes.medium_cost)
    right = np.where(start_large, outcomes.large_right, outcomes.medium_right)
    gains = np.where(start_large, -better, better) > 0
    prices = np.sort(np.abs(extra)[gains])
    n = len(outcomes)
    return CostQuality(
        cost=cost.mean() + np.concatenate([[0.0], np.cumsum(prices)]) / n,
        quality=(right.sum() + np.arange(len(prices) + 1)) / n,
    )
