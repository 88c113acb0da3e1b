"""How much a query needs the large model: the one number that a decision compares with a threshold.

A query is *kept* on the medium model iff its need is at most the threshold; else the large model serves it. Need is
read off the router before any model answers, so an escalated query pays for the large model alone: this is routing, not
a cascade.
"""

import json
import math
import sys
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import PlainSerializer

from routecal.calib.checks import FloatArray, checked_p
from routecal.calib.decision_errors import InvalidCost
from routecal.calib.errors import LengthMismatch, NonFinite
from routecal.calib.policy import DEFAULT_MAP, POLICIES, PolicyMap

# Below every need: the large model serves all.
NOTHING_KEPT = -math.inf
# At or above every finite need: all are kept but those of need +inf.
ALL_KEPT = sys.float_info.max
# A threshold of confidence that even p = 1 lies below.
_ABOVE_ONE = math.nextafter(1.0, 2.0)

# A threshold on need. JSON has no infinity: `NOTHING_KEPT` is the text "-Infinity" there, which pydantic reads back.
Threshold = Annotated[
    float,
    PlainSerializer(
        lambda t: t if math.isfinite(t) else json.dumps(t),
        return_type=float | str,
        when_used="json",
    ),
]


def goes_to_large(policy: ArrayLike, policy_map: PolicyMap = DEFAULT_MAP) -> NDArray[np.bool_]:
    """(n,) whether the large model serves each policy, an index into `POLICIES`.

    >>> goes_to_large([0, 1, 2]).tolist()
    [False, True, False]
    >>> goes_to_large([0, 1, 2], DEFAULT_MAP.changed({"Ambiguous_Query": "large"})).tolist()
    [False, True, True]
    """
    return np.isin(np.asarray(policy, np.int64), [POLICIES.index(one) for one in policy_map.to_large])


def need_by_confidence(policy: ArrayLike, p: ArrayLike, policy_map: PolicyMap = DEFAULT_MAP) -> FloatArray:
    """(n,) need by the confidence rule: a confidence *below* t escalates, where -t is the threshold of need.

    Queries whose policy goes to the large model need it whatever the confidence, +inf: they are never sent down.

    Args:
        policy: (n,) index into `POLICIES` of the router's decision.
        p: (n,) confidence in it.
        policy_map: which model serves which policy.

    Raises:
        InvalidProbability, LengthMismatch, TooFewExamples: see `calib.checks.checked_p`.

    >>> need_by_confidence([0, 1, 2], [0.9, 0.9, 0.4]).tolist()
    [-0.9, inf, -0.4]
    """
    p, is_large = checked_p(p), goes_to_large(policy, policy_map)
    if is_large.shape != p.shape:
        raise LengthMismatch("policy", is_large.size, "p", len(p))
    return np.where(is_large, np.inf, -p)


def need_by_gain(gain: ArrayLike, extra_cost: ArrayLike | None = None) -> FloatArray:
    """(n,) need by the joint outcome: what the large model gains per relative extra cost.

    The large model is worth its price where gain * value > extra cost, with the value of a right answer: a threshold of
    need, whatever the value. Complex queries may go down to the medium model.

    Args:
        gain: (n,) P(large right) - P(medium right), in [-1, 1].
        extra_cost: (n,) expected cost of the large model minus that of the medium one, above 0, relative to its mean
            over the rows that thresholds are chosen on (`ExtraCost`). None: 1 for every query.

    Raises:
        LengthMismatch, NonFinite: the arguments are not of this kind.
        InvalidCost: an extra cost is not above 0: where the large model is not dearer there is nothing to weigh.

    >>> need_by_gain([0.2, 0.2], [0.5, 1.5]).round(3).tolist()
    [0.4, 0.133]
    """
    g = np.asarray(gain, np.float64)
    if len(bad := np.flatnonzero(~np.isfinite(g))):
        raise NonFinite("gain", tuple(bad.tolist()), len(g))
    if extra_cost is None:
        return g
    extra = np.asarray(extra_cost, np.float64)
    if extra.shape != g.shape:
        raise LengthMismatch("gain", len(g), "extra_cost", extra.size)
    if len(bad := np.flatnonzero(~((extra > 0) & np.isfinite(extra)))):
        raise InvalidCost("extra", int(bad[0]), float(extra[bad[0]]))
    return np.asarray(g / extra)


def kept(need: ArrayLike, threshold: float) -> NDArray[np.bool_]:
    """(n,) whether the medium model serves each query.

    >>> kept([0.1, 0.3, float("inf")], 0.3).tolist(), kept([0.1, float("inf")], ALL_KEPT).tolist()
    ([True, True, False], [True, False])
    """
    return np.asarray(np.asarray(need, np.float64) <= threshold)


def confidence_threshold(threshold: float) -> float:
    """The confidence below which a threshold of `need_by_confidence` escalates; above 1 where everything is.

    >>> confidence_threshold(-0.75), confidence_threshold(ALL_KEPT), confidence_threshold(NOTHING_KEPT) > 1
    (0.75, 0.0, True)
    """
    return min(max(-threshold, 0.0), _ABOVE_ONE)


def thresholds_of(need: ArrayLike) -> FloatArray:
    """Every threshold that makes a difference, ascending: `NOTHING_KEPT`, one between any two needs, and `ALL_KEPT`.

    Midway between neighbours, so that another machine's rounding turns no decision.

    >>> thresholds_of([-0.2, -0.6, -0.6, float("inf")]).tolist() == [NOTHING_KEPT, -0.4, ALL_KEPT]
    True
    """
    s = checked_need(need)
    seen = np.unique(s[s < np.inf])
    middle = (seen[:-1] + seen[1:]) / 2
    between = np.where(middle < seen[1:], middle, seen[:-1])
    return np.concatenate([[NOTHING_KEPT], between, [ALL_KEPT]])


def checked_need(need: ArrayLike, n: int | None = None) -> FloatArray:
    """Need as (n,) float64, refused unless every entry is a number or +inf.

    Raises:
        LengthMismatch: it is not one-dimensional, or not of the n outcomes.
        NonFinite: a need is NaN or -inf.
    """
    s = np.asarray(need, np.float64)
    if s.ndim != 1 or (n is not None and len(s) != n):
        raise LengthMismatch("need", s.size, "outcomes", len(s) if n is None and s.ndim else n or 1)
    if len(bad := np.flatnonzero(np.isnan(s) | (s == -np.inf))):
        raise NonFinite("need", tuple(bad.tolist()), len(s))
    return s
