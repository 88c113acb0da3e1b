"""A broken oracle shows in the outcomes; ordinary nights do not."""

import numpy as np
import pytest
from scipy.special import expit

from routecal.calib.errors import LengthMismatch
from routecal.calib.night.outcome_shift import outcome_shift

CELLS = np.array(["CORRECT / CORRECT", "INCORRECT / CORRECT", "INCORRECT / INCORRECT"])


def night(n: int, *, seed: int, noise: bool = False) -> tuple[tuple[np.ndarray, np.ndarray], list[str]]:
    """((p, y), outcomes) of a calibrated head; with `noise`, labels that have nothing to do with the query."""
    rng = np.random.default_rng(seed)
    p = expit(2 * rng.standard_normal(n))
    y = (rng.random(n) < (0.5 if noise else p)).astype(float)
    return (p, y), rng.choice(CELLS, n, p=[0.6, 0.3, 0.1]).tolist()


def found(now: tuple[tuple[np.ndarray, np.ndarray], list[str]], *, seed: int = 1) -> tuple[str, ...]:
    before = night(400, seed=1000 + seed)
    return outcome_shift(before[0], now[0], before[1], now[1]).reasons


def test_ordinary_nights_are_quiet() -> None:
    assert sum(bool(found(night(300, seed=seed), seed=seed)) for seed in range(200)) <= 2


def test_labels_that_are_noise_raise_the_loss() -> None:
    for seed in range(10):
        assert any("Brier rose" in reason for reason in found(night(300, seed=seed, noise=True), seed=seed))


def test_a_judge_that_calls_everything_wrong_moves_the_mix() -> None:
    (p, y), _ = night(200, seed=3)
    (reason,) = found(((p, y), ["INCORRECT / INCORRECT"] * 200))
    assert reason.startswith(("8", "9"))
    assert "most of all INCORRECT / INCORRECT" in reason


def test_a_large_sample_does_not_make_a_small_change_a_fault() -> None:
    p = np.full(40_000, 0.7)
    rng = np.random.default_rng(0)
    before, now = ((rng.random(40_000) < q).astype(float) for q in (0.70, 0.68))
    assert not outcome_shift((p, before), (p, now), ["a"] * 40_000, ["a"] * 40_000).is_found


def test_few_rows_are_no_evidence() -> None:
    assert not outcome_shift(([0.9] * 40, [1] * 40), ([0.9] * 29, [0] * 29), ["a"] * 40, ["b"] * 29).is_found


def test_a_head_that_is_surely_wrong_now() -> None:
    assert outcome_shift(([1.0] * 40, [1] * 40), ([1.0] * 40, [0] * 40), ["a"] * 40, ["a"] * 40).is_found


def test_wrong_input_is_named() -> None:
    with pytest.raises(LengthMismatch):
        outcome_shift(([0.5], [1, 0]), ([0.5], [1]), ["a"], ["a"])
