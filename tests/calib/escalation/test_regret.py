"""Regret by pair of grades, by hand, and summed to the whole distance from the oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routecal.calib.errors import LengthMismatch
from routecal.calib.escalation.outcomes import Outcomes
from routecal.calib.escalation.regret import regret_by_cell
from routecal.calib.escalation.tradeoff import oracle_line
from routecal.calib.policy import Grade

WORDS = [grade.value for grade in Grade]


def test_by_hand() -> None:
    medium = ["CORRECT", "CORRECT", "INCORRECT", "NOT_ATTEMPTED"]
    large = ["CORRECT", "INCORRECT", "CORRECT", "INCORRECT"]
    outcomes = Outcomes.of(medium, large, medium_cost=[1, 1, 1, 3], large_cost=[9, 5, 9, 2])
    found = regret_by_cell(outcomes, medium, large, np.array([True, True, False, False]))
    assert len(found) == 9
    at = {(cell.medium.value, cell.large.value): (cell.n, cell.sent, cell.cost, cell.lost) for cell in found}
    assert at["CORRECT", "CORRECT"] == (1, 1.0, 2.0, 0)  # 8 of 4 queries wasted
    assert at["CORRECT", "INCORRECT"] == (1, 1.0, 1.0, 0.25)
    assert at["INCORRECT", "CORRECT"] == (1, 0.0, -2.0, 0.25)
    assert at["NOT_ATTEMPTED", "INCORRECT"] == (1, 0.0, 0.25, 0)  # as wrong, and cheaper by large
    assert at["INCORRECT", "INCORRECT"] == (0, None, 0, 0)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_the_nine_sum_to_the_distance_from_the_oracle(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    medium, large = (rng.choice(WORDS, n).tolist() for _ in range(2))
    outcomes = Outcomes.of(medium, large, medium_cost=rng.uniform(0, 2, n), large_cost=rng.uniform(0, 9, n))
    sent = rng.random(n) < 0.5
    cells, best = regret_by_cell(outcomes, medium, large, sent), oracle_line(outcomes)
    assert sum(cell.n for cell in cells) == n
    lost = best.quality[-1] - np.where(sent, outcomes.large_right, outcomes.medium_right).mean()
    assert sum(cell.lost for cell in cells) == pytest.approx(lost)
    dearer = np.where(sent, outcomes.large_cost, outcomes.medium_cost).mean() - best.cost[-1]
    assert sum(cell.cost for cell in cells) == pytest.approx(dearer)


def test_columns_of_other_lengths_are_refused() -> None:
    one = Outcomes.of(["CORRECT"], ["CORRECT"], medium_cost=1, large_cost=9)
    with pytest.raises(LengthMismatch, match="large_grade"):
        regret_by_cell(one, ["CORRECT"], [], np.array([True]))
