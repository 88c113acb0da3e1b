"""The beta family of proper rewards: where along [0, 1] errors of confidence count is a choice."""

from typing import Any

import torch
from scipy.special import betainc, betaln
from torch import Tensor

from routecal.calib.errors import OutOfRange
from routecal.calib.learn.tensor_shapes import check_against

# Where alpha or beta is below 1 the weight of `beta` is infinite at an end; its slope is taken no nearer than this.
SLOPE_EPS = 1e-6


def beta(p: Tensor, y: Tensor, *, alpha: float = 1.0, beta: float = 1.0) -> Tensor:
    """The two-parameter family of proper rules whose weight w is the density of Beta(alpha, beta).

        r(p, 1) = 1 - 2 ∫_p^1 (1-t) w(t) dt = 1 - 2 beta/(alpha+beta) I_{1-p}(beta+1, alpha)
        r(p, 0) = 1 - 2 ∫_0^p   t   w(t) dt = 1 - 2 alpha/(alpha+beta) I_p(alpha+1, beta)
        dr/dp   = 2 w(p) (y - p)

    I is the regularised incomplete beta function. Buja, Stuetzle & Shen 2005, "Loss functions for binary class
    probability estimation and classification", whose weight is t^(alpha-1) (1-t)^(beta-1) and whose family includes
    alpha, beta <= 0 (log loss at 0). Departs from it: alpha, beta > 0, the weight integrates to 1, and r = 1 - 2 loss,
    so that alpha = beta = 1 is exactly `brier`. As both grow the weight narrows to a point, and r to the cost-weighted
    0/1 reward; where w is nearly 0 nothing is learned, so a narrow weight leaves the rest of [0, 1] uncalibrated.

    Args:
        p: (...) confidence in [0, 1].
        y: {0, 1} or soft in [0, 1], of the shape of p or of its last dimensions.
        alpha, beta: > 0; the weight has mean alpha/(alpha+beta), and mode (alpha-1)/(alpha+beta-2) if both exceed 1.
            Below 1 the weight is infinite at an end; the gradient is then taken at p clipped to SLOPE_EPS from it.

    Returns:
        (...) reward in [1 - 2 max(alpha, beta)/(alpha+beta), 1], 1 for certainty that was right. Computed in float64
        on the CPU.

    Raises:
        OutOfRange: alpha or beta is not a positive finite number.

    >>> beta(torch.tensor([0.5, 0.25]), torch.tensor([1.0, 0.0])).tolist()  # brier
    [0.75, 0.9375]
    >>> beta(torch.tensor([0.5]), torch.tensor([1.0]), alpha=2.0, beta=1.0).tolist()  # 1 - 2 ∫_.5^1 (1-t) 2t dt
    [0.6666666865348816]
    """
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not 0 < value < float("inf"):
            raise OutOfRange(name, value, "a positive number; 1 and 1 is brier")
    check_against(p=p, y=y)
    p, y = torch.broadcast_tensors(p, y)  # type: ignore[no-untyped-call]
    r: Tensor = _Beta.apply(p, y, alpha, beta)  # type: ignore[no-untyped-call]
    return r


class _Beta(torch.autograd.Function):
    """torch has no incomplete beta function; the slope needs none."""

    @staticmethod
    def forward(ctx: Any, p: Tensor, y: Tensor, a: float, b: float) -> Tensor:
        ctx.save_for_backward(p, y)
        ctx.shape = a, b
        t, target = (x.detach().cpu().double() for x in (p, y))
        # Both integrals from one I: with F = I_p(a, b) and D = p^a (1-p)^b / B(a, b),
        # a I_p(a+1, b) = a F - D and b I_{1-p}(b+1, a) = b (1 - F) - D.
        below = torch.as_tensor(betainc(a, b, t.numpy()))
        at = torch.exp(a * t.log() + b * torch.log1p(-t) - float(betaln(a, b)))
        loss = target * b * (1 - below) + (1 - target) * a * below - at
        return (1 - 2 / (a + b) * loss).to(p)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        p, y = ctx.saved_tensors
        a, b = ctx.shape
        t = p.clamp(SLOPE_EPS, 1 - SLOPE_EPS)
        weight = torch.exp((a - 1) * t.log() + (b - 1) * torch.log1p(-t) - float(betaln(a, b)))
        return grads[0] * 2 * weight * (y - p), None, None, None


def escalation_threshold(cost_ratio: float) -> float:
    """The confidence below which escalating is cheaper, for an operator's cost ratio R.

        R = cost of keeping a wrong decision / cost of escalating a right one
        keep if (1-p) R <= p, that is p >= R / (1+R)

    Args:
        cost_ratio: R > 0, without unit. 1: both errors cost the same; 9: a harmful answer costs nine needless
            escalations.

    Raises:
        OutOfRange: R is not a positive finite number.

    >>> escalation_threshold(1.0), escalation_threshold(4.0)
    (0.5, 0.8)
    """
    if not 0 < cost_ratio < float("inf"):
        raise OutOfRange("cost_ratio", cost_ratio, "a positive number: a wrong one kept / a right one escalated")
    return cost_ratio / (1 + cost_ratio)


def cost_weighted(p: Tensor, y: Tensor, *, cost_ratio: float = 1.0, concentration: float = 4.0) -> Tensor:
    """`beta` with its weight where the operator decides: the mode of w is the threshold that the cost ratio implies.

        t = R / (1+R),   alpha = 1 + concentration t,   beta = 1 + concentration (1-t)

    The tailoring of Buja, Stuetzle & Shen 2005, who put the *mean* of w at t. Departs from them: the mode, so that
    every weight is bounded, gradients at 0 and 1 are finite, and concentration 0 is `brier` for every cost ratio.
    Proper for any ratio: it says where errors of p count most, not that p should be shaded, and a head with enough
    capacity and data learns the same p under all of them.

    Args:
        p: (...) confidence in [0, 1].
        y: {0, 1} or soft in [0, 1], of the shape of p or of its last dimensions.
        cost_ratio: R of `escalation_threshold`.
        concentration: >= 0; at 4 and R = 1 the weight is 1.9 at the threshold, .8 at .2 and .8, and 0 at the ends.

    Raises:
        OutOfRange: R is not positive, or the concentration negative or infinite.

    >>> cost_weighted(torch.tensor([0.5]), torch.tensor([1.0]), cost_ratio=9.0, concentration=0.0).tolist()  # brier
    [0.75]
    """
    if not 0 <= concentration < float("inf"):
        raise OutOfRange("concentration", concentration, "a number from 0 (brier) up")
    t = escalation_threshold(cost_ratio)
    return beta(p, y, alpha=1 + concentration * t, beta=1 + concentration * (1 - t))
