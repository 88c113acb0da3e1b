"""Grades, policies and the matrix that turns two grades into the true policy."""

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, Field, model_validator


class Grade(StrEnum):
    """A judge's word on one answer."""

    CORRECT = "CORRECT"
    INCORRECT = "INCORRECT"
    NOT_ATTEMPTED = "NOT_ATTEMPTED"


class Policy(StrEnum):
    """Where a query goes. The order of the members is the order of every `logits` column."""

    STANDARD = "Standard_Query"  # the medium model serves it
    COMPLEX = "Complex_Query"  # the large model
    AMBIGUOUS = "Ambiguous_Query"  # neither helps: do not pay for large


POLICIES: tuple[Policy, ...] = tuple(Policy)

_S, _C, _A = POLICIES
_G = tuple(Grade)


class OracleMatrix(BaseModel, frozen=True):
    """True policy by (medium grade, large grade); all nine cells must be named.

    The default spends on the large model only where it turns a failure into something better: a right answer,
    or silence instead of a wrong answer.

    >>> OracleMatrix().true_policy("INCORRECT", "NOT_ATTEMPTED").value
    'Complex_Query'
    """

    cells: dict[Grade, dict[Grade, Policy]] = Field(
        default={
            _G[0]: dict(zip(_G, (_S, _S, _S), strict=True)),
            _G[1]: dict(zip(_G, (_C, _A, _C), strict=True)),
            _G[2]: dict(zip(_G, (_C, _A, _A), strict=True)),
        },
        description="medium grade -> large grade -> policy",
    )

    @model_validator(mode="after")
    def _all_nine(self) -> Self:
        missing = [f"{m} x {g}" for m in Grade for g in Grade if g not in self.cells.get(m, {})]
        if missing:
            raise ValueError(f"the oracle matrix must name all nine cells; missing: {', '.join(missing)}")
        return self

    def true_policy(self, medium: Grade | str, large: Grade | str) -> Policy:
        """The policy that the two grades call for."""
        return self.cells[Grade(medium)][Grade(large)]
