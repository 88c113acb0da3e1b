"""The threshold that the operator's words mean on labelled rows, and what is promised for it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from routecal.calib import escalation
from routecal.calib.errors import OutOfReach
from routecal.calib.escalation import NOTHING_KEPT, Outcomes
from routecal.calib.escalation.need import COMPLEX
from routecal.calib.promise.walks import Walk, harm_at_most, keep_at_most, loss_at_most
from routecal.calib.settings import EscalationTerms
from routecal.tasks.escalation_result import CALLS, JOINT, Promised

_WALKS: dict[str, Callable[..., Walk]] = {"loss": loss_at_most, "harm": harm_at_most, "kept": keep_at_most}


class Labelled(NamedTuple):
    """The rows that thresholds are chosen on.

    Attributes:
        outcomes: n of them.
        true_policy: (n,) index into `POLICIES`.
        unit: of the costs.
        note: why that is not money, if it is not.
    """

    outcomes: Outcomes
    true_policy: NDArray[np.int64]
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
    return _walk(terms.risk, need, rows, terms.at_most, terms.probability).threshold


def loss_threshold(need: NDArray[np.float64], rows: Labelled, at_most: float, probability: float) -> float:
    """The highest threshold at which no more than a share `at_most` of quality is lost, as far as that can be shown."""
    return _walk("loss", need, rows, at_most, probability).threshold


def promise_of(need: NDArray[np.float64], rows: Labelled, terms: EscalationTerms, threshold: float) -> Promised:
    """What the threshold comes with, in words."""
    for words, value in (
        ("as far as {:g} for 1,000 queries goes", terms.budget),
        ("the large model may serve {:.1%}", terms.call_rate),
        ("a right answer is worth {:g}", terms.answer_value),
    ):
        if value is not None:
            return Promised(sentence=f"no promise of quality: {words.format(value)}", holds=False)
    return Promised(sentence=promised_words(terms), holds=threshold > NOTHING_KEPT)


def promised_words(terms: EscalationTerms) -> str:
    """The promise that is asked for.

    >>> promised_words(EscalationTerms(at_most=0.02))
    'at most 2 points lost, with 95 %'
    """
    what = {
        "loss": f"at most {points(terms.at_most)} lost",
        "harm": f"at most {100 * terms.at_most:g} % of queries kept that only the large model answers right",
        "kept": f"at most {100 * terms.at_most:g} % of the kept queries need the large model",
    }
    return f"{what[terms.risk]}, with {100 * terms.probability:g} %"


def points(share: float) -> str:
    """A share of queries in points of quality.

    >>> points(0.01), points(0.005)
    ('1 point', '0.5 points')
    """
    return f"{100 * share:g} point{'s' * (round(share, 9) != 0.01)}"


def _walk(risk: str, need: NDArray[np.float64], rows: Labelled, at_most: float, probability: float) -> Walk:
    medium, large = rows.outcomes.medium_right, rows.outcomes.large_right
    events = {"loss": medium - large, "harm": (1 - medium) * large, "kept": rows.true_policy == COMPLEX}[risk]
    return _WALKS[risk](need, events, level=at_most, delta=1 - probability)


def _money(asked: str, rows: Labelled) -> None:
    """Refuse words that speak of money where costs are not known."""
    if rows.unit == CALLS:
        raise OutOfReach(asked, rows.note, "a call rate (--call-rate), which needs no prices")
