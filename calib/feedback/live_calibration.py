"""Whether what a head said of served queries came true, on those whose answers somebody graded."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from routecal.calib.checks import checked
from routecal.calib.errors import CalibError
from routecal.calib.metrics import Estimate, ReliabilityBins, intervals, noise_floor, reliability_bins

# With fewer graded answers, five in a bin on average, a diagram shows luck.
FEWEST = 50


class TooFewGraded(CalibError, ValueError):
    """Too few answers were graded to say anything of the calibration."""

    n: int
    least: int
    sentence = "{n} graded answers say nothing of a calibration; from {least} on it is shown"


@dataclass(frozen=True)
class LiveCalibration:
    """The calibration of one head on graded answers.

    Attributes:
        n: graded answers.
        said: mean probability that the head said, in [0, 1].
        right: share of answers that were right.
        brier, ece: with intervals of 95 %; that of ECE holds 0 where noise explains all of it.
        noise_high: ECE of a calibrated head on as many answers is at most this, in 39 of 40 cases.
        bins: of ten equal-width ones those that are not empty, with Wilson's intervals.
    """

    n: int
    said: float
    right: float
    brier: Estimate
    ece: Estimate
    noise_high: float
    bins: ReliabilityBins


def live_calibration(said: ArrayLike, right: ArrayLike, *, seed: int = 0) -> LiveCalibration:
    """Of what was said, and what came true.

    Which answers get graded may depend on what was said, but not on how they turned out: where only complaints are
    sent, this is the calibration of complaints.

    Args:
        said: (n,) probability that the answer is right, in [0, 1].
        right: (n,) {0, 1}.
        seed: of the private generators.

    Raises:
        TooFewGraded: n is below FEWEST.
        InvalidProbability, InvalidLabel, LengthMismatch: see `calib.checks.checked`.

    >>> found = live_calibration([0.75] * 60, [1, 1, 1, 0] * 15)
    >>> found.n, found.said, found.right, found.brier.value, found.ece.value, found.bins.n.tolist()
    (60, 0.75, 0.75, 0.1875, 0.0, [60])
    """
    if (n := np.size(said)) < FEWEST:
        raise TooFewGraded(n, FEWEST)
    p, y = checked(said, right)
    found = intervals(p, y, metrics=("brier", "ece"), seed=seed)
    brier, ece = found["brier"], found["ece"]
    assert brier is not None
    assert ece is not None
    return LiveCalibration(
        n=len(p),
        said=float(p.mean()),
        right=float(y.mean()),
        brier=brier,
        ece=ece,
        noise_high=noise_floor(p, seed=seed).high,
        bins=reliability_bins(p, y),
    )
