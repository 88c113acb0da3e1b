"""The distribution of the confidence that RL states: around a head's logit z, draws x of a logit, p = sigmoid(x).

    x ~ Normal(z, spread²)

Densities are those of x, not of p. They differ by a Jacobian without parameters, so score functions are the same, and
nothing overflows where p rounds to 0 or 1. A stored head states sigmoid(z). Shapes: z (b,), draws (k, b) or one draw
(b,); others are refused with `ShapeMismatch`.

What a proper reward calibrates is the drawn confidence; the head states the centre of the draws, which is best a little
farther from 1/2 than the true rate q. Under the Brier reward, to first order,

    sigmoid(z) - q = -1.5 spread² q (1-q) (1-2q)

so .0014 at most for a spread of .1, but .013 for .3; narrow weights such as `cost_weighted`'s make it three or four
times as much. With the leave-one-out baseline a narrower policy costs nothing: the sampled gradient's variance is the
same (measured: .0033, .0029, .0029 at spreads .3, .1, .03, for 16 draws).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from routecal.calib.learn.tensor_shapes import check_against, check_rows

# Points of the trapezoidal rule: exact to 1e-7 for smooth rewards.
NODES = 801


class LogitNormal:
    """x ~ Normal(z, spread²).

    Args:
        spread: standard deviation of the logit, > 0.
    """

    def __init__(self, spread: float = 0.1) -> None:
        self.spread = spread

    def draw(self, z: Tensor, k: int, generator: torch.Generator) -> Tensor:
        """x (k, b), without gradient."""
        check_rows(z=z)
        noise = torch.randn((k, len(z)), generator=generator, dtype=z.dtype).to(z.device)
        return z.detach() + self.spread * noise

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log density of x (k, b), up to a constant."""
        _check(x, z)
        return -(((x - z) / self.spread) ** 2) / 2

    def score(self, x: Tensor, z: Tensor) -> Tensor:
        """d log_prob / dz (k, b), without gradient."""
        _check(x, z)
        return (x - z.detach()) / self.spread**2

    def grid(self, z: Tensor) -> Tensor:
        """x (NODES, b), evenly spaced over all of the mass but some 1e-12, without gradient."""
        check_rows(z=z)
        t = torch.linspace(-8, 8, NODES, dtype=z.dtype, device=z.device)[:, None]
        return z.detach() + self.spread * t


def expectation(policy: LogitNormal, z: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
    """E[f(x)] (b,) under the policy at z (b,), with its exact gradient in z.

        E[f(x)] = sum_i w_i f(x_i),   w = softmax over i of log density(x_i)

    The trapezoidal rule on all of the mass, which converges geometrically for smooth integrands (Trefethen & Weideman
    2014, SIAM Review 56(3)), and like 1/nodes² for f with kinks, such as the clipped log. The nodes carry no gradient:
    it is the expectation of f times the score, what `losses.score_function` samples.

    >>> z = torch.tensor([0.0, 1.0], dtype=torch.float64)
    >>> expectation(LogitNormal(0.5), z, lambda x: x**2).round(decimals=9).tolist()  # z² + spread²
    [0.25, 1.25]
    """
    x = policy.grid(z)
    return (policy.log_prob(x, z).softmax(0) * f(x)).sum(0)


def _check(x: Tensor, z: Tensor) -> None:
    check_rows(z=z)
    check_against(x=x, z=z)
