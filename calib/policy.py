"""Grades, policies, the matrix that turns two grades into the true policy, and the model that serves each policy."""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from routecal.calib.decision_errors import PolicyMapUnusable


class Grade(StrEnum):
    """A judge's word on one answer."""

    CORRECT = "CORRECT"
    INCORRECT = "INCORRECT"
    NOT_ATTEMPTED = "NOT_ATTEMPTED"


class Policy(StrEnum):
    """Where a query goes. The order of the members is the order of every `logits` column."""

    STANDARD = "Standard_Query"  # the medium model is enough
    COMPLEX = "Complex_Query"  # the large model is needed
    AMBIGUOUS = "Ambiguous_Query"  # neither helps


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


class PolicyMap(BaseModel, frozen=True):
    """The model that serves each policy, by name: two models, and all three policies.

    That of Standard_Query is the medium model and that of Complex_Query the large one; Ambiguous_Query goes to either.

    Raises:
        PolicyMapUnusable: these are not two models for three policies; says what to do.

    >>> print(PolicyMap().changed({"Complex_Query": "pro"}))
    Standard_Query=medium,Complex_Query=pro,Ambiguous_Query=medium
    """

    models: dict[Policy, str] = Field(
        default={_S: "medium", _C: "large", _A: "medium"},
        description="policy -> name of the model that serves it, in the order of `Policy`",
    )

    @field_validator("models", mode="before")
    @classmethod
    def _divides(cls, models: Any) -> Any:
        if not isinstance(models, Mapping):
            return models
        unknown = [name for name in models if name not in POLICIES]
        missing = [policy for policy in POLICIES if not str(models.get(policy) or "").strip()]
        if unknown:
            wrong = f"names {unknown[0]}, which is no policy", f"the policies are {', '.join(POLICIES)}"
        elif missing:
            wrong = f"names no model for {missing[0]}", f"add {missing[0]}=MODEL"
        elif models[_S] == models[_C]:
            wrong = f"has one model for {_S} and {_C}", "give the first the medium model and the second the large one"
        elif models[_A] not in (models[_S], models[_C]):
            wrong = "names three models, and queries go to two", f"give {_A} the model of {_S} or that of {_C}"
        else:
            return {policy: models[policy] for policy in POLICIES}
        raise PolicyMapUnusable(_as_option(models), *wrong)

    def __str__(self) -> str:
        """As the option has it."""
        return _as_option(self.models)

    @property
    def medium(self) -> str:
        """Name of the medium model."""
        return self.models[_S]

    @property
    def large(self) -> str:
        """Name of the large model."""
        return self.models[_C]

    @property
    def to_large(self) -> tuple[Policy, ...]:
        """The policies that the large model serves.

        >>> [policy.value for policy in PolicyMap().changed({"Ambiguous_Query": "large"}).to_large]
        ['Complex_Query', 'Ambiguous_Query']
        """
        return tuple(policy for policy in POLICIES if self.models[policy] == self.large)

    @property
    def sha256(self) -> str:
        """Of the policies and their models."""
        return hashlib.sha256(repr(list(self.models.values())).encode()).hexdigest()

    def serves(self, policy: Policy) -> Literal["medium", "large"]:
        """Which of the two serves a policy."""
        return "large" if policy in self.to_large else "medium"

    def changed(self, models: Mapping[str, str]) -> Self:
        """The same with other models for some policies; Ambiguous_Query stays with the medium or the large one.

        Raises:
            PolicyMapUnusable: that is no map.
        """
        changed: dict[Any, str] = {**self.models, **models}
        third = changed[_C if _A in self.to_large else _S]
        return type(self).model_validate({"models": {**changed, _A: third, **models}})


def _as_option(models: Mapping[Any, Any]) -> str:
    return ",".join(f"{policy}={model}" for policy, model in models.items())


DEFAULT_MAP = PolicyMap()
