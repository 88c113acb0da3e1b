"""Confidences and outcomes with a known distortion."""

import numpy as np
from scipy.special import expit

from routecal.calib.checks import logit


def drawn(p, rate, seed):
    """p, and outcomes of the given true rates."""
    return p, (np.random.default_rng([seed, 1]).random(len(p)) < rate).astype(float)


def confidences(n, seed=0):
    return expit(np.random.default_rng(seed).normal(0.5, 1.5, n))


def outcomes(n, *, seed=0, slope=1.0, intercept=0.0):
    """True rate sigmoid(slope * logit(p) + intercept)."""
    p = confidences(n, seed)
    return drawn(p, expit(slope * logit(p) + intercept), seed)


def bent(n, *, seed=0):
    """Right as often as it says below .5, hardly surer above: logit(rate) climbs by 1, then by .1."""
    p = confidences(n, seed)
    z = logit(p)
    return drawn(p, expit(np.minimum(z, 0) + 0.1 * np.maximum(z, 0)), seed)


def capped(n, *, seed=0):
    """Whatever it says, wrong in one case of ten: rate = .8 p + .1."""
    p = confidences(n, seed)
    return drawn(p, 0.8 * p + 0.1, seed)
