"""Quality and cost of every threshold, and what they are measured against: random mix and the perfect oracle.

Who serves a query. The router's policy does: Standard_Query and Ambiguous_Query go to the medium model, Complex_Query
to the large one. A confidence *below* the threshold escalates the query to the large model, whatever the policy says; a
doubted Complex_Query stays there, nothing is ever sent down. Confidence is read off the router before any model
answers, so an escalated query pays for the large model alone: this is routing, not a cascade. What the router itself
costs is the same at every threshold and is left out.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field

from routecal.calib.checks import FloatArray, checked_p
from routecal.calib.errors import LengthMismatch
from routecal.calib.escalation.outcomes import Outcomes
from routecal.calib.policy import POLICIES, Policy

COMPLEX = POLICIES.index(Policy.COMPLEX)
# The threshold that even p = 1 lies below: everything is escalated.
EVERYTHING = math.nextafter(1.0, 2.0)


class CostQuality(NamedTuple):
    """A line in the plane of cost and quality: cost per query (t,), ascending as a rule, and quality (t,) in [0, 1]."""

    cost: FloatArray
    quality: FloatArray


class ThresholdPoint(BaseModel, frozen=True):
    """What one threshold comes to, on the rows it was measured on."""

    threshold: float = Field(description="a confidence below it escalates; 0 is the router alone, above 1 all-large")
    quality: float = Field(description="share of queries answered CORRECT by the model that serves them")
    cost: float = Field(description="mean cost per query, in the unit of the costs given")
    escalated: float = Field(description="share of queries moved from the medium to the large model")
    large: float = Field(description="share of queries served by the large model, by policy or by escalation")
    harmful_cheap: float = Field(description="share served by medium, which is wrong where large is right")
    wasteful_large: float = Field(description="share served by large where medium is right")


@dataclass(frozen=True)
class Curve:
    """`ThresholdPoint` for many thresholds, (t,) each, in ascending order of threshold."""

    threshold: FloatArray
    quality: FloatArray
    cost: FloatArray
    escalated: FloatArray
    large: FloatArray
    harmful_cheap: FloatArray
    wasteful_large: FloatArray

    @property
    def line(self) -> CostQuality:
        """Cost and quality alone."""
        return CostQuality(self.cost, self.quality)

    def point(self, i: int) -> ThresholdPoint:
        """The i-th threshold by name."""
        return ThresholdPoint(**{name: float(values[i]) for name, values in vars(self).items()})


def served_by_large(policy: ArrayLike, p: ArrayLike, *, threshold: float) -> NDArray[np.bool_]:
    """Whether the large model serves each query, by the rule at the top of this file.

        large = (policy is Complex_Query) or (p < threshold)

    Args:
        policy: (n,) index into `POLICIES` of the router's decision.
        p: (n,) confidence in it.
        threshold: at p = threshold nothing is escalated.

    Raises:
        InvalidProbability, LengthMismatch, TooFewExamples: see `calib.checks.checked_p`.

    >>> served_by_large([0, 0, 1, 2], [0.2, 0.5, 0.9, 0.4], threshold=0.5).tolist()
    [True, False, True, True]
    """
    p, policy = _decisions(policy, p)
    return np.asarray((policy == COMPLEX) | (p < threshold))


def thresholds_of(policy: ArrayLike, p: ArrayLike) -> FloatArray:
    """Every threshold that makes a difference, ascending: 0, one between any two neighbours, and `EVERYTHING`.

    Midway between two confidences, so that another machine's rounding turns no decision.

    >>> thresholds_of([0, 0, 2, 1], [0.2, 0.6, 0.6, 0.5])[:2].tolist()  # 0.5 is Complex: it cannot be escalated
    [0.0, 0.4]
    """
    p, policy = _decisions(policy, p)
    seen = np.unique(p[policy != COMPLEX])
    middle = (seen[:-1] + seen[1:]) / 2
    between = np.where(middle > seen[:-1], middle, seen[1:])
    return np.concatenate([[0.0], between, [EVERYTHING]])


def curve(outcomes: Outcomes, policy: ArrayLike, p: ArrayLike, *, thresholds: ArrayLike | None = None) -> Curve:
    """Quality, cost and the two kinds of error at every threshold, in one pass over the sorted rows.

    Of the two errors only `harmful_cheap` can be healed by escalating; `wasteful_large` is its price. Both-wrong
    queries are neither. The end at `EVERYTHING` is all-large; the end at 0 is the router alone, *not* all-medium.

    Args:
        outcomes: n queries.
        policy: (n,) index into `POLICIES` of the router's decision.
        p: (n,) confidence in it.
        thresholds: (t,) ascending; by default every one that makes a difference.

    Raises:
        InvalidProbability, LengthMismatch, TooFewExamples: see `calib.checks.checked_p`.

    >>> two = Outcomes.of(["CORRECT", "INCORRECT"], ["CORRECT", "CORRECT"], medium_cost=1, large_cost=10)
    >>> found = curve(two, [0, 0], [0.9, 0.3])  # thresholds 0, 0.6 and above 1
    >>> found.quality.tolist(), found.cost.tolist(), found.wasteful_large.tolist()
    ([0.5, 1.0, 1.0], [1.0, 5.5, 10.0], [0.0, 0.0, 0.5])
    """
    p, policy = _decisions(policy, p)
    if len(p) != len(outcomes):
        raise LengthMismatch("outcomes", len(outcomes), "p", len(p))
    at = thresholds_of(policy, p) if thresholds is None else np.asarray(thresholds, dtype=np.float64)
    complex_ = policy == COMPLEX
    order = np.flatnonzero(~complex_)[np.argsort(p[~complex_], kind="stable")]
    n_escalated = np.searchsorted(p[order], at, side="left")  # of the rows in `order`, those with p < threshold

    def means(if_medium: FloatArray, if_large: FloatArray) -> FloatArray:
        """Mean at each threshold of what a query counts where medium serves it, and where large does."""
        start = np.where(complex_, if_large, if_medium).sum()
        change = np.concatenate([[0.0], np.cumsum((if_large - if_medium)[order])])
        return np.asarray((start + change[n_escalated]) / len(p))

    none, every = np.zeros(len(p)), np.ones(len(p))
    medium, large = outcomes.medium_right, outcomes.large_right
    return Curve(
        threshold=at,
        quality=means(medium, large),
        cost=means(outcomes.medium_cost, outcomes.large_cost),
        escalated=n_escalated / len(p),
        large=means(none, every),
        harmful_cheap=means((1 - medium) * large, none),
        wasteful_large=means(none, medium),
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
        escalated=s,
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


def _decisions(policy: ArrayLike, p: ArrayLike) -> tuple[FloatArray, NDArray[np.int64]]:
    p, chosen = checked_p(p), np.asarray(policy, dtype=np.int64)
    if chosen.shape != p.shape:
        raise LengthMismatch("policy", chosen.size, "p", len(p))
    return p, chosen
