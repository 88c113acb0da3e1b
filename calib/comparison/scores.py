"""What one method measures on a test set under every training seed: each seed by itself, and all resampled together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike
from pydantic import BaseModel, Field

from routecal.calib.checks import FloatArray, checked
from routecal.calib.comparison.resampled import Resampled, over_divisions, resample
from routecal.calib.metrics import auroc, brier, ece, log_loss, noise_floor


class SeedScore(BaseModel, frozen=True):
    """One method under one seed, on the test rows as they are; None where a metric is undefined."""

    ece: float = Field(description="10 equal-width bins")
    noise_mean: float = Field(description="mean ECE of a perfectly calibrated model with the same confidences")
    noise_high: float = Field(description="such a model stays at or below this ECE on 97.5% of test sets")
    in_band: bool = Field(description="ECE is at most noise_high")
    brier: float
    log_loss: float
    auroc: float | None
    mean_p: float = Field(description="mean confidence")
    std_p: float = Field(description="standard deviation of p; near 0 is collapse")


@dataclass(frozen=True)
class MethodScore:
    """One method on one test set: by seed, and by metric on resampled queries."""

    seeds: tuple[SeedScore, ...]
    resampled: dict[str, Resampled]


def score_methods(p: Sequence[ArrayLike], y: ArrayLike, counts: Iterable[FloatArray], *, seed: int = 0) -> MethodScore:
    """Scores of the confidences that one method's training seeds gave to the same test rows.

    Args:
        p: per training seed, (n,) confidence in [0, 1].
        y: (n,) {0, 1}.
        counts: see `calib.comparison.resample`; a list, if it is used for several methods.
        seed: of the noise floor's redraws.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> import numpy as np
    >>> score_methods([[0.5, 0.5]], [0, 1], [np.ones((1, 2))]).seeds[0].brier
    0.25
    """
    return MethodScore(tuple(_alone(*checked(one, y), seed=seed) for one in p), resample(p, y, counts))


def joined(divisions: Sequence[MethodScore]) -> MethodScore:
    """One score of one method over several divisions, whose resamples are of the same questions."""
    return MethodScore(
        tuple(seed for one in divisions for seed in one.seeds),
        {name: over_divisions([one.resampled[name] for one in divisions]) for name in divisions[0].resampled},
    )


def _alone(p: FloatArray, y: FloatArray, *, seed: int) -> SeedScore:
    floor, error = noise_floor(p, seed=seed), ece(p, y)
    return SeedScore(
        ece=error,
        noise_mean=floor.mean,
        noise_high=floor.high,
        in_band=error <= floor.high,
        brier=brier(p, y),
        log_loss=log_loss(p, y),
        auroc=auroc(p, y),
        mean_p=float(p.mean()),
        std_p=float(p.std()),
    )
