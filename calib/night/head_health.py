"""Does a serving head still hold? Held-out labels of earlier nights, and the looks of new queries without any."""

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, Field

from routecal.calib.checks import checked
from routecal.calib.metrics import Estimate, intervals, noise_floor
from routecal.calib.night.query_drift import Drift

# Held-out rows below which calibration cannot be judged.
MIN_WINDOW = 100


class Health(BaseModel, frozen=True):
    """How the serving head fares."""

    n: int = Field(description="held-out rows of earlier nights")
    ece: Estimate | None = Field(default=None, description="on them; None where they are too few")
    brier: Estimate | None = None
    noise_high: float | None = Field(default=None, description="an ECE up to here is no evidence of miscalibration")
    drift: Drift | None = Field(default=None, description="of new queries against those the head learned from")
    escalated: float | None = Field(default=None, description="share of the held-out rows that it escalates")

    @property
    def drifted(self) -> bool:
        """New queries are unlike those that the head learned from."""
        return self.drift is not None and self.drift.is_found

    @property
    def concerns(self) -> tuple[str, ...]:
        """What speaks for labelling tonight, in sentences; empty if the head holds."""
        if self.ece is None:
            few = f"only {self.n} held-out rows are labelled, {MIN_WINDOW} are needed to judge calibration"
            return (few, *self.complaints)
        return self.complaints

    @property
    def complaints(self) -> tuple[str, ...]:
        """What speaks against the head, in sentences: evidence, not the lack of it."""
        found = []
        if self.ece is not None and self.noise_high is not None and self.ece.value > self.noise_high:
            found.append(
                f"ECE is {self.ece.value:.3f} on the {self.n} newest held-out rows, outside its noise band (up to "
                f"{self.noise_high:.3f})"
            )
        if self.drift is not None and self.drift.is_found:
            found.append(
                f"queries drifted: {self.drift.column} (Kolmogorov-Smirnov distance {self.drift.statistic:.2f}, "
                f"p = {self.drift.p_value:.1g} after Bonferroni)"
            )
        return tuple(found)


def alarming(health: Health | None, *, is_news: bool) -> tuple[str, ...]:
    """What speaks against the guarantee of the serving head, in sentences: its complaints.

    Args:
        health: of the serving head; None: none serves.
        is_news: something was labelled since the head was trained. Else held-out rows say what they said when the gate
            let the head in, and only queries can have changed.
    """
    if health is None:
        return ()
    return health.complaints if is_news else health.model_copy(update={"ece": None}).complaints


def examine(
    p: ArrayLike, y: ArrayLike, *, drift: Drift | None = None, escalated: ArrayLike | None = None, seed: int = 0
) -> Health:
    """The health of a head by what it said of held-out rows.

    Args:
        p: (n,) its confidence in [0, 1]; n may be 0.
        y: (n,) {0, 1}.
        drift: of new queries, if there are any.
        escalated: (n,) whether it sends the row to the large model; None: none.
        seed: of the redrawn labels.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch: see `calib.checks.checked`.
    """
    n = np.size(y)
    if n < MIN_WINDOW:
        return Health(n=n, drift=drift)
    p, y = checked(p, y)
    estimates = intervals(p, y, metrics=("ece", "brier"), seed=seed)
    return Health(
        n=n,
        ece=estimates["ece"],
        brier=estimates["brier"],
        noise_high=noise_floor(p).high,
        drift=drift,
        escalated=0.0 if escalated is None else float(np.asarray(escalated, np.float64).mean()),
    )


def may_rest(health: Health | None, *, quiet: int, recheck: int) -> bool:
    """Nothing speaks for labelling tonight: a head serves, no concern, and the last labels are not too old.

    Args:
        health: of the serving head; None: none serves yet.
        quiet: nights that labelled nothing, since one did.
        recheck: nights after which labels are asked for whatever the head's health: answers change without a sign.
    """
    return health is not None and not health.concerns and quiet + 1 < recheck
