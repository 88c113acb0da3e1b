"""All that one has to see of a set of predictions before believing it."""

from math import isfinite

from numpy.typing import ArrayLike
from pydantic import BaseModel, Field

from routecal.calib.checks import checked
from routecal.calib.metrics.binned import ece_debiased, ece_equal_mass
from routecal.calib.metrics.bootstrap import Estimate, intervals
from routecal.calib.metrics.murphy import brier_parts
from routecal.calib.metrics.noise import noise_floor
from routecal.calib.metrics.proper import log_loss
from routecal.calib.metrics.ranking import auprc
from routecal.calib.metrics.selective import coverage_at_risk, decision_accuracy, e_aurc, risk_at_coverage
from routecal.calib.metrics.significance import kuiper_test, spiegelhalter_test
from routecal.calib.metrics.smooth import smooth_ece


class Summary(BaseModel, frozen=True):
    """Metrics of (p, y) with intervals; None where a metric is undefined."""

    n: int = Field(description="rows")
    level: float = Field(description="coverage of every interval here")
    ece: Estimate = Field(description="expected calibration error, 10 equal-width bins, as a fraction")
    noise_mean: float = Field(description="mean ECE that this p would measure if perfectly calibrated")
    noise_low: float = Field(description="lower end of the central noise band")
    noise_high: float = Field(description="upper end: a calibrated p stays at or below it with (1 + level) / 2")
    ece_in_noise_band: bool = Field(description="ECE is at most noise_high")
    brier: Estimate = Field(description="mean squared error of p")
    brier_skill: Estimate | None = Field(description="1 - Brier / Brier of the constant base rate; None with one class")
    log_loss: float = Field(description="nats, p clipped to [1e-6, 1 - 1e-6]")
    auroc: Estimate | None = Field(description="P(right has more confidence than wrong); None with one class")
    mean_p: float = Field(description="mean confidence")
    accuracy: float = Field(description="fraction of rows on which the router was right")
    std_p: float = Field(description="standard deviation of p; near 0 is collapse")
    decision_accuracy: float = Field(description="fraction of rows on which [p >= .5] says rightly whether y = 1")
    ece_equal_mass: float = Field(description="as ece, over 10 bins of equally many rows")
    ece_debiased: float = Field(description="root mean squared gap over the bins of ece, less what label noise adds")
    smooth_ece: float = Field(description="calibration error of residuals smoothed over p, without bins")
    kuiper_p: float = Field(description="p-value of Kuiper's test of calibration; small speaks against it")
    spiegelhalter_z: float | None = Field(description="above 0 p is too extreme, below too timid; None if not finite")
    spiegelhalter_p: float | None = Field(description="two-sided p-value of spiegelhalter_z")
    reliability: float = Field(description="part of Brier that is miscalibration, 10 bins")
    resolution: float = Field(description="what Brier gains by telling decisions apart, 10 bins")
    uncertainty: float = Field(description="Brier of the constant base rate")
    auprc: float | None = Field(description="average precision of right decisions; None if none is right")
    aurc: Estimate = Field(description="error rate of the kept rows, averaged over how many are kept")
    e_aurc: float = Field(description="aurc minus that of the best ranking of the same decisions")
    augrc: Estimate = Field(description="P(kept and wrong), averaged over coverage")
    risk_at_coverage: float = Field(description="error rate of the most confident 80% of rows")
    coverage_at_risk: float = Field(description="share of rows that a threshold can keep at 10% errors, on these rows")


def summarise(p: ArrayLike, y: ArrayLike, *, level: float = 0.95, n_replicates: int = 1000, seed: int = 0) -> Summary:
    """Every metric of (p, y), those that have one with an interval, and the noise floor that ECE must be read against.

    `ece_in_noise_band` asks only whether ECE is too large: one below the band is luck, not a fault.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}, 1 where the router's policy was right.
        level: coverage of all intervals.
        n_replicates: resamples, and redraws for the noise floor.
        seed: of the private generators.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> s = summarise([0.75] * 4, [1, 1, 1, 0], n_replicates=100)
    >>> s.ece.value, s.brier.value, s.brier_skill.value, s.auroc.value, s.decision_accuracy
    (0.0, 0.1875, 0.0, 0.5, 0.75)
    """
    p, y = checked(p, y)
    names = ("ece", "brier", "brier_skill", "auroc", "aurc", "augrc")
    found = intervals(p, y, metrics=names, level=level, n_replicates=n_replicates, seed=seed)
    floor = noise_floor(p, level=level, n_replicates=n_replicates, seed=seed)
    sure = {name: estimate for name, estimate in found.items() if estimate is not None}
    spiegelhalter = spiegelhalter_test(p, y)
    parts = brier_parts(p, y)
    return Summary(
        n=len(p),
        level=level,
        ece=sure["ece"],
        noise_mean=floor.mean,
        noise_low=floor.low,
        noise_high=floor.high,
        ece_in_noise_band=sure["ece"].value <= floor.high,
        brier=sure["brier"],
        brier_skill=found["brier_skill"],
        log_loss=log_loss(p, y),
        auroc=found["auroc"],
        mean_p=float(p.mean()),
        accuracy=float(y.mean()),
        std_p=float(p.std()),
        decision_accuracy=decision_accuracy(p, y),
        ece_equal_mass=ece_equal_mass(p, y),
        ece_debiased=ece_debiased(p, y),
        smooth_ece=smooth_ece(p, y),
        kuiper_p=kuiper_test(p, y).p_value,
        spiegelhalter_z=spiegelhalter.statistic if spiegelhalter and isfinite(spiegelhalter.statistic) else None,
        spiegelhalter_p=None if spiegelhalter is None else spiegelhalter.p_value,
        reliability=parts.reliability,
        resolution=parts.resolution,
        uncertainty=parts.uncertainty,
        auprc=auprc(p, y),
        aurc=sure["aurc"],
        e_aurc=e_aurc(p, y),
        augrc=sure["augrc"],
        risk_at_coverage=risk_at_coverage(p, y),
        coverage_at_risk=coverage_at_risk(p, y),
    )
