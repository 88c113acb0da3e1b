"""From curve to claim: what a threshold saves on rows that did not choose it, with intervals."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field
from scipy.stats import t

from routecal.calib.checks import FloatArray
from routecal.calib.decision_errors import NothingToSave
from routecal.calib.escalation.outcomes import Outcomes
from routecal.calib.escalation.paired import paired_difference_of_shares
from routecal.calib.escalation.tradeoff import ThresholdPoint, curve
from routecal.calib.metrics import Estimate
from routecal.calib.metrics.bin_counts import wilson
from routecal.calib.metrics.bootstrap import mean_interval
from routecal.calib.need import NOTHING_KEPT, kept
from routecal.calib.settings import MARGIN


class Saving(BaseModel, frozen=True):
    """What one threshold saves against all-large, on rows that did not choose it."""

    n: int = Field(description="rows it is measured on")
    level: float = Field(description="coverage of every interval here")
    margin: float = Field(description="quality that counts as none lost, as a share of queries")
    point: ThresholdPoint = Field(description="the threshold, its quality, cost, shares and errors")
    saving: Estimate = Field(description="1 - cost / cost of all-large; negative where it costs more")
    quality_difference: Estimate = Field(description="quality minus that of all-large, paired")
    non_inferior: bool = Field(description="the whole interval of quality_difference is above -margin")
    above_random: Estimate | None = Field(
        description="quality minus that of the random mix of the same cost, paired; None where one model serves every "
        "row, or both cost alike"
    )
    random_saving: float | None = Field(
        description="saving of the random mix of the same quality, in [0, saving of all-medium]; None where the large "
        "model is not the better one, so that a mix has nothing to trade"
    )


def saving_at(
    outcomes: Outcomes,
    need: ArrayLike,
    *,
    threshold: float,
    margin: float = MARGIN,
    level: float = 0.95,
    to_large: ArrayLike | None = None,
) -> Saving:
    """What `threshold` saves against all-large, with paired intervals.

    The interval of the quality difference is Tango's (`paired_difference_of_shares`), which has a width even where no
    answer differed. Those of the saving and of the quality above random mix are `mean_interval`'s of their linear
    parts, widened where few queries decide: to Wilson's interval of the share that medium serves, times what each of
    these saves; and to Student's. Short of about ten queries that medium serves, unequal prices make them too narrow
    still. The test of non-inferiority is the first interval, not the point: its lower end must be above -margin. At
    n = 300 it is at least ±1.3 points wide, so a margin of one point cannot be shown, whatever the router; that takes
    some 400 rows without a loss, and thousands with some. Rows are taken as independent.

    Args:
        outcomes: n rows that had no part in choosing the threshold.
        need: (n,) of each, +inf where only the large model may serve it.
        threshold: a need up to it is kept on the medium model.
        margin: share of queries whose loss counts as none.
        level: coverage of the intervals.
        to_large: (n,) whether the router's policy goes to the large model, for the shares that go against it.

    Raises:
        NothingToSave: the large model costs nothing on these rows.
        LengthMismatch, NonFinite: see `calib.need.checked_need`.

    >>> two = Outcomes.of(["CORRECT", "INCORRECT"], ["CORRECT", "CORRECT"], medium_cost=1, large_cost=9)
    >>> found = saving_at(two, [-0.9, -0.3], threshold=-0.5)
    >>> round(found.saving.value, 4), found.quality_difference.value, found.random_saving  # cost 5 of 9
    (0.4444, 0.0, 0.0)
    """
    if not outcomes.large_cost.any():
        raise NothingToSave(len(outcomes))
    point = curve(outcomes, need, thresholds=[threshold], to_large=to_large).point(0)
    large = ~kept(need, threshold)
    right = np.where(large, outcomes.large_right, outcomes.medium_right)
    gains, losses = (int((sign * (right - outcomes.large_right) > 0).sum()) for sign in (1, -1))
    difference = paired_difference_of_shares(gains, losses, len(right), level=level)
    saving = _saved(outcomes, large, level)
    if threshold == NOTHING_KEPT:  # all-large against itself
        difference = saving = Estimate(value=0.0, low=0.0, high=0.0)
    return Saving(
        n=len(right),
        level=level,
        margin=margin,
        point=point,
        saving=saving,
        quality_difference=difference,
        non_inferior=difference.low >= -margin,
        above_random=_above_random(outcomes, large, level),
        random_saving=_random_saving(float(right.mean()), outcomes),
    )


def quality_band(
    outcomes: Outcomes, need: ArrayLike, *, thresholds: ArrayLike, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Lower and upper end (t,) of Wilson's interval of quality at each threshold; pointwise, not simultaneous.

    Wide, because it holds the luck of which queries were drawn; two methods share that luck, so overlapping bands say
    nothing about their difference. `saving_at` has paired intervals.

    Args:
        outcomes: n rows.
        need: (n,) of each, +inf where only the large model may serve it.
        thresholds: (t,) needs up to which the medium model serves.
        level: coverage.

    >>> one = Outcomes.of(["CORRECT"], ["INCORRECT"], medium_cost=1, large_cost=9)
    >>> [ends.round(2).tolist() for ends in quality_band(one, [0.5], thresholds=[0.0, 1.0])]
    [[0.0, 0.21], [0.79, 1.0]]
    """
    quality = curve(outcomes, need, thresholds=thresholds).quality
    return wilson(quality * len(outcomes), np.full(len(quality), float(len(outcomes))), level=level)


def _saved(outcomes: Outcomes, large: NDArray[np.bool_], level: float) -> Estimate:
    """1 - cost / cost of all-large, with an interval for how many queries medium serves and for what each costs."""
    extra = outcomes.large_cost - outcomes.medium_cost
    price, spared = outcomes.large_cost.mean(), np.where(large, 0.0, extra)
    value, share = float(spared.mean() / price), 1 - large.mean()
    low, high = mean_interval(value + (spared - value * outcomes.large_cost) / price, level=level)
    of_each = value / share if share else extra.mean() / price
    ends = [float(end) * of_each for end in wilson(np.array(share * len(large)), np.array(len(large)), level=level)]
    return Estimate(value=value, low=min(low, *ends), high=max(high, *ends))


def _above_random(outcomes: Outcomes, large: NDArray[np.bool_], level: float) -> Estimate | None:
    """Quality minus that of the random mix of the same cost; None where that mix is the policy itself, or undefined."""
    extra, better = outcomes.large_cost - outcomes.medium_cost, outcomes.large_right - outcomes.medium_right
    if large.all() or not large.any() or not extra.mean():
        return None
    share = float((large * extra).mean() / extra.mean())
    rows = (large - share) * better - better.mean() / extra.mean() * (large - share) * extra
    value = float(((large - share) * better).mean())
    low, high = mean_interval(value + rows - rows.mean(), level=level)
    reach = float(t.ppf((1 + level) / 2, len(rows) - 1) * rows.std(ddof=1) / len(rows) ** 0.5)
    return Estimate(value=value, low=min(low, value - reach), high=max(high, value + reach))


def _random_saving(quality: float, outcomes: Outcomes) -> float | None:
    q_medium, q_large = outcomes.medium_right.mean(), outcomes.large_right.mean()
    if q_large <= q_medium:
        return None
    c_medium, c_large = outcomes.medium_cost.mean(), outcomes.large_cost.mean()
    share = min(max((quality - q_medium) / (q_large - q_medium), 0.0), 1.0)
    return float(1 - (c_medium + share * (c_large - c_medium)) / c_large)
