"""A linear routing head for people who have no router yet: policies read off a base model's hidden state."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegressionCV

from calib.errors import OnePolicy
from calib.policy import POLICIES

# Strengths tried, from nearly constant to nearly unregularised, chosen by cross-validated log loss.
STRENGTHS = np.logspace(-5, 0, 6)


def fit_routing_head(
    hidden: NDArray[np.float32], true_policy: NDArray[np.int64], *, seed: int = 0, n_folds: int = 5
) -> NDArray[np.float32]:
    """Weights of a linear head with logits = weights @ hidden, by multinomial logistic regression.

    Without intercept, because the score layer of Hugging Face's decoders has none; a language model's hidden state has
    dimensions that hardly vary, which serve as one. Each dimension is scaled by its root mean square for the fit, and
    the scale is folded into the weights.

    Args:
        hidden: (n, d) hidden states at the last token.
        true_policy: (n,) index into `POLICIES`.
        seed: of the folds.
        n_folds: of the cross-validation that chooses the strength.

    Returns:
        (3, d) weights in the order of `POLICIES`; a policy that no row has gets logits far below the others.

    Raises:
        OnePolicy: all rows have one policy; there is nothing to route.
    """
    present = np.unique(true_policy)
    if len(present) < 2:
        raise OnePolicy(len(true_policy), POLICIES[int(present[0])].value)
    scale = np.maximum(np.sqrt(np.square(hidden, dtype=np.float64).mean(axis=0)), 1e-6)
    folds = min(n_folds, int(np.bincount(true_policy)[present].min()))
    model = LogisticRegressionCV(
        Cs=STRENGTHS,
        cv=max(folds, 2),
        scoring="neg_log_loss",
        fit_intercept=False,
        max_iter=2000,
        random_state=seed,
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
    )
    model.fit(hidden / scale, true_policy)
    coefficients = model.coef_ if len(present) > 2 else np.vstack([-model.coef_ / 2, model.coef_ / 2])
    weights = np.zeros((len(POLICIES), hidden.shape[1]))
    weights[present] = coefficients / scale
    for absent in set(range(len(POLICIES))) - set(present.tolist()):
        # Minus the direction all rows share: a large negative logit wherever hidden states look like these.
        weights[absent] = -20 * hidden.mean(axis=0) / np.square(hidden.mean(axis=0)).sum()
    return weights.astype(np.float32)
