"""Proper scores: their expectation is best at p = q, so they cannot be gamed by hedging or by shouting."""

import numpy as np
from numpy.typing import ArrayLike

from routecal.calib.checks import EPS, FloatArray, checked


def brier_rows(p: FloatArray, y: FloatArray) -> FloatArray:
    """(p - y)² of each row."""
    return np.square(p - y)


def log_loss_rows(p: FloatArray, y: FloatArray) -> FloatArray:
    """-log P(y) of each row, p clipped to [EPS, 1 - EPS]."""
    return np.asarray(-np.log(np.clip(np.where(y == 1, p, 1 - p), EPS, 1 - EPS)))


def brier(p: ArrayLike, y: ArrayLike) -> float:
    """Mean squared distance of the confidence from the outcome; lower is better.

        Brier = mean (p - y)²

    Brier 1950, in the binary form that runs from 0 to 1. A constant at base rate q scores q(1-q): at q = .75 the
    useless constant already meets "Brier < .2". Compare with `brier_skill`.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> brier([1.0, 0.5], [1, 0])
    0.125
    """
    return float(brier_rows(*checked(p, y)).mean())


def log_loss(p: ArrayLike, y: ArrayLike) -> float:
    """Mean negative log likelihood in nats; lower is better.

        LogLoss = -mean(y log p + (1-y) log(1-p)),  p clipped to [1e-6, 1 - 1e-6]

    The clip keeps one confident mistake (p = 1, y = 0) at 13.8 nats instead of infinity; where many rows are clipped
    the number depends on the clip.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> log_loss([0.5, 0.5], [1, 0])  # log 2
    0.6931471805599453
    """
    return float(log_loss_rows(*checked(p, y)).mean())


def brier_skill(p: ArrayLike, y: ArrayLike) -> float | None:
    """Fraction of the Brier score of the constant base rate that p removes; higher is better.

        skill = 1 - Brier(p) / Brier(mean y) = 1 - Brier(p) / (q (1-q)),  q = mean y

    0 is a constant's skill, 1 is perfect, negative is worse than a constant. The base rate is that of the same rows,
    which flatters the constant a little at small n.

    Args:
        p: (n,) confidence in [0, 1].
        y: (n,) {0, 1}.

    Returns:
        At most 1, or None when y has one class: then the constant is perfect and skill has no meaning.

    Raises:
        InvalidProbability, InvalidLabel, LengthMismatch, TooFewExamples: see `calib.checks.checked`.

    >>> brier_skill([0.5, 0.5], [1, 0]), brier_skill([1.0, 0.0], [1, 0])
    (0.0, 1.0)
    """
    p, y = checked(p, y)
    spread = y.mean() * (1 - y.mean())
    return float(1 - brier_rows(p, y).mean() / spread) if spread > 0 else None


def skill_rows(p: FloatArray, y: FloatArray) -> FloatArray:
    """Values (n,) whose mean is the Brier skill, and whose spread is that of its linear part in score and base rate."""
    squares, q = brier_rows(p, y), y.mean()
    spread, score = q * (1 - q), squares.mean()
    return np.asarray(1 - squares / spread + score * (1 - 2 * q) / spread**2 * (y - q))
