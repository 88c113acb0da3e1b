"""Where a residual head starts: everything that the router puts out, weighed by a ridge regression.

logit(pmax) alone leaves out which policy was chosen, and a saturated router is right on one policy far more often than
on another.
"""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from calib.checks import FloatArray
from calib.head.inputs import CLIP_STD, moments, router_logit

# Log odds are clipped here. Two equal logits make those of the margin minus infinity, and one such row would bend a
# whole fit; at the other end only what float64 cannot hold is cut, since saturated routers differ up there.
LOWEST, HIGHEST = -14.0, 500.0

# scikit-learn's inverse strength of the penalty on the standardised columns. Brier x 1e-4 at .01, .03, .1, .3, 1, mean
# of five sets of recorded outcomes and four splits of the benchmark's router rows, which no label or test comes from:
# 2061, 2046, 2044, 2048, 2055 with a regularised router, 2059, 1995, 1981, 1988, 2005 with an overconfident one, where
# Platt on logit(pmax) has 2031 and 2296.
STRENGTH = 0.1


class Start(NamedTuple):
    """A fitted start: z = weights . clip((columns - mean) / std) + bias."""

    mean: FloatArray
    std: FloatArray
    weights: FloatArray
    bias: FloatArray


def router_columns(logits: Tensor) -> Tensor:
    """(n, 2 + 2c) float64: log odds of the largest probability and of certainty, log q of each policy, and the choice.

    Certainty is one minus the entropy over its largest possible.

    Args:
        logits: (n, c) of the router.

    >>> [round(v, 2) for v in router_columns(torch.tensor([[1.0, 1.0]]))[0].tolist()]
    [0.0, -14.0, -0.69, -0.69, 1.0, 0.0]
    """
    log_q = logits.double().log_softmax(-1)
    share = (-(log_q.exp() * log_q).sum(-1) / np.log(log_q.shape[-1])).clamp(0.0, 1.0)
    odds = torch.stack([router_logit(logits.double()), torch.log1p(-share) - share.log()], dim=-1)
    chosen = torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).double()
    return torch.cat([odds.clamp(LOWEST, HIGHEST), log_q.clamp(min=-HIGHEST), chosen], dim=-1)


def fit_start(columns: FloatArray, y: FloatArray) -> Start:
    """Ridge logistic regression of y (n,) on standardised columns (n, d), its intercept free.

    With one class the weights are 0 and the bias is that of the base rate, half a row of either class added.
    """
    mean, std = moments(columns)
    if y.min() == y.max():
        bias = np.log((y.sum() + 0.5) / (len(y) - y.sum() + 0.5))
        return Start(mean, std, np.zeros(columns.shape[1]), np.array(bias))
    x = np.clip((columns - mean) / std, -CLIP_STD, CLIP_STD)
    model = LogisticRegression(C=STRENGTH, max_iter=2000).fit(x, y)
    return Start(mean, std, model.coef_[0], np.array(model.intercept_[0]))
