"""Worlds in which the risk of every threshold is known from rates, and draws of labelled rows from them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import expit, log_expit

Array = np.ndarray
Rng = np.random.Generator
N_TRUTH = 200_000

# Risk of a query relative to the level that is promised, by its place u in [0, 1) from safest to least safe.
RELATIVE: dict[str, Callable[[Array], Array]] = {
    "rare losses": lambda u: np.maximum(u - 0.5, 0) * 12,
    "ties": lambda u: 2.5 * u,
    "discrete p": lambda u: np.select([u < 0.35, u < 0.6, u < 0.8, u < 0.95], [0.3, 0.8, 1.5, 3.0], 6.0),
    "useless score": lambda u: np.full(len(u), 1.02),
    "late dip": lambda u: np.select([u < 0.3, u < 0.4], [0.5, 4.0], 0.1),
}
# What is seen of u.
SEEN: dict[str, Callable[[Array], Array]] = {
    "ties": lambda u: np.round(8 * u) / 8,
    "discrete p": lambda u: np.digitize(u, [0.35, 0.6, 0.8, 0.95]).astype(float),
}
# Answers that only one of the models has right, beside those that the risk is made of.
EITHER = 0.03


class World(NamedTuple):
    """Rates at many places (g,), by need from low to high.

    Attributes:
        need: how much the query seems to need the large model.
        at_risk: P(true policy is Complex), which is P(medium wrong, large right).
        won: P(medium right, large wrong).
    """

    need: Array
    at_risk: Array
    won: Array

    def risk(self, risk: str, threshold: float) -> float:
        """The risk of a threshold; computed, not drawn."""
        k = int(np.searchsorted(self.need, threshold, side="right"))
        if not k:
            return 0.0
        if risk == "kept":
            return float(self.at_risk[:k].mean())
        lost = self.at_risk[:k] - (self.won[:k] if risk == "loss" else 0)
        return float(lost.sum() / len(self.need))

    def draw(self, rng: Rng, n: int) -> tuple[Array, Array, Array]:
        """(need, medium right, large right) of n rows."""
        i, x = rng.integers(0, len(self.need), n), rng.random(n)
        lost, won = x < self.at_risk[i], x > 1 - self.won[i]
        both = rng.random(n) < 0.5
        return self.need[i], np.where(lost | won, won, both).astype(int), np.where(lost | won, lost, both).astype(int)


def world(shape: str, risk: str, level: float) -> World:
    """A world of this shape in which the level is reached somewhere, and broken by those who go on."""
    u = (np.arange(N_TRUTH) + 0.5) / N_TRUTH
    of_kept = level * RELATIVE[shape](u)
    if risk == "kept":
        at_risk, won = of_kept, np.full(N_TRUTH, EITHER)
    else:  # of all queries: with everything kept the level is broken twice over
        at_risk = 2 * of_kept / RELATIVE[shape](u).mean()
        won = np.full(N_TRUTH, EITHER if risk == "loss" else 0.0)
        if risk == "loss":
            at_risk = at_risk + EITHER
            won = won + (shape == "late dip") * (u > 0.4) * 3 * level
    return World(SEEN.get(shape, lambda u: u)(u), np.minimum(at_risk, 0.9), np.minimum(won, 0.1))


def by_auroc(right: float, slope: float) -> World:
    """A calibrated confidence in a decision, logistic in a standard normal; need is minus the confidence.

    Args:
        right: share of right decisions.
        slope: of the logistic; 2.0 has AUROC .87 at .68, .95 has .73 at .65.
    """
    x = -np.sort(-np.random.default_rng(0).standard_normal(N_TRUTH))
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(middle + slope * x).mean() < right else (low, middle)
    wrong = np.exp(log_expit(-(low + slope * x)))
    return World(wrong - 1, wrong, np.zeros(N_TRUTH))
