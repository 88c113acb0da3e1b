"""What a policy costs and loses against the perfect oracle, by what both models made of the queries."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from routecal.calib.errors import LengthMismatch
from routecal.calib.escalation.outcomes import Outcomes
from routecal.calib.policy import Grade


class CellRegret(BaseModel, frozen=True):
    """One of the nine pairs of grades."""

    medium: Grade = Field(description="grade of the medium model's answer")
    large: Grade = Field(description="grade of the large model's answer")
    n: int = Field(description="queries of this pair")
    sent: float | None = Field(description="share of these that the large model serves; None where there are none")
    cost: float = Field(description="cost beyond the oracle's, per query of all; below 0 where too little is spent")
    lost: float = Field(description="right answers lost against the oracle, as a share of all queries")


def regret_by_cell(
    outcomes: Outcomes, medium_grade: Sequence[str], large_grade: Sequence[str], large: NDArray[np.bool_]
) -> list[CellRegret]:
    """Cost and right answers against the perfect oracle, pair of grades by pair of grades; the nine sum to the whole.

    The oracle sends a query to the large model where that alone is right, or is no worse and the cheaper one; it knows
    every grade beforehand.

    Args:
        outcomes: n queries.
        medium_grade: (n,) a `Grade` each.
        large_grade: (n,) a `Grade` each.
        large: (n,) whether the large model serves each query.

    Raises:
        LengthMismatch: the columns differ in length.

    >>> two = Outcomes.of(["CORRECT", "INCORRECT"], ["CORRECT", "CORRECT"], medium_cost=1, large_cost=9)
    >>> cells = regret_by_cell(two, ["CORRECT", "INCORRECT"], ["CORRECT", "CORRECT"], np.array([True, False]))
    >>> [(cell.medium.value, cell.cost, cell.lost) for cell in cells if cell.n]
    [('CORRECT', 4.0, 0.0), ('INCORRECT', -4.0, 0.5)]
    """
    n = len(outcomes)
    for name, values in (("medium_grade", medium_grade), ("large_grade", large_grade), ("large", large)):
        if len(values) != n:
            raise LengthMismatch("outcomes", n, name, len(values))
    better, extra = outcomes.large_right - outcomes.medium_right, outcomes.large_cost - outcomes.medium_cost
    best = (better > 0) | ((better == 0) & (extra < 0))
    wrongly = large.astype(np.float64) - best
    cost, lost = wrongly * extra / n, -wrongly * better / n
    pairs = np.array([[Grade(m).value, Grade(g).value] for m, g in zip(medium_grade, large_grade, strict=True)])
    found = []
    for medium, other in product(Grade, repeat=2):
        here = (pairs == [medium.value, other.value]).all(axis=1)
        size = int(here.sum())
        found.append(
            CellRegret(
                medium=medium,
                large=other,
                n=size,
                sent=float(large[here].mean()) if size else None,
                cost=float(cost[here].sum()),
                lost=float(lost[here].sum()),
            )
        )
    return found
