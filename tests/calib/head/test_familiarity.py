"""Queries like those of the calibration are hardly ever called unlike, others are, and both survive a folder."""

from pathlib import Path

import numpy as np
import pytest

from routecal.calib.checkpoint_errors import HeadUnusable
from routecal.calib.errors import OutOfRange, TooFewExamples
from routecal.calib.head.familiarity import WEIGHTS, Familiarity


def states(n: int, *, seed: int, d: int = 40, k: int = 5) -> np.ndarray:
    """States that vary along a few directions, heavier in the tails than a normal distribution."""
    directions = np.random.default_rng(99).normal(size=(k, d))
    rng = np.random.default_rng(seed)
    return rng.standard_t(4, size=(n, k)) @ directions + 0.1 * rng.normal(size=(n, d)) + 3


def test_distances_by_hand() -> None:
    found = Familiarity(np.array([1.0, 0, 0]), np.array([[1.0, 0, 0]]), np.array([4.0]), rest=0.25, limit=2.0)
    # along: (5 - 1)² / 4 = 4; across: (3² + 4²) / .25 = 100
    assert found.distance([[5.0, 0, 0], [1, 3, 4], [5, 3, 4]]) == pytest.approx([2, 10, np.sqrt(104)])
    assert (found.relative([[5.0, 0, 0], [5.001, 0, 0]]) > 1).tolist() == [False, True]


@pytest.mark.parametrize("alarms", [0.01, 0.1])
def test_of_queries_like_these_no_more_than_said_are_called_unlike(alarms: float) -> None:
    called = []
    for seed in range(40):
        found = Familiarity.fit(states(300, seed=seed), states(300, seed=seed + 1000), alarms=alarms)
        called.append((found.relative(states(500, seed=seed + 2000)) > 1).mean())
    # The mean over draws is at most `alarms`, and no less than what the finite number of rows costs; 4 standard errors.
    slack = 4 * np.std(called) / np.sqrt(len(called))
    assert alarms - 1 / 301 - slack <= np.mean(called) <= alarms + slack


def test_what_lies_off_their_directions_or_far_along_them_is_unlike() -> None:
    found = Familiarity.fit(states(400, seed=0), states(400, seed=1))
    assert (found.relative(states(100, seed=2) + 5) > 1).all()
    assert (found.relative(10 * states(100, seed=3)) > 1).mean() > 0.9
    assert found.components.shape == (40, 40)


def test_few_rows_give_few_components_and_states_of_low_rank_are_no_division_by_zero() -> None:
    assert Familiarity.fit(states(60, seed=0), states(99, seed=1)).components.shape == (6, 40)
    flat = np.random.default_rng(0).normal(size=(200, 2)) @ np.ones((2, 8))
    found = Familiarity.fit(flat, flat)
    assert np.isfinite(found.distance(flat)).all()
    assert (found.relative(flat + np.eye(8)[0]) > 1).all()


def test_a_folder_gives_back_the_same_bits(tmp_path: Path) -> None:
    found = Familiarity.fit(states(100, seed=0), states(120, seed=1))
    assert Familiarity.load(tmp_path) is None
    found.save(tmp_path)
    again = Familiarity.load(tmp_path)
    assert again is not None
    other = states(50, seed=2)
    assert (again.distance(other) == found.distance(other)).all()
    assert again.limit == found.limit


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    Familiarity.fit(states(100, seed=0), states(120, seed=1)).save(tmp_path)
    data = (tmp_path / WEIGHTS).read_bytes()
    for broken in (data[:100], b"", data.replace(b"variances", b"variencas")):
        (tmp_path / WEIGHTS).write_bytes(broken)
        with pytest.raises(HeadUnusable, match="familiarity"):
            Familiarity.load(tmp_path)


def test_too_few_rows_and_shares_that_are_none() -> None:
    with pytest.raises(TooFewExamples):
        Familiarity.fit(states(19, seed=0), states(200, seed=1))
    with pytest.raises(TooFewExamples):
        Familiarity.fit(states(100, seed=0), states(98, seed=1))
    with pytest.raises(OutOfRange):
        Familiarity.fit(states(100, seed=0), states(200, seed=1), alarms=0)
