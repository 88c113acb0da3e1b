"""What another rule would have been worth, from decisions that were served by one whose probabilities were logged.

Of each decision the log has the action that was served, its probability under *all* that decided (rule, exploration,
fallbacks), and its reward. Three estimates of the mean reward under another rule:

    ips     mean of w r                             (Horvitz and Thompson 1952, doi:10.1080/01621459.1952.10483446)
    snips   sum of w r / sum of w                   (Swaminathan and Joachims 2015)
    dr      mean of q(rule) + w (r - q(action))     (Dudik, Langford and Li 2011, arXiv:1103.4601)

with w the rule's probability of the action over the logged one, and q a prediction of the reward made without the row.
ips and dr are unbiased where the probabilities are true and nowhere zero; snips nearly, with less variance than ips.
Nothing can be said where the rule does what was never done: such a log is refused.
"""

from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t

from routecal.calib.checks import FloatArray, checked_p
from routecal.calib.errors import CalibError, LengthMismatch, OutOfRange
from routecal.calib.metrics import Estimate

Estimator = Literal["ips", "snips", "dr"]
# Fewer rows with weight than this, counted by their weights (Kish 1965), and no interval is worth its name.
FEWEST = 30


class NoSupport(CalibError, ValueError):
    """The rule does what the log never shows.

    Args:
        n: decisions that were certain to go one way, and that the rule sends the other, in part or all.
        total: decisions in the log.
    """

    n: int
    total: int
    sentence = (
        "{n} of {total} decisions could only go one way when they were served, and the rule sends them the other; "
        "what that is worth cannot be told from this log; serve a share of queries at random (--explore), and log it"
    )


class TooLittleSupport(CalibError, ValueError):
    """Too few decisions went the way that the rule goes.

    Args:
        n: as many equally weighted decisions as these are worth.
        least: that are needed.
    """

    n: float
    least: int
    sentence = (
        "the log is worth {n:.1f} decisions that went the rule's way, and an interval needs {least}: log more, or "
        "serve a larger share of queries at random (--explore)"
    )


class WrongPropensities(CalibError, ValueError):
    """Logged probabilities cannot be true: weights that should have a mean of 1 have another.

    Args:
        mean: of the weights.
        z: how many standard errors that is from 1.
    """

    mean: float
    z: float
    sentence = (
        "the weights of the rule against the log have a mean of {mean:.3f} instead of 1 ({z:+.1f} standard errors): "
        "the logged probabilities are not those that decisions were served by; log the probability after every override"
    )


def value_of_rule(
    large: ArrayLike,
    propensity: ArrayLike,
    reward: ArrayLike,
    rule: ArrayLike,
    *,
    predicted: ArrayLike | None = None,
    estimator: Estimator = "snips",
    level: float = 0.95,
) -> Estimate:
    """Mean reward of a rule that did not serve, with an interval.

    Args:
        large: (n,) whether the large model served.
        propensity: (n,) probability of what was served, in (0, 1].
        reward: (n,) of what was served, finite; rows without one must be left out by a rule that does not look at it.
        rule: (n,) the rule's probability of the large model, 0 or 1 where it is certain.
        predicted: (n, 2) rewards predicted of the medium and of the large model, by what has not seen the row; for dr.
        estimator: see above.
        level: coverage of the interval.

    Raises:
        NoSupport: the rule does what the log never shows.
        WrongPropensities: the logged probabilities cannot be true.
        TooLittleSupport: fewer rows that went its way than an interval needs.
        LengthMismatch, InvalidProbability, OutOfRange, TooFewExamples: the arguments are not of this kind.

    >>> rng = np.random.default_rng(0)
    >>> large = rng.random(4000) < 0.3
    >>> reward = np.where(large, 0.9, 0.6) > rng.random(4000)
    >>> found = value_of_rule(large, np.where(large, 0.3, 0.7), reward, np.ones(4000))
    >>> found.low < 0.9 < found.high
    True
    """
    served, p, to_large = (
        np.asarray(large, bool),
        checked_p(propensity, name="propensity"),
        checked_p(rule, name="rule"),
    )
    r = np.asarray(reward, np.float64)
    for name, column in (("large", served), ("reward", r), ("rule", to_large)):
        if column.shape != p.shape:
            raise LengthMismatch(name, column.size, "propensity", len(p))
    if not p.min() > 0:
        raise OutOfRange("propensity", float(p.min()), "above 0: what was served had some probability")
    _check_finite("reward", r)
    of_rule = np.where(served, to_large, 1 - to_large)
    if n_never := int(((p == 1) & (of_rule < 1)).sum()):
        raise NoSupport(n_never, len(p))
    w = of_rule / p
    if (n_with_weight := float(w.sum() ** 2 / max((w**2).sum(), np.finfo(float).tiny))) < FEWEST:
        raise TooLittleSupport(n_with_weight, FEWEST)
    error = float(w.std(ddof=1)) / sqrt(len(w))
    if error and abs(z := (float(w.mean()) - 1) / error) > 5:
        raise WrongPropensities(float(w.mean()), z)
    return _estimate(_terms(w, r, served, to_large, predicted, estimator), level)


def _terms(
    w: FloatArray,
    r: FloatArray,
    served: np.ndarray,
    to_large: FloatArray,
    predicted: ArrayLike | None,
    estimator: Estimator,
) -> FloatArray:
    """(n,) numbers whose mean is the estimate, and whose spread that of the estimate's error."""
    if estimator == "ips":
        return w * r
    if estimator == "snips":
        value = float((w * r).sum() / w.sum())
        # Linearised: the mean is the value, and the spread that of a ratio of means.
        return np.asarray(value + w * (r - value) / w.mean())
    q = np.empty((0, 2)) if predicted is None else np.asarray(predicted, np.float64)
    if q.shape != (len(w), 2):
        raise LengthMismatch("predicted", q.size, "two columns of propensity", 2 * len(w))
    _check_finite("predicted", q.ravel())
    return np.asarray((1 - to_large) * q[:, 0] + to_large * q[:, 1] + w * (r - np.where(served, q[:, 1], q[:, 0])))


def _check_finite(name: str, values: FloatArray) -> None:
    if len(bad := np.flatnonzero(~np.isfinite(values))):
        raise OutOfRange(f"{name}[{bad[0]}]", float(values[bad[0]]), "a finite number")


def _estimate(terms: FloatArray, level: float) -> Estimate:
    value, half = float(terms.mean()), float(t.ppf((1 + level) / 2, len(terms) - 1)) * float(terms.std(ddof=1))
    half /= sqrt(len(terms))
    return Estimate(value=value, low=value - half, high=value + half)
