"""The one place where (p, y) is checked; every metric and every fit starts here."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from routecal.calib.errors import InvalidLabel, InvalidProbability, LengthMismatch, TooFewExamples

FloatArray = NDArray[np.float64]

# Where a logarithm or a logit of p is taken, p is first clipped to [EPS, 1 - EPS]: one confident mistake then costs
# at most -log(1e-6) = 13.8 nats, and |logit| is at most 13.8.
EPS = 1e-6


def checked_p(p: ArrayLike, *, name: str = "p") -> FloatArray:
    """p as (n,) float64, refused unless every entry is a probability.

    Raises:
        InvalidProbability: an entry is outside [0, 1] or not finite.
        TooFewExamples: p is empty.
        LengthMismatch: p is not one-dimensional.

    >>> checked_p([0, 1]).tolist()
    [0.0, 1.0]
    """
    array = np.asarray(p, dtype=np.float64)
    if array.ndim != 1:
        raise LengthMismatch(name, array.size, f"one column of {name}", len(array) if array.ndim else 1)
    if not len(array):
        raise TooFewExamples(0, 1)
    if not (array.min() >= 0 and array.max() <= 1):  # false for NaN too; the row is looked for only when there is one
        bad = int(np.flatnonzero(~((array >= 0) & (array <= 1)))[0])
        raise InvalidProbability(name, bad, float(array[bad]))
    return array


def checked(p: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """(p, y) as two (n,) float64 arrays, refused unless p are probabilities and y are 0 or 1.

    Raises:
        InvalidProbability, TooFewExamples: as `checked_p`.
        InvalidLabel: an entry of y is neither 0 nor 1.
        LengthMismatch: p and y differ in length.

    >>> checked([0.5], [True])[1].tolist()
    [1.0]
    """
    p, y = checked_p(p), np.asarray(y, dtype=np.float64)
    if y.shape != p.shape:
        raise LengthMismatch("p", len(p), "y", y.size)
    if len(bad := np.flatnonzero(~((y == 0) | (y == 1)))):
        raise InvalidLabel("y", int(bad[0]), float(y[bad[0]]))
    return p, y


def logit(p: FloatArray) -> FloatArray:
    """log(p / (1 - p)) of p clipped to [EPS, 1 - EPS].

    >>> logit(np.array([0.5, 1.0])).round(2).tolist()
    [0.0, 13.82]
    """
    p = np.clip(p, EPS, 1 - EPS)
    return np.asarray(np.log(p) - np.log1p(-p))
