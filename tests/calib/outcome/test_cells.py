"""Cells are the pairs of grades that no decision can tell apart, and all that follows from them is consistent."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from routecal.calib.decision_errors import GradeUnknown
from routecal.calib.outcome.cells import Cells
from routecal.calib.policy import POLICIES, Grade, OracleMatrix, Policy

MATRIX = OracleMatrix()
CELLS = Cells.of(MATRIX)
PAIRS = list(product(Grade, repeat=2))


def test_every_pair_of_grades_has_the_cell_that_says_what_it_says() -> None:
    medium, large = zip(*PAIRS, strict=True)
    cell = CELLS.index(medium, large, MATRIX)
    for i, (m, g) in zip(cell, PAIRS, strict=True):
        assert CELLS.medium[i] == (m is Grade.CORRECT)
        assert CELLS.large[i] == (g is Grade.CORRECT)
        assert POLICIES[CELLS.policy[i]] is MATRIX.true_policy(m, g)
    assert sorted(set(cell.tolist())) == list(range(len(CELLS)))


def test_another_matrix_has_other_cells() -> None:
    always = {m: dict.fromkeys(Grade, Policy.STANDARD) for m in Grade}
    assert len(Cells.of(OracleMatrix(cells=always))) == 4


def test_a_query_without_grades_is_refused() -> None:
    with pytest.raises(GradeUnknown, match="medium"):
        CELLS.index(["CORRECT", None], ["CORRECT", "CORRECT"], MATRIX)


@given(arrays(np.float64, (4, 5), elements=st.floats(0.01, 1)))
def test_what_follows_never_contradicts_itself(weights: np.ndarray) -> None:
    p = weights / weights.sum(axis=1, keepdims=True)
    medium, large, policy = CELLS.medium_right(p), CELLS.large_right(p), CELLS.true_policy(p)
    assert CELLS.gain(p) == pytest.approx(large - medium)
    assert policy.sum(axis=1) == pytest.approx(np.ones(4))
    # by the default matrix the medium model is the true choice exactly where it is right
    assert policy[:, POLICIES.index(Policy.STANDARD)] == pytest.approx(medium)
    for k in range(3):
        assert CELLS.confidence(p, np.full(4, k)) == pytest.approx(policy[:, k])


def test_grades_of_other_numbers_of_queries_are_refused_and_none_make_no_cells() -> None:
    with pytest.raises(ValueError, match="shorter"):
        CELLS.index(["CORRECT", "CORRECT"], ["CORRECT"], MATRIX)
    assert CELLS.index([], [], MATRIX).dtype == np.int64
