"""All that one has to see of a set of predictions before believing it."""

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from calib.checks import checked
from calib.metrics.bootstrap import Estimate, intervals, noise_floor


class Summary(BaseModel):
    """Metrics of (p, y) with intervals; None where a metric is undefined."""

    model_config = ConfigDict(frozen=True)

    n: int = Field(description="rows")
    level: float = Field(description="coverage of every interval here")
    ece: Estimate = Field(description="expected calibration error, 10 equal-width bins, as a fraction")
    noise_mean: float = Field(description="mean ECE that this p would measure if perfectly calibrated")
    noise_low: float = Field(description="lower end of the noise band")
    noise_high: float = Field(description="upper end of the noise band")
    ece_in_noise_band: bool = Field(description="ECE is at most the upper end of the noise band")
    brier: Estimate = Field(description="mean squared error of p")
    brier_skill: Estimate | None = Field(description="1 - Brier / Brier of the constant base rate; None with one class")
    log_loss: Estimate = Field(description="nats, p clipped to [1e-6, 1 - 1e-6]")
    auroc: Estimate | None = Field(description="P(right has more confidence than wrong); None with one class")
    mean_p: float = Field(description="mean confidence")
    accuracy: float = Field(description="fraction of rows on which the router was right")
    std_p: float = Field(description="standard deviation of p; near 0 is collapse")
    decision_accuracy: float = Field(description="fraction of rows on which [p >= .5] says rightly whether y = 1")


def summarise(p: ArrayLike, y: ArrayLike, *, level: float = 0.95, n_replicates: int = 1000, seed: int = 0) -> Summary:
    """Every metric of (p, y), each with its interval, and the noise floor that ECE must be read against.

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
    names = ("ece", "brier", "log_loss", "brier_skill", "auroc")
    found = intervals(p, y, metrics=names, level=level, n_replicates=n_replicates, seed=seed)
    floor = noise_floor(p, level=level, n_replicates=n_replicates, seed=seed)
    ece, brier, log_loss = found["ece"], found["brier"], found["log_loss"]
    assert ece is not None
    assert brier is not None
    assert log_loss is not None
    return Summary(
        n=len(p),
        level=level,
        ece=ece,
        noise_mean=floor.mean,
        noise_low=floor.low,
        noise_high=floor.high,
        ece_in_noise_band=ece.value <= floor.high,
        brier=brier,
        brier_skill=found["brier_skill"],
        log_loss=log_loss,
        auroc=found["auroc"],
        mean_p=float(p.mean()),
        accuracy=float(y.mean()),
        std_p=float(p.std()),
        decision_accuracy=float(np.mean((p >= 0.5) == (y == 1))),
    )
