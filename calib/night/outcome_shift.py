"""Do labels still mean what they meant? A watch on the oracle, whose faults no holdout shows: it labels that one too.

Where queries changed, outcomes may. Where outcomes changed and queries did not, a model behind the oracle changed, or
the judge did, or something is broken; only people can tell which, and until they do nothing should be learned from it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, Field
from scipy.stats import chi2_contingency, ttest_ind

from routecal.calib.checks import FloatArray, checked

# Rows on either side below which nothing is found.
MIN_ROWS = 30
# Changes smaller than these are left to the gate, however significant: with many rows everything is.
LEAST_LOSS, LEAST_SHARE = 0.03, 0.10


class OutcomeShift(BaseModel, frozen=True):
    """What of the outcomes changed, in sentences; empty if nothing did."""

    reasons: tuple[str, ...] = Field(default=())

    @property
    def is_found(self) -> bool:
        """Something changed."""
        return bool(self.reasons)


def outcome_shift(
    before: tuple[ArrayLike, ArrayLike],
    now: tuple[ArrayLike, ArrayLike],
    outcomes_before: Sequence[str],
    outcomes_now: Sequence[str],
    *,
    alpha: float = 0.001,
) -> OutcomeShift:
    """Whether one head's Brier rose, or the mix of outcomes moved, beyond chance and by more than a little.

    Squared errors are compared by Welch's t-test, the mix by a chi-squared test on the outcomes that either side has.
    Both samples must be new to the head.

    Args:
        before: (p, y) of the head on earlier rows, (n,) each.
        now: (p, y) on new rows, (m,) each.
        outcomes_before: (n,) what the oracle found, such as both grades; any labels.
        outcomes_now: (m,).
        alpha: of each test.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> p, y = [0.5] * 50, [1] * 50
    >>> outcome_shift((p, y), (p, y), ["a", "b"] * 25, ["a", "a"] * 25).is_found
    True
    """
    loss_before, loss_now = (np.square(p - y) for p, y in (checked(*before), checked(*now)))
    if min(len(loss_before), len(loss_now)) < MIN_ROWS:
        return OutcomeShift()
    reasons = []
    was, is_now = float(loss_before.mean()), float(loss_now.mean())
    if is_now - was > LEAST_LOSS and _greater(loss_now, loss_before) < alpha:
        reasons.append(
            f"the serving head's Brier rose from {was:.3f} on {len(loss_before)} rows to {is_now:.3f} on "
            f"{len(loss_now)} new ones"
        )
    names = sorted({*outcomes_before, *outcomes_now})
    table = np.array([[list(side).count(name) for name in names] for side in (outcomes_before, outcomes_now)])
    share = table / table.sum(axis=1, keepdims=True)
    moved = float(np.abs(share[0] - share[1]).sum() / 2)
    if len(names) > 1 and moved > LEAST_SHARE and chi2_contingency(table).pvalue < alpha:
        most = int(np.abs(share[1] - share[0]).argmax())
        reasons.append(
            f"{moved:.0%} of the outcomes moved, most of all {names[most]}: {share[0][most]:.0%} before, "
            f"{share[1][most]:.0%} now"
        )
    return OutcomeShift(reasons=tuple(reasons))


def _greater(now: FloatArray, before: FloatArray) -> float:
    """p-value of Welch's test that the mean rose."""
    if now.std() == before.std() == 0:  # nothing to estimate a spread from: any rise is certain
        return 0.0
    return float(ttest_ind(now, before, equal_var=False, alternative="greater").pvalue)
