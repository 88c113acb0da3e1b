"""Outcomes of examples with what both answers cost: as given, as recorded, or counted in calls."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from routecal.calib import escalation
from routecal.calib.decision_errors import PriceUnknown
from routecal.calib.escalation import Outcomes
from routecal.calib.extra_cost import ExtraCost
from routecal.calib.settings import EscalationTerms
from routecal.tasks.escalation_result import CALLS


class Priced(NamedTuple):
    """Outcomes, the unit of their costs, why that is not money, and extra costs (n,) where they were recorded."""

    outcomes: Outcomes
    unit: str
    note: str
    recorded: NDArray[np.float64] | None


def priced_outcomes(table: pa.Table, terms: EscalationTerms) -> Priced:
    """Outcomes of examples at costs as given, else as recorded, else in calls of the large model.

    Raises:
        GradeUnknown: labels say the policy alone.
    """
    grades = (table["medium_grade"].to_pylist(), table["large_grade"].to_pylist())
    is_given = terms.medium_price is not None or terms.large_price is not None
    medium, large = (
        (terms.medium_price, terms.large_price)
        if is_given
        else (table[f"{model}_cost_usd"].to_pylist() for model in ("medium", "large"))
    )
    try:
        found = Outcomes.of(*grades, medium_cost=_number(medium), large_cost=_number(large))
        if found.large_cost.any():
            recorded = None if is_given else found.large_cost - found.medium_cost
            return Priced(found, terms.price_unit if is_given else "USD", "", recorded)
        note = "the large model costs nothing here"
    except PriceUnknown as error:
        note = str(error)
    return Priced(Outcomes.of(*grades, medium_cost=0.0, large_cost=1.0), CALLS, note, None)


def extra_cost_of(table: pa.Table, priced: Priced, labelled: NDArray[np.bool_]) -> ExtraCost:
    """By the length of the prompt where costs were recorded, and flat where they were given or are not known."""
    if priced.recorded is None or not priced.recorded[labelled].mean() > 0:
        return ExtraCost()
    return escalation.fit_extra_cost(table["n_tokens"].to_numpy()[labelled], priced.recorded[labelled])


def _number(cost: object) -> NDArray[np.float64]:
    return np.asarray(cost, dtype=np.float64)  # None becomes NaN: unknown
