"""Where a residual head starts: between the router's own confidence at a temperature, and all that the router puts out.

A saturated router is right on one policy far more often than on another, which logit(pmax) alone leaves out and a ridge
regression on all outputs finds. A router that was fitted with care needs one number to be calibrated, and nine cost it
more than they bring. How far to go from the one to the other is chosen by cross-validation: a stack of the two in log
odds (Breiman 1996, Stacked regressions, Machine Learning 24).
"""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from routecal.calib.checks import FloatArray
from routecal.calib.head.head_inputs import CLIP_STD, moments, router_logit

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

# Log odds are clipped here. Two equal logits make those of the margin minus infinity, and one such row would bend a
# whole fit; at the other end only what float64 cannot hold is cut, since saturated routers differ up there.
LOWEST, HIGHEST = -14.0, 500.0

# scikit-learn's inverse strength of the penalty on the standardised columns. Brier x 1e-4 at .01, .03, .1, .3, 1, mean
# of five sets of recorded outcomes and four splits of the benchmark's router rows, which no label or test comes from:
# 2061, 2046, 2044, 2048, 2055 with a regularised router, 2059, 1995, 1981, 1988, 2005 with an overconfident one, where
# Platt on logit(pmax) has 2031 and 2296.
STRENGTH = 0.1

# Of the cross-validation that chooses the share of the ridge. Brier x 1e-4 of temperature, ridge and stack, mean of six
# sets and four to six splits of the same rows: 2027, 2032 and 2025 with the regularised router, 2329, 1980 and 1981
# with the overconfident one.
FOLDS = 5


class ResidualStart(NamedTuple):
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


def fit_start(columns: FloatArray, y: FloatArray) -> ResidualStart:
    """The start for columns (n, d), as `router_columns` gives them, and outcomes y (n,) of 0 and 1.

        z = (1 - share) odds / T + share ridge(columns)

    with the odds of the largest probability, their temperature T, and a logistic ridge regression whose intercept is
    free; share in [0, 1] has the least log loss on held-out folds, and is 1 where one row alone is of its class. With
    one class the weights are 0 and the bias is that of the base rate, half a row of either class added.
    """
    # Here, since only training needs them.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean, std = moments(columns)
    if y.min() == y.max():
        bias = np.log((y.sum() + 0.5) / (len(y) - y.sum() + 0.5))
        return ResidualStart(mean, std, np.zeros(columns.shape[1]), np.array(bias))
    x = np.clip((columns - mean) / std, -CLIP_STD, CLIP_STD)
    zero = mean[0] / std[0]
    odds = x[:, :1] + zero  # in standard deviations
    with warnings.catch_warnings():
        # Newton's method goes on as L-BFGS where columns do not vary, and says so.
        warnings.simplefilter("ignore", ConvergenceWarning)
        ridge = LogisticRegression(C=STRENGTH, solver="newton-cholesky").fit(x, y)
        tempered = LogisticRegression(C=1e3, solver="newton-cholesky", fit_intercept=False).fit(odds, y)
        share = _share([(tempered, odds), (ridge, x)], y)
    weights, slope = share * ridge.coef_[0], (1 - share) * tempered.coef_[0, 0]
    weights[0] += slope
    return ResidualStart(mean, std, weights, np.array(share * ridge.intercept_[0] + slope * zero))


def _share(models: "Sequence[tuple[LogisticRegression, FloatArray]]", y: FloatArray) -> float:
    """The second model's share of least log loss on folds that neither has seen."""
    from scipy.optimize import minimize_scalar
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    k = min(FOLDS, int(min(y.sum(), len(y) - y.sum())))
    if k < 2:
        return 1.0
    folds = StratifiedKFold(k, shuffle=True, random_state=0)
    first, second = (cross_val_predict(m, x, y, cv=folds, method="decision_function") for m, x in models)

    def loss(share: float) -> float:
        z = first + share * (second - first)
        return float((np.logaddexp(0, z) - y * z).mean())

    return float(minimize_scalar(loss, bounds=(0, 1), method="bounded").x)
