"""From curve to claim: a threshold chosen on validation rows, and what it saves on test rows, with intervals."""

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from calib.checks import FloatArray, checked_p
from calib.errors import NothingToSave, OutOfRange
from calib.escalation.outcomes import Outcomes
from calib.escalation.paired import paired_difference_of_shares, score_statistic
from calib.escalation.tradeoff import COMPLEX, Point, curve, served_by_large, thresholds_of
from calib.metrics import Estimate
from calib.metrics.replicates import resampling_counts

# One point: what "the same quality" may mean at most (DESIGN 5.9).
MARGIN = 0.01
# That the margin is kept on other rows, one-sided: what the claim will be judged by.
CONFIDENCE = 0.95


class Saving(BaseModel):
    """What one threshold saves against all-large, on rows that did not choose it."""

    model_config = ConfigDict(frozen=True)

    n: int = Field(description="rows it is measured on")
    level: float = Field(description="coverage of every interval here")
    margin: float = Field(description="quality that counts as none lost, as a share of queries")
    point: Point = Field(description="the threshold, its quality, cost, shares and errors")
    saving: Estimate = Field(description="1 - cost / cost of all-large; negative where it costs more")
    quality_difference: Estimate = Field(description="quality minus that of all-large, paired")
    non_inferior: bool = Field(description="the whole interval of quality_difference is above -margin")
    above_random: Estimate | None = Field(
        description="quality minus that of the random mix of the same cost, paired; None where both models cost alike"
    )
    random_saving: float | None = Field(
        description="saving of the random mix of the same quality, in [0, saving of all-medium]; None where the large "
        "model is not the better one, so that a mix has nothing to trade"
    )


def choose_threshold(
    outcomes: Outcomes, policy: ArrayLike, p: ArrayLike, *, margin: float = MARGIN, confidence: float = CONFIDENCE
) -> float:
    """The lowest threshold to be had without losing more than `margin` of all-large's quality.

    Starts at all-large and lowers the threshold as long as the queries that medium then serves pass, one-sided at
    `confidence`, Tango's score test of

        share answered right >= share that all-large answers right - margin      (`paired.score_statistic`)

    and stops for good at the first that fails: a lucky dip further down is never looked at, which keeps the choice
    among hundreds of thresholds from being a choice among lucky ones. Tests in a fixed sequence need no correction for
    their number (Angelopoulos et al. 2021, arXiv:2110.01052, do it with exact p-values; the score test is approximate).
    A margin of one point cannot pass at all below 268 rows at confidence .95: everything is escalated. At .5 it is the
    point estimate that passes, and the loss on new rows exceeds the margin about half the time. The claim must come
    from other rows: `saving_at`.

    Args:
        outcomes: n validation (or calibration) rows, never test rows.
        policy: (n,) index into `POLICIES` of the router's decision.
        p: (n,) confidence in it.
        margin: share of queries whose loss counts as none, at least 0.
        confidence: that the margin is kept, in [.5, 1).

    Returns:
        0 where the router alone keeps the margin, `EVERYTHING` where nothing else does.

    Raises:
        OutOfRange: margin or confidence outside their range.
        InvalidProbability, LengthMismatch, TooFewExamples: see `calib.checks.checked_p`.

    >>> three = Outcomes.of(["CORRECT", "CORRECT", "INCORRECT"], ["CORRECT"] * 3, medium_cost=1, large_cost=10)
    >>> choose_threshold(three, [0, 0, 0], [0.75, 0.5, 0.25], confidence=0.5)  # medium is wrong at 0.25 only
    0.375
    """
    if not margin >= 0:
        raise OutOfRange("margin", margin, "at least 0: the share of queries that may be lost")
    if not 0.5 <= confidence < 1:
        raise OutOfRange("confidence", confidence, "at least .5 and below 1")
    at = thresholds_of(policy, p)
    p, policy = checked_p(p), np.asarray(policy)
    order = np.argsort(p, kind="stable")
    d = np.where(policy == COMPLEX, 0.0, outcomes.medium_right - outcomes.large_right)[order]
    kept_from = np.searchsorted(p[order], at, side="left")
    gains, losses = (np.concatenate([np.cumsum(v[::-1])[::-1], [0.0]])[kept_from] for v in (d > 0, d < 0))
    statistic = score_statistic(gains, losses, len(p), difference=-min(margin, 1 - 1e-12))
    failed = np.flatnonzero(statistic[:-1] < NormalDist().inv_cdf(confidence))  # the last is all-large itself
    return float(at[failed[-1] + 1] if len(failed) else at[0])


def saving_at(
    outcomes: Outcomes,
    policy: ArrayLike,
    p: ArrayLike,
    *,
    threshold: float,
    margin: float = MARGIN,
    level: float = 0.95,
    n_replicates: int = 1000,
    seed: int = 0,
) -> Saving:
    """What `threshold` saves against all-large, with paired intervals.

    Intervals of the saving and of the quality above random mix are percentile bootstraps over the same resampled rows;
    that of the quality difference is Tango's (`paired_difference_of_shares`), which has a width even where no answer
    differed. The test of non-inferiority is that interval, not the point: its lower end must be above -margin. At
    n = 300 it is at least ±1.3 points wide, so a margin of one point cannot be shown, whatever the router; that takes
    some 400 rows without a loss, and thousands with some. Rows are taken as independent.

    Args:
        outcomes: n rows that had no part in choosing the threshold.
        policy: (n,) index into `POLICIES` of the router's decision.
        p: (n,) confidence in it.
        threshold: a confidence below it escalates.
        margin: share of queries whose loss counts as none.
        level: coverage of the intervals.
        n_replicates: resamples.
        seed: of the private generator.

    Raises:
        NothingToSave: the large model costs nothing on these rows.
        InvalidProbability, LengthMismatch, TooFewExamples: see `calib.checks.checked_p`.

    >>> two = Outcomes.of(["CORRECT", "INCORRECT"], ["CORRECT", "CORRECT"], medium_cost=1, large_cost=9)
    >>> found = saving_at(two, [0, 0], [0.9, 0.3], threshold=0.5, n_replicates=10)
    >>> round(found.saving.value, 4), found.quality_difference.value, found.random_saving  # cost 5 of 9
    (0.4444, 0.0, 0.0)
    """
    if not outcomes.large_cost.any():
        raise NothingToSave(len(outcomes))
    point = curve(outcomes, policy, p, thresholds=[threshold]).point(0)
    large = served_by_large(policy, p, threshold=threshold)
    columns = (
        np.where(large, outcomes.large_right, outcomes.medium_right),
        np.where(large, outcomes.large_cost, outcomes.medium_cost),
        outcomes.medium_right,
        outcomes.medium_cost,
        outcomes.large_right,
        outcomes.large_cost,
    )
    rows = np.stack(columns, axis=1)
    means = np.concatenate(
        [c @ rows for c in resampling_counts(len(rows), n_replicates=n_replicates, seed=seed)]
    ) / len(rows)
    here, drawn = _claims(rows.mean(axis=0)[None]), _claims(means)
    saving, above = (_estimate(value[0], values, level) for value, values in zip(here, drawn, strict=True))
    assert saving is not None
    gains, losses = (int((sign * (rows[:, 0] - outcomes.large_right) > 0).sum()) for sign in (1, -1))
    difference = paired_difference_of_shares(gains, losses, len(rows), level=level)
    if threshold > 1:  # all-large against itself
        difference = Estimate(value=0.0, low=0.0, high=0.0)
    return Saving(
        n=len(rows),
        level=level,
        margin=margin,
        point=point,
        saving=saving,
        quality_difference=difference,
        non_inferior=difference.low >= -margin,
        above_random=above,
        random_saving=_random_saving(*rows.mean(axis=0)[[0, 2, 3, 4, 5]]),
    )


def quality_band(
    outcomes: Outcomes,
    policy: ArrayLike,
    p: ArrayLike,
    *,
    thresholds: ArrayLike,
    level: float = 0.95,
    n_replicates: int = 1000,
    seed: int = 0,
) -> tuple[FloatArray, FloatArray]:
    """Lower and upper end (t,) of the bootstrap interval of quality at each threshold; pointwise, not simultaneous.

    Wide, because it holds the luck of which queries were drawn; two methods share that luck, so overlapping bands say
    nothing about their difference. `saving_at` has paired intervals.

    Args:
        outcomes: n rows.
        policy: (n,) index into `POLICIES` of the router's decision.
        p: (n,) confidence in it.
        thresholds: (t,) some hundred at most: n × t numbers are held.
        level: coverage.
        n_replicates: resamples.
        seed: of the private generator.

    >>> one = Outcomes.of(["CORRECT"], ["INCORRECT"], medium_cost=1, large_cost=9)
    >>> [ends.tolist() for ends in quality_band(one, [0], [0.5], thresholds=[0.0, 1.0], n_replicates=10)]
    [[1.0, 0.0], [1.0, 0.0]]
    """
    at = np.asarray(thresholds, dtype=np.float64)
    large = np.stack([served_by_large(policy, p, threshold=float(t)) for t in at], axis=1)
    right = np.where(large, outcomes.large_right[:, None], outcomes.medium_right[:, None])
    drawn = np.concatenate(
        [c @ right for c in resampling_counts(len(right), n_replicates=n_replicates, seed=seed)]
    ) / len(right)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def _claims(means: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(saving, quality above random) of replicates (m, 6); NaN where one is undefined."""
    quality, cost, q_medium, c_medium, q_large, c_large = means.T
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (cost - c_medium) / np.where(c_large != c_medium, c_large - c_medium, np.nan)
        saving = 1 - cost / np.where(c_large > 0, c_large, np.nan)
    return saving, quality - (q_medium + share * (q_large - q_medium))


def _random_saving(quality: float, q_medium: float, c_medium: float, q_large: float, c_large: float) -> float | None:
    if q_large <= q_medium:
        return None
    share = min(max((quality - q_medium) / (q_large - q_medium), 0.0), 1.0)
    return float(1 - (c_medium + share * (c_large - c_medium)) / c_large)


def _estimate(value: float, replicates: FloatArray, level: float) -> Estimate | None:
    kept = replicates[np.isfinite(replicates)]
    if not np.isfinite(value) or not len(kept):
        return None
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value=float(value), low=float(low), high=float(high))
