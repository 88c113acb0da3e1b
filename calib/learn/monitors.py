"""What is watched in training: how noisy the sampled gradient is, and whether confidence collapses."""

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from routecal.calib.learn.losses import leave_one_out
from routecal.calib.learn.tensor_shapes import check_draws

# All confidences within this standard deviation, or all nearer than this to 0 or 1, is collapse.
COLLAPSED_STD = 1e-3
COLLAPSED_TAIL = 1e-3


def gradient_variance(score: Tensor, r: Tensor) -> Tensor:
    """Variance of a row's sampled policy gradient in z, averaged over the rows.

        mean over rows of  var_j(g_j) / k,   g_j = (r_j - leave_one_out_j) d log pi(x_j) / dz

    An estimate from the k draws themselves. It takes the g_j as independent, which the shared baseline makes untrue:
    under the Brier reward it is too low by about 40% at k = 2, 14% at 4, 7% at 8 and 4% at 16.

    Args:
        score: (k, b) d log pi / dz of each draw.
        r: (k, b) reward of each draw, k >= 2.

    Returns:
        () in units of (reward per logit)². The mean gradient of a batch of b rows has this over b.

    >>> import torch
    >>> score, r = torch.tensor([[1.0], [-1.0]]), torch.tensor([[1.0], [0.0]])
    >>> gradient_variance(score, r).item()  # g = 1 * 1 and -1 * -1
    0.0
    """
    check_draws(score=score, r=r)
    g = (r - leave_one_out(r)) * score
    return g.var(0).mean() / len(g)


@dataclass(frozen=True)
class TrainingHealth:
    """What a set of confidences looks like.

    Attributes:
        brier: mean squared error against the outcomes.
        skill: 1 - brier / brier of the constant at the base rate: below 0, a constant does better. None where all
            outcomes are the same.
        mean: of p.
        std: of p (population).
        mass_at_ends: share of p nearer than COLLAPSED_TAIL to 0 or 1.
    """

    brier: float
    skill: float | None
    mean: float
    std: float
    mass_at_ends: float

    @property
    def collapsed(self) -> bool:
        """Whether every confidence is one value, or 0 or 1."""
        return self.std < COLLAPSED_STD or self.mass_at_ends == 1

    @classmethod
    def of(cls, p: Tensor, y: Tensor) -> Self:
        """The health of p (n,) in [0, 1] against y (n,) {0, 1}.

        >>> import torch
        >>> TrainingHealth.of(torch.tensor([0.5, 1.0]), torch.tensor([0.0, 1.0]))
        TrainingHealth(brier=0.125, skill=0.5, mean=0.75, std=0.25, mass_at_ends=0.5)
        """
        p, y = p.double(), y.double()
        brier, constant = (p - y).square().mean().item(), y.var(correction=0).item()
        return cls(
            brier=brier,
            skill=1 - brier / constant if constant else None,
            mean=p.mean().item(),
            std=p.std(correction=0).item(),
            mass_at_ends=mass_at_ends(p),
        )


def mass_at_ends(p: Tensor) -> float:
    """Share of p (n,) nearer than COLLAPSED_TAIL to 0 or 1.

    >>> import torch
    >>> mass_at_ends(torch.tensor([0.0, 0.5, 0.9999, 0.6]))
    0.5
    """
    return ((p < COLLAPSED_TAIL) | (p > 1 - COLLAPSED_TAIL)).double().mean().item()
