"""How often each promise is broken where the truth is known: `python -m tests.bench.promises [draws]`.

Rows are drawn from worlds of five shapes, each procedure chooses a threshold on them, and its true risk is computed
from the rates of the world. Bars: broken in at most delta + 2 standard errors of the draws; and the walk keeps at least
1.15 times the share that MAPIE's Bonferroni-Holm does over its hundred thresholds. A few minutes on one free core.
"""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.stats import binom

from routecal.calib.promise.promise import Promise, promised
from routecal.calib.promise.slices import promised_slices
from routecal.calib.promise.walks import keep_at_most
from tests.bench.promise_worlds import RELATIVE, Array, World, by_auroc, world

DELTA = 0.05
SIZES = (300, 1000, 4000)
LEVELS = {"kept": (0.05, 0.1, 0.2), "harm": (0.02, 0.05, 0.1), "loss": (0.01, 0.02, 0.05)}
# Level, then accuracy and slope of the confidence: where each level lets a worthwhile share be kept.
AGAINST_HOLM = ((0.05, 0.68, 2.0), (0.1, 0.68, 2.0), (0.2, 0.65, 0.95))
RATIO = 1.15


class Case(NamedTuple):
    """One procedure in one world."""

    procedure: str
    level: float
    shape: str
    n: int
    kept: float
    risk: float
    broken: float


def simulated(procedure: str, level: float, shape: str, n: int, draws: int) -> Case:
    """Mean share kept, mean true risk, and share of draws in which it exceeds the level.

    Args:
        procedure: a risk; "average" is harm on average, "slices" is harm in three slices at once.
        level, shape, n, draws: of the case.
    """
    risk = {"average": "harm", "slices": "harm"}.get(procedure, procedure)
    truth, rng = world(shape, risk, level), np.random.default_rng([n, int(1000 * level), len(shape)])
    asked = Promise.model_validate(
        {"risk": risk, "at_most": level, "probability": None if procedure == "average" else 1 - DELTA}
    )
    chosen = CHOOSERS.get(procedure, _threshold)
    found = np.array([chosen(truth, asked, rng, n) for _ in range(draws)])
    return Case(procedure, level, shape, n, *(float(v) for v in found.mean(axis=0)))


def _threshold(truth: World, asked: Promise, rng: np.random.Generator, n: int) -> tuple[float, float, float]:
    need, medium, large = truth.draw(rng, n)
    walk = promised(need, large > medium, medium, large, asked, instead=False).walk
    risk = truth.risk(asked.risk, walk.threshold)
    return walk.kept, risk, float(risk > asked.at_most)


def _slices(truth: World, asked: Promise, rng: np.random.Generator, n: int) -> tuple[float, float, float]:
    need, medium, large = truth.draw(rng, n)
    which = [str(i % 3) for i in range(n)]
    found = promised_slices(need, large > medium, medium, large, which, asked)
    walks = [one.walk for one in found.each if one.walk is not None]
    risks = [truth.risk(asked.risk, walk.threshold) for walk in walks] or [0.0]
    return sum(walk.n_kept for walk in walks) / n, max(risks), float(max(risks) > asked.at_most)


CHOOSERS: dict[str, Callable[[World, Promise, np.random.Generator, int], tuple[float, float, float]]] = {
    "slices": _slices
}


def holm(need: Array, wrong: Array, *, level: float, n_thresholds: int = 100) -> float:
    """Share kept by Bonferroni-Holm with exact p-values, over thresholds of the confidence 0, .01 … .99 as MAPIE's."""
    at = np.linspace(0, 0.99, n_thresholds)
    order = np.argsort(need)
    kept = np.searchsorted(need[order], -at, side="right")
    wrongs = np.concatenate([[0], np.cumsum(wrong[order])])[kept]
    p = np.where(kept > 0, binom.cdf(wrongs, np.maximum(kept, 1), level), 1.0)
    sorted_ = np.argsort(p)
    failed = np.flatnonzero(p[sorted_] > DELTA / (n_thresholds - np.arange(n_thresholds)))
    passed = sorted_[: failed[0]] if len(failed) else sorted_
    return float(kept[passed].max() / len(need)) if len(passed) else 0.0


def against_holm(level: float, right: float, slope: float, n: int, draws: int) -> tuple[float, float]:
    """Mean share kept by the walk, and by Holm on the same draws."""
    truth, rng, shares = by_auroc(right, slope), np.random.default_rng(n), []
    for _ in range(draws):
        need, medium, large = truth.draw(rng, n)
        wrong = (large > medium).astype(int)
        shares.append((keep_at_most(need, wrong, level=level, delta=DELTA).kept, holm(need, wrong, level=level)))
    walked, stepped = np.mean(shares, axis=0)
    return float(walked), float(stepped)


def main(draws: int = 1000) -> int:
    """Print both tables; 1 if a bar is missed."""
    asked = [(risk, level) for risk, levels in LEVELS.items() for level in levels]
    asked += [("average", 0.05), ("slices", 0.05)]
    most = DELTA + 2 * (DELTA * (1 - DELTA) / draws) ** 0.5
    missed = 0
    print("| procedure | level | shape | n | kept | mean risk | broken |\n|---|--:|---|--:|--:|--:|--:|")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(simulated, *one, shape, n, draws) for one, shape, n in product(asked, RELATIVE, SIZES)]
        for case in (job.result() for job in jobs):
            # On average is held to its mean, as that is all it says; a mean of draws has an error of its own.
            is_missed = case.risk > 1.02 * case.level if case.procedure == "average" else case.broken > most
            missed += is_missed
            print(
                f"| {case.procedure} | {case.level:g} | {case.shape} | {case.n:,} | {case.kept:.3f} | "
                f"{case.risk:.4f} | {case.broken:.3f}{' MISS' * is_missed} |"
            )
        print("\n| level | accuracy | slope | walk keeps | Holm keeps | ratio |\n|--:|--:|--:|--:|--:|--:|")
        shares = [pool.submit(against_holm, *one, 1000, draws) for one in AGAINST_HOLM]
        for (level, right, slope), job in zip(AGAINST_HOLM, shares, strict=True):
            walked, stepped = job.result()
            is_missed = walked < RATIO * stepped
            missed += is_missed
            print(
                f"| {level:g} | {right:g} | {slope:g} | {walked:.3f} | {stepped:.3f} | "
                f"{walked / max(stepped, 1e-9):.2f}{' MISS' * is_missed} |"
            )
    print(
        f"\n{missed} bars are missed; {draws:,} draws, broken at most {most:.4f}, at least {RATIO} times Holm's share"
    )
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
