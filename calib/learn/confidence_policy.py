"""Distributions over the confidence that RL states: around a head's logit z, draws x of a logit, p = sigmoid(x).

Densities are those of x, not of p. They differ by a Jacobian without parameters, so score functions and KL divergences
are the same, and nothing overflows where p rounds to 0 or 1. Only `entropy` is that of p.

Both kinds have one number for how widely they draw, fixed or learned with the head: one for all rows, kept by the
policy and dropped after training, since a stored head states sigmoid(z). Shapes: z (b,), draws (k, b) or one draw
(b,); others are refused with `ShapeMismatch`.

What a proper reward calibrates is the drawn confidence; the head states the policy's centre, which is best a little
farther from 1/2 than the true rate q. Under the Brier reward, to first order,

    logit-normal   sigmoid(z) - q = -1.5 spread² q (1-q) (1-2q)
    beta           sigmoid(z) - q = -(1-2q) / (2 concentration)

so .0014 at most for a spread of .1 and .0013 for a concentration of 400, but .013 for .3 and 40; narrow weights such as
`cost_weighted`'s make it three or four times as much. With the leave-one-out baseline a narrower policy costs nothing:
the sampled gradient's variance is the same (measured: .0033, .0029, .0029 at spreads .3, .1, .03, for 16 draws).
"""

import math
from collections.abc import Callable
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from routecal.calib.learn.tensor_shapes import check_against, check_rows

Kind = Literal["logit-normal", "beta"]

# A proper reward pays for narrow draws, and the variance of the score function grows as they narrow: learned widths
# are kept within a factor of this around their start.
LEARNED_FACTOR = 5.0
# Beta's two shapes stay above this, so that float64 holds the draws: it moves means that are nearer to 0 or 1 than
# SHAPE_FLOOR / concentration.
SHAPE_FLOOR = 0.1
# Points of the trapezoidal rule: exact to 1e-7 for smooth rewards, over all that RLConfig allows.
NODES = 801


class ConfidencePolicy(Protocol):
    """What RL needs to know of a distribution over x around z.

    Attributes:
        width: () what says how widely it draws; requires grad if it is learned.
        log_factor: () log of the learned factor on the width, 0 at the start.
    """

    log_factor: Tensor

    @property
    def width(self) -> Tensor: ...

    def draw(self, z: Tensor, k: int, generator: torch.Generator) -> Tensor:
        """x (k, b), without gradient."""

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log density of x (k, b), up to a constant without parameters."""

    def score(self, x: Tensor, z: Tensor) -> Tensor:
        """d log_prob / dz (k, b), without gradient."""

    def entropy(self, z: Tensor) -> Tensor:
        """Differential entropy (b,) of p in nats: 0 for a uniform p, which is the most there is."""

    def grid(self, z: Tensor, nodes: int = NODES) -> Tensor:
        """x (nodes, b), evenly spaced over all of the mass but some 1e-12, without gradient."""


class LogitNormal:
    """x ~ Normal(z, spread²).

    Args:
        spread: standard deviation of the logit, > 0.
        learned: whether it is trained.
    """

    def __init__(self, spread: float = 0.1, *, learned: bool = False) -> None:
        self.spread = spread
        self.log_factor = _log_factor(learned)

    @property
    def width(self) -> Tensor:
        """Standard deviation of the logit."""
        return self.spread * self.log_factor.exp()

    def draw(self, z: Tensor, k: int, generator: torch.Generator) -> Tensor:
        check_rows(z=z)
        noise = torch.randn((k, len(z)), generator=generator, dtype=z.dtype).to(z.device)
        return z.detach() + self.width.detach() * noise

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        _check(x, z)
        s = self.width
        return -(((x - z) / s) ** 2) / 2 - s.log()

    def score(self, x: Tensor, z: Tensor) -> Tensor:
        _check(x, z)
        return (x - z.detach()) / self.width.detach() ** 2

    def entropy(self, z: Tensor) -> Tensor:
        # log p(1-p) is smooth: 65 nodes give it to 1e-9 for a spread of 3
        jacobian = expectation(self, z, lambda x: logsigmoid(x) + logsigmoid(-x), nodes=65)
        return self.width.log() + math.log(2 * math.pi * math.e) / 2 + jacobian

    def grid(self, z: Tensor, nodes: int = NODES) -> Tensor:
        check_rows(z=z)
        t = torch.linspace(-8, 8, nodes, dtype=z.dtype, device=z.device)[:, None]
        return z.detach() + self.width.detach() * t


class Beta:
    """p ~ Beta(m c, (1-m) c) with mean m = sigmoid(z); x = logit p.

    Args:
        concentration: c > 0; the standard deviation of p is sqrt(m (1-m) / (c+1)).
        learned: whether it is trained.
    """

    def __init__(self, concentration: float = 400.0, *, learned: bool = False) -> None:
        self.concentration = concentration
        self.log_factor = _log_factor(learned)

    @property
    def width(self) -> Tensor:
        """Concentration: the larger, the narrower."""
        return self.concentration * self.log_factor.exp()

    def shapes(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Beta's two parameters (b,), at least SHAPE_FLOOR."""
        check_rows(z=z)
        c = self.width
        return (c * z.sigmoid()).clamp_min(SHAPE_FLOOR), (c * (-z).sigmoid()).clamp_min(SHAPE_FLOOR)

    def moments(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """E[p] and E[p²], each (b,)."""
        a, b = self.shapes(z)
        mean = a / (a + b)
        return mean, mean * (a + 1) / (a + b + 1)

    def draw(self, z: Tensor, k: int, generator: torch.Generator) -> Tensor:
        # Two gamma draws, in float64 for small shapes. The public torch.distributions knows only the global generator.
        one, other = (
            torch._standard_gamma(shape.detach().cpu().double().expand(k, -1), generator=generator)
            for shape in self.shapes(z)
        )
        return (one.log() - other.log()).to(z)

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        _check(x, z)
        a, b = self.shapes(z)
        return a * logsigmoid(x) + b * logsigmoid(-x) - _log_beta(a, b)

    def score(self, x: Tensor, z: Tensor) -> Tensor:
        _check(x, z)
        z, c = z.detach(), self.width.detach()
        a, b = (shape.detach() for shape in self.shapes(z))
        both = (a + b).digamma()
        up = (logsigmoid(x) - a.digamma() + both) * (c * z.sigmoid() > SHAPE_FLOOR)
        down = (logsigmoid(-x) - b.digamma() + both) * (c * (-z).sigmoid() > SHAPE_FLOOR)
        return c * z.sigmoid() * (-z).sigmoid() * (up - down)

    def entropy(self, z: Tensor) -> Tensor:
        a, b = self.shapes(z)
        both = a + b
        ends = (a - 1) * a.digamma() + (b - 1) * b.digamma()
        return _log_beta(a, b) - ends + (both - 2) * both.digamma()

    def grid(self, z: Tensor, nodes: int = NODES) -> Tensor:
        # The logit's tails fall at least as fast as exp(-|x - mean| / std): std² = trigamma(a) + trigamma(b) > 1/a².
        a, b = (shape.detach() for shape in self.shapes(z))
        std = (torch.polygamma(1, a) + torch.polygamma(1, b)).sqrt()
        t = torch.linspace(-28, 28, nodes, dtype=z.dtype, device=z.device)[:, None]
        return a.digamma() - b.digamma() + std * t


def expectation(policy: ConfidencePolicy, z: Tensor, f: Callable[[Tensor], Tensor], *, nodes: int = NODES) -> Tensor:
    """E[f(x)] (b,) under the policy at z (b,), with its exact gradient in z and in the policy's width.

        E[f(x)] = sum_i w_i f(x_i),   w = softmax over i of log density(x_i)

    The trapezoidal rule on all of the mass, which converges geometrically for smooth integrands (Trefethen & Weideman
    2014, SIAM Review 56(3)), and like 1/nodes² for f with kinks, such as the clipped log. The nodes carry no gradient:
    it is the expectation of f times the score, what `losses.score_function` samples.

    >>> z = torch.tensor([0.0, 1.0], dtype=torch.float64)
    >>> expectation(LogitNormal(0.5), z, lambda x: x**2).round(decimals=9).tolist()  # z² + spread²
    [0.25, 1.25]
    """
    x = policy.grid(z, nodes)
    return (policy.log_prob(x, z).softmax(0) * f(x)).sum(0)


def keep_in_range(policy: ConfidencePolicy) -> None:
    """Put a learned width back within LEARNED_FACTOR of its start, after an optimiser step."""
    with torch.no_grad():
        policy.log_factor.clamp_(-math.log(LEARNED_FACTOR), math.log(LEARNED_FACTOR))


def _check(x: Tensor, z: Tensor) -> None:
    check_rows(z=z)
    check_against(x=x, z=z)


def _log_factor(learned: bool) -> Tensor:
    # Of no dimension, so it joins tensors of every float dtype on every device without changing theirs.
    return torch.zeros((), dtype=torch.float64, requires_grad=learned)


def _log_beta(a: Tensor, b: Tensor) -> Tensor:
    return a.lgamma() + b.lgamma() - (a + b).lgamma()
