"""Rewards (p, y) -> r for a stated confidence p, elementwise on torch tensors that broadcast.

A reward is proper when, for every true rate q, its expectation q r(p, 1) + (1-q) r(p, 0) peaks at p = q. An improper
one teaches something else than calibration; it must be named in IMPROPER with the reason.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from calib.errors import UnknownName

# `log` clips p to [LOG_EPS, 1 - LOG_EPS], as Rewarding Doubt does: one draw then costs at most 6.9 nats, and a rate
# nearer to 0 or 1 than that cannot be told anyway from a thousand labels.
LOG_EPS = 1e-3


def linear(p: Tensor, y: Tensor) -> Tensor:
    """METHOD.md's reward, exactly: p where the decision was right, 1 - p where it was wrong.

        r = p y + (1-p)(1-y),   E[r] = p(2q-1) + (1-q)

    Improper: the expectation is linear in p, so its best answer is 0 or 1, never q.

    Args:
        p: (...) confidence in [0, 1].
        y: (...) {0, 1}, broadcastable with p.

    Returns:
        (...) reward in [0, 1].

    >>> linear(torch.tensor([0.75, 0.75]), torch.tensor([1.0, 0.0])).tolist()
    [0.75, 0.25]
    """
    return torch.where(y == 1, p, 1 - p)


def brier(p: Tensor, y: Tensor) -> Tensor:
    """One minus the squared error.

        r = 1 - (y - p)²,   dE[r]/dp = 2(q - p)

    Proper (Brier 1950); the reward of RLCR, arXiv:2507.16806. Takes p (...) in [0, 1] and y (...) {0, 1}, gives r (...)
    in [0, 1].

    >>> brier(torch.tensor([0.5, 1.0]), torch.tensor([1.0, 1.0])).tolist()
    [0.75, 1.0]
    """
    return 1 - (y - p) ** 2


def log(p: Tensor, y: Tensor) -> Tensor:
    """Log likelihood of the outcome, p clipped to [LOG_EPS, 1 - LOG_EPS].

        r = y log p + (1-y) log(1-p)

    Proper (Good 1952) for rates q inside the clip. Takes p (...) in [0, 1] and y (...) {0, 1}, gives r (...) in
    [-6.91, -0.001]. Beyond the clip the gradient through p is zero.

    >>> log(torch.tensor([0.5, 0.0]), torch.tensor([1.0, 1.0])).tolist()  # log .5, log .001
    [-0.6931471824645996, -6.907755374908447]
    """
    p = p.clamp(LOG_EPS, 1 - LOG_EPS)
    return torch.where(y == 1, p, 1 - p).log()


def spherical(p: Tensor, y: Tensor) -> Tensor:
    """Probability of the outcome over the length of (p, 1-p).

        r = (p y + (1-p)(1-y)) / sqrt(p² + (1-p)²)

    Proper (Gneiting & Raftery 2007, section 4.1). Takes p (...) in [0, 1] and y (...) {0, 1}, gives r (...) in [0, 1].

    >>> spherical(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0])).tolist()
    [1.0, 0.0]
    """
    return linear(p, y) / torch.sqrt(p**2 + (1 - p) ** 2)


REWARDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {f.__name__: f for f in (linear, brier, log, spherical)}

IMPROPER: dict[str, str] = {"linear": "E[r] is linear in p, so the best answer is 0 or 1, never the true rate"}

_ALIASES = {"calibration": "linear"}  # METHOD.md: --reward-type calibration


def get(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The reward of that name; "calibration", METHOD.md's command-line name, means `linear`.

    Raises:
        UnknownName: no such reward; lists those there are.

    >>> get("calibration") is linear
    True
    """
    name = _ALIASES.get(name, name)
    if name not in REWARDS:
        raise UnknownName("reward", name, REWARDS)
    return REWARDS[name]
