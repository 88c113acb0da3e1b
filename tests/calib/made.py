"""Synthetic examples for the tests of heads, loops and baselines."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from routecal.calib.examples import Examples
from routecal.calib.head import ConfidenceHead
from routecal.calib.learn.training_loop import StepLog, threads_for


def examples(n: int, *, seed: int = 0, width: int = 6, signal: float = 1.0) -> Examples:
    """Examples whose correctness depends on the router's logits and on the first hidden dimension."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(3, 2, (n, width)).astype(np.float32)
    logits = rng.normal(0, 1.5, (n, 3)).astype(np.float32)
    policy = logits.argmax(axis=1)
    ordered = np.sort(logits, axis=1)
    z = 0.5 * (ordered[:, 2] - ordered[:, 1]) + signal * (hidden[:, 0] - 3) / 2
    right = rng.random(n) < 1 / (1 + np.exp(-z))
    true_policy = np.where(right, policy, (policy + 1) % 3)
    return Examples(hidden, logits, policy, true_policy, np.full(n, "train"))


def fit(
    steps: Callable[..., Iterator[StepLog]], head: ConfidenceHead, train: Examples, validation: Examples, cfg: Any
) -> list[StepLog]:
    """Run a training loop, `sft.steps` or `rl.steps`, to its end, as cross-fitting does for every head."""
    with threads_for(head):
        return list(steps(head, train, validation, cfg))
