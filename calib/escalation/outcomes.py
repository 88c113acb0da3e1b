"""What either model would have made of each query, and at what cost: all that a routing policy can be judged by."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from routecal.calib.checks import FloatArray
from routecal.calib.decision_errors import GradeUnknown, InvalidCost, PriceUnknown
from routecal.calib.errors import InvalidLabel, LengthMismatch, TooFewExamples
from routecal.calib.policy import Grade


@dataclass(frozen=True)
class Outcomes:
    """Both models' grades and costs, one row per query.

    Attributes:
        medium_right: (n,) {0, 1}, 1 where the medium model's answer is CORRECT. Silence counts as not right, so a
            quality is the share of queries *answered correctly*, not the share of answers that are correct.
        large_right: (n,) {0, 1}, the same of the large model.
        medium_cost: (n,) what the medium model's answer cost, at least 0, in any unit that both columns share.
        large_cost: (n,) the same of the large model.

    Raises:
        LengthMismatch, TooFewExamples: the columns differ in length, or are empty.
        InvalidLabel: a grade is neither 0 nor 1.
        PriceUnknown: a cost is NaN. An unknown price is never taken for 0.
        InvalidCost: a cost is negative or infinite.

    >>> len(Outcomes(np.array([1.0]), np.array([0.0]), np.array([0.1]), np.array([2.0])))
    1
    """

    medium_right: FloatArray
    large_right: FloatArray
    medium_cost: FloatArray
    large_cost: FloatArray

    def __post_init__(self) -> None:
        n = len(self.medium_right)
        for field in fields(self):
            if len(values := getattr(self, field.name)) != n:
                raise LengthMismatch("medium_right", n, field.name, len(values))
        if not n:
            raise TooFewExamples(0, 1)
        for model in ("medium", "large"):
            _check_grades(f"{model}_right", getattr(self, f"{model}_right"))
            _check_costs(model, getattr(self, f"{model}_cost"))

    def __len__(self) -> int:
        return len(self.medium_right)

    @classmethod
    def of(
        cls,
        medium_grade: Sequence[str | None],
        large_grade: Sequence[str | None],
        *,
        medium_cost: ArrayLike,
        large_cost: ArrayLike,
    ) -> Self:
        """Outcomes from the judges' words.

        Args:
            medium_grade: (n,) a `Grade` each.
            large_grade: (n,) a `Grade` each.
            medium_cost: (n,) cost of each answer, None or NaN where unknown, or one flat price per answer.
            large_cost: the same of the large model, in the same unit.

        Raises:
            GradeUnknown: a grade is missing, as where only the policy of a query is known.
            ValueError: a word is not a grade.
            Others: as the class.

        >>> found = Outcomes.of(["CORRECT", "NOT_ATTEMPTED"], ["INCORRECT", "CORRECT"], medium_cost=1, large_cost=20)
        >>> found.medium_right.tolist(), found.large_right.tolist(), found.large_cost.tolist()
        ([1.0, 0.0], [0.0, 1.0], [20.0, 20.0])
        """
        right = {}
        for model, grades in (("medium", medium_grade), ("large", large_grade)):
            if missing := sum(grade is None for grade in grades):
                raise GradeUnknown(model, missing, len(grades))
            right[f"{model}_right"] = np.array([Grade(str(g)) is Grade.CORRECT for g in grades], np.float64)
        return cls(
            **right,
            medium_cost=_column(medium_cost, len(medium_grade)),
            large_cost=_column(large_cost, len(large_grade)),
        )

    def where(self, mask: NDArray[np.bool_]) -> Self:
        """The rows where `mask` (n,) holds."""
        return type(self)(**{field.name: getattr(self, field.name)[mask] for field in fields(self)})


def _column(cost: ArrayLike, n: int) -> FloatArray:
    """(n,) float64 of a column with None for unknown, or of one flat price."""
    values = np.asarray(cost, dtype=np.float64)
    return values if values.ndim else np.full(n, float(values))


def _check_grades(name: str, right: FloatArray) -> None:
    if len(bad := np.flatnonzero((right != 0) & (right != 1))):
        raise InvalidLabel(name, int(bad[0]), float(right[bad[0]]))


def _check_costs(model: str, cost: FloatArray) -> None:
    if unknown := int(np.isnan(cost).sum()):
        raise PriceUnknown(model, unknown, len(cost))
    if len(bad := np.flatnonzero((cost < 0) | np.isinf(cost))):
        raise InvalidCost(model, int(bad[0]), float(cost[bad[0]]))
