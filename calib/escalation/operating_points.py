"""The operator's words as a threshold of need: a budget, a call rate, a share saved, the value of a right answer.

None of them looks at a grade: they take the needs of queries, and what answers cost where money is spoken of. They
promise nothing about quality; `calib.promise` does.
"""

import numpy as np
from numpy.typing import ArrayLike

from routecal.calib.checks import FloatArray
from routecal.calib.decision_errors import OutOfReach
from routecal.calib.errors import LengthMismatch, OutOfRange
from routecal.calib.need import checked_need, thresholds_of


def threshold_at_call_rate(need: ArrayLike, rate: float) -> float:
    """The lowest threshold at which the large model serves at most a share `rate` of the queries.

    Queries of one need stay together, so the share may end below the rate.

    Args:
        need: (n,) of any queries, labelled or not.
        rate: in [0, 1].

    Raises:
        OutOfRange: the rate is not a share.
        OutOfReach: more queries than that may not be kept at all.
        LengthMismatch, NonFinite: see `calib.need.checked_need`.

    >>> round(threshold_at_call_rate([0.1, 0.2, 0.3, 0.4], 0.5), 3)
    0.25
    """
    if not 0 <= rate <= 1:
        raise OutOfRange("call_rate", rate, "a share of the queries, from 0 to 1")
    s = checked_need(need)
    share, least = _lowest(s, np.zeros(len(s)), np.ones(len(s)), rate)
    if share is None:
        why = f"{least:.1%} of the queries may be served by the large model alone"
        raise OutOfReach(f"a call rate of {rate:.1%}", why, f"{least:.1%}")
    return share


def threshold_at_budget(need: ArrayLike, medium_cost: ArrayLike, large_cost: ArrayLike, budget: float) -> float:
    """The lowest threshold at which 1,000 queries cost at most `budget`.

    Args:
        need: (n,) of any queries whose costs are known or expected.
        medium_cost: (n,) what the medium model's answer costs.
        large_cost: (n,) the same of the large model.
        budget: for 1,000 queries, in the unit of the costs.

    Raises:
        OutOfReach: the budget is below what the medium model costs; says what it costs.
        LengthMismatch, NonFinite: see `calib.need.checked_need`.

    >>> round(threshold_at_budget([0.1, 0.2, 0.3, 0.4], [1.0] * 4, [9.0] * 4, 3_000.0), 3)  # one of four
    0.35
    """
    found, least = _lowest(checked_need(need), *_costs(need, medium_cost, large_cost), budget / 1000)
    if found is None:
        raise OutOfReach(
            f"a budget of {budget:g} for 1,000 queries",
            f"as few queries as may be sent to the large model cost {1000 * least:.4g}",
            f"{1000 * least:.4g}",
        )
    return found


def threshold_at_saving(need: ArrayLike, medium_cost: ArrayLike, large_cost: ArrayLike, saving: float) -> float:
    """The lowest threshold that saves at least a share `saving` of what the large model alone costs.

    Args:
        need, medium_cost, large_cost: as `threshold_at_budget`.
        saving: in [0, 1].

    Raises:
        OutOfRange: the saving is not a share.
        OutOfReach: the medium model alone saves less; says what it saves.

    >>> threshold_at_saving([0.1, 0.2, 0.3, 0.4], [0.0] * 4, [1.0] * 4, 0.5)
    0.25
    """
    if not 0 <= saving <= 1:
        raise OutOfRange("saving", saving, "a share of what the large model costs, from 0 to 1")
    medium, large = _costs(need, medium_cost, large_cost)
    price = float(large.mean())
    found, least = _lowest(checked_need(need), medium, large, (1 - saving) * price)
    if found is None:
        most = f"{1 - least / price:.1%}" if price else "nothing: the large model is free"
        raise OutOfReach(f"a saving of {saving:.1%}", f"the medium model alone saves {most}", most)
    return found


def threshold_at_value(value: float, extra_cost: float = 1.0) -> float:
    """The threshold above which the large model is worth its price: gain * value > extra cost.

    Args:
        value: of a right answer, in the unit of the extra cost. Where that is left at 1 it is a ratio: how many times
            the extra price of one answer of the large model a right answer is worth.
        extra_cost: mean extra cost of an answer of the large model.

    Raises:
        OutOfRange: either is not above 0.

    >>> threshold_at_value(0.5, extra_cost=0.02), threshold_at_value(25)
    (0.04, 0.04)
    """
    for name, number in (("value", value), ("extra_cost", extra_cost)):
        if not 0 < number < np.inf:
            raise OutOfRange(name, number, "a number above 0")
    return extra_cost / value


def _costs(need: ArrayLike, medium_cost: ArrayLike, large_cost: ArrayLike) -> tuple[FloatArray, FloatArray]:
    n = np.asarray(need).size
    medium, large = np.asarray(medium_cost, np.float64), np.asarray(large_cost, np.float64)
    for name, cost in (("medium_cost", medium), ("large_cost", large)):
        if cost.shape != (n,):
            raise LengthMismatch("need", n, name, cost.size)
    return medium, large


def _lowest(need: FloatArray, medium: FloatArray, large: FloatArray, limit: float) -> tuple[float | None, float]:
    """The lowest threshold from which on the mean cost is at most the limit, and the cost at the highest one."""
    at, order = thresholds_of(need), np.argsort(need, kind="stable")
    n_kept = np.searchsorted(need[order], at, side="right")
    spared = np.concatenate([[0.0], np.cumsum((large - medium)[order])])
    cost = (large.sum() - spared[n_kept]) / len(need)
    failed = np.flatnonzero(cost > limit + 1e-9 * float(large.mean()))  # sums are rounded
    first = int(failed[-1]) + 1 if len(failed) else 0
    return (float(at[first]) if first < len(at) else None), float(cost[-1])
