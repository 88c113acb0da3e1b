"""Rewards (p, y) -> r for a stated confidence p, elementwise on torch tensors; y has p's shape or its last dimensions.

A reward is proper when, for every true rate q, its expectation q r(p, 1) + (1-q) r(p, 0) peaks at p = q. An improper
one teaches something else than calibration; it must be named in IMPROPER with the reason.

Every reward takes soft outcomes too: y in [0, 1] is the share of oracle samples that found the decision right, and r
is then the expectation y r(p, 1) + (1-y) r(p, 0). It is linear in y, so what is proper for 0/1 stays so.

Why METHOD.md's RL is overconfident, in two lines (q the true rate):

    reward      E[r]   = q p + (1-q)(1-p) = (2q-1) p + (1-q): linear in p, so best at 1 if q > 1/2 and at 0 if q < 1/2.
    surrogate   E[p r] = (2q-1) p² + (1-q) p: best at 1 if q >= 1/3, else at (1-q) / (2 - 4q) >= 1/2; above q if q < 1.

Why the others are not: each has dE[r]/dp = 2 w(p) (q - p) with w >= 0, so E[r] rises up to p = q and falls beyond it.
`brier` has w = 1; w says where along [0, 1] mistakes count, and the beta family makes it a choice.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from routecal.calib.errors import known
from routecal.calib.learn.beta_reward import beta, cost_weighted  # noqa: F401  # REWARDS finds them by name
from routecal.calib.learn.reward_names import ALIASES, REWARD_NAMES
from routecal.calib.learn.tensor_shapes import check_against

Reward = Callable[[Tensor, Tensor], Tensor]

# `log` clips p to [LOG_EPS, 1 - LOG_EPS], as Rewarding Doubt does: one draw then costs at most 6.9 nats, and a rate
# nearer to 0 or 1 than that cannot be told anyway from a thousand labels.
LOG_EPS = 1e-3


class ImproperReward(UserWarning):
    """Training on a reward whose best answer is not the true rate, without having said that this is meant."""

    def __init__(self, reward: str, estimator: str, reason: str) -> None:
        super().__init__(reward, estimator, reason)
        self.reward, self.estimator, self.reason = reward, estimator, reason

    def __str__(self) -> str:
        return (
            f"RL with reward {self.reward} ({self.estimator}) is improper: {self.reason}; confidences will not be "
            "calibrated. Use brier, log or spherical, or set allow_improper for an ablation"
        )


def linear(p: Tensor, y: Tensor) -> Tensor:
    """METHOD.md's reward, exactly: p where the decision was right, 1 - p where it was wrong.

        r = p y + (1-p)(1-y),   E[r] = p(2q-1) + (1-q)

    Improper: the expectation is linear in p, so its best answer is 0 or 1, never q.

    Args:
        p: (...) confidence in [0, 1].
        y: {0, 1} or soft in [0, 1], of the shape of p or of its last dimensions.

    Returns:
        (...) reward in [0, 1].

    >>> linear(torch.tensor([0.75, 0.75]), torch.tensor([1.0, 0.0])).tolist()
    [0.75, 0.25]
    """
    check_against(p=p, y=y)
    return p * y + (1 - p) * (1 - y)


def brier(p: Tensor, y: Tensor) -> Tensor:
    """One minus the squared error.

        r = 1 - (y - p)² - y(1-y),   dE[r]/dp = 2(q - p)

    The last term is 0 for y in {0, 1}; for soft y it makes r the expectation over the outcome. Proper (Brier 1950); the
    reward of RLCR, arXiv:2507.16806. Takes p (...) in [0, 1] and y (...) in [0, 1], gives r (...) in [0, 1].

    >>> brier(torch.tensor([0.5, 1.0]), torch.tensor([1.0, 1.0])).tolist()
    [0.75, 1.0]
    """
    check_against(p=p, y=y)
    return 1 - (y - p) ** 2 - y * (1 - y)


def log(p: Tensor, y: Tensor) -> Tensor:
    """Log likelihood of the outcome, p clipped to [LOG_EPS, 1 - LOG_EPS].

        r = y log p + (1-y) log(1-p)

    Proper (Good 1952): strictly for rates q inside the clip; for a rate beyond it, every p beyond it is equally good.
    Takes p (...) in [0, 1] and y (...) in [0, 1], gives r (...) in [-6.91, -0.001]. Beyond the clip the gradient
    through p is zero.

    >>> log(torch.tensor([0.5, 0.0]), torch.tensor([1.0, 1.0])).tolist()  # log .5, log .001
    [-0.6931471824645996, -6.907755374908447]
    """
    check_against(p=p, y=y)
    p = p.clamp(LOG_EPS, 1 - LOG_EPS)
    return y * p.log() + (1 - y) * (1 - p).log()


def spherical(p: Tensor, y: Tensor) -> Tensor:
    """Probability of the outcome over the length of (p, 1-p).

        r = (p y + (1-p)(1-y)) / sqrt(p² + (1-p)²)

    Proper (Gneiting & Raftery 2007, section 4.1). Takes p (...) and y (...) in [0, 1], gives r (...) in [0, 1].

    >>> spherical(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0])).tolist()
    [1.0, 0.0]
    """
    return linear(p, y) / torch.sqrt(p**2 + (1 - p) ** 2)


REWARDS: dict[str, Callable[..., Tensor]] = {name: globals()[name] for name in REWARD_NAMES if name not in ALIASES}

IMPROPER: dict[str, str] = {"linear": "E[r] is linear in p, so the best answer is 0 or 1, never the true rate"}


def canonical(name: str) -> str:
    """The registered name that `name` means: "calibration", METHOD.md's command-line name, means "linear"."""
    return ALIASES.get(name, name)


def get_reward(name: str, **parameters: float) -> Reward:
    """The reward of that name, its parameters bound: `get_reward("beta", alpha=2, beta=1)`; picklable.

    Raises:
        UnknownName: no such reward; lists those there are.

    >>> get_reward("calibration") is linear
    True
    """
    reward = known("reward", canonical(name), REWARDS)
    return partial(reward, **parameters) if parameters else reward
