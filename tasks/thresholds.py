"""The threshold that the operator's words mean on labelled rows, and what is promised for it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from routecal.calib import escalation
from routecal.calib.decision_errors import OutOfReach
from routecal.calib.escalation import Outcomes
from routecal.calib.need import NOTHING_KEPT
from routecal.calib.promise.asked import Promise
from routecal.calib.promise.promise import events_of, promised, walker
from routecal.calib.promise.slices import promised_slices
from routecal.calib.settings import EscalationTerms, Risk
from routecal.tasks.escalation_result import CALLS, JOINT, Promised


class Labelled(NamedTuple):
    """The rows that thresholds are chosen on.

    Attributes:
        outcomes: n of them.
        true_policy: (n,) index into `POLICIES`.
        needs_large: (n,) whether that is one that the large model serves.
        unit: of the costs.
        note: why that is not money, if it is not.
    """

    outcomes: Outcomes
    true_policy: NDArray[np.int64]
    needs_large: NDArray[np.bool_]
    unit: str
    note: str


def threshold_for(rule: str, need: NDArray[np.float64], rows: Labelled, terms: EscalationTerms) -> float:
    """What `terms` ask for, as a threshold of the rule's need (n,).

    What is left of a budget or a call rate is not spent where the large model is not the likelier one to be right.

    Raises:
        OutOfReach: no threshold does that; says what can be had.
    """
    costs, least = (rows.outcomes.medium_cost, rows.outcomes.large_cost), 0.0 if rule == JOINT else NOTHING_KEPT
    if terms.budget is not None:
        _money(f"a budget of {terms.budget:g} for 1,000 queries", rows)
        return max(escalation.threshold_at_budget(need, *costs, terms.budget), least)
    if terms.call_rate is not None:
        return max(escalation.threshold_at_call_rate(need, terms.call_rate), least)
    if terms.answer_value is not None:
        asked = f"a right answer worth {terms.answer_value:g}"
        _money(asked, rows)
        extra = float(np.mean(costs[1] - costs[0]))
        if extra <= 0:
            raise OutOfReach(asked, "the large model is not the dearer one", "the large model for every query")
        if rule != JOINT:
            why = "a confidence does not tell how much likelier the large model is right"
            raise OutOfReach(asked, why, "a promise (--risk, --at-most), a budget or a call rate")
        return escalation.threshold_at_value(terms.answer_value, extra)
    return _walked(terms.risk, need, rows, terms.at_most, terms.probability)


def loss_threshold(need: NDArray[np.float64], rows: Labelled, at_most: float, probability: float) -> float:
    """The highest threshold at which no more than a share `at_most` of quality is lost, as far as that can be shown."""
    return _walked("loss", need, rows, at_most, probability)


def promise_of(need: NDArray[np.float64], rows: Labelled, terms: EscalationTerms) -> Promised:
    """What the threshold of `threshold_for` comes with: a promise, or what can be had where it cannot, or none."""
    for words, value in (
        ("as far as {:g} for 1,000 queries goes", terms.budget),
        ("the large model may serve {:.1%}", terms.call_rate),
        ("a right answer is worth {:g}", terms.answer_value),
    ):
        if value is not None:
            return Promised(sentence=f"no promise of quality: {words.format(value)}", holds=False)
    right = (rows.outcomes.medium_right, rows.outcomes.large_right)
    asked = Promise(risk=terms.risk, at_most=terms.at_most, probability=terms.probability)
    found = promised(need, rows.needs_large, *right, asked)
    return Promised(
        sentence=str(asked).replace(" of quality lost against all-large", " lost"),
        holds=found.walk.n_kept > 0,
        kept=found.walk.kept,
        instead="" if found.is_worthwhile else str(found),
    )


def promise_in_slices(
    need: NDArray[np.float64],
    rows: Labelled,
    terms: EscalationTerms,
    slices: Mapping[str, Sequence[str | None]],
    threshold: float,
) -> dict[str, str]:
    """By kind of slice: in which of them what is promised of all queries holds by itself, in a sentence.

    Args:
        need: (n,) of the labelled rows.
        rows: these.
        terms: what was asked; nothing is said where that is no promise.
        slices: by kind, the slice (n,) of every row; a kind of one slice alone is left out.
        threshold: that serves.
    """
    if threshold == NOTHING_KEPT or not terms.is_promise:
        return {}
    asked = Promise(risk=terms.risk, at_most=terms.at_most, probability=terms.probability)
    right = (rows.outcomes.medium_right, rows.outcomes.large_right)
    found = {}
    for kind, own in slices.items():
        named = [name or f"no {kind}" for name in own]
        if len(set(named)) > 1:
            found[kind] = promised_slices(need, rows.needs_large, *right, named, asked).at(threshold)
    return found


def _walked(risk: Risk, need: NDArray[np.float64], rows: Labelled, at_most: float, probability: float) -> float:
    events = events_of(rows.needs_large, rows.outcomes.medium_right, rows.outcomes.large_right, risk)
    return walker(risk, probability)(need, events, at_most).threshold


def _money(asked: str, rows: Labelled) -> None:
    """Refuse words that speak of money where costs are not known."""
    if rows.unit == CALLS:
        raise OutOfReach(asked, rows.note, "a call rate (--call-rate), which needs no prices")
