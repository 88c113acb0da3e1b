"""Is fewer answered right with the candidate than with the champion, each at the threshold that it serves by?

Both decide the gate's held-out queries, which chose neither threshold: those come from labelled ones, and which a query
is follows from its text for ever. The share answered right is compared pair by pair, by Tango's interval
(`calib.escalation.paired`); it is significantly lower where the interval lies below zero. That is one-sided: at a level
of .95 a candidate that is as good is found to be lower with .025 (computed at n from 100 to 1,000, whatever the share
of queries on which the two differ: at most .027).

A lower share is no fault where it was asked for: after a change of the terms that allows less, or where it is within
the terms and saves more. A promise of at most one point lost may be used up, and is the more so the more labels there
are; a head that loses less than that and saves more is what the terms ask for, even if the champion loses nothing.

Of several conditions (`calib.night.promotion_gate`): a promotion takes all of them, so that one more never lets a worse
head in, and none is corrected for the others (intersection-union test, Berger 1982, Technometrics 24). Against a head
that is no worse anywhere, this one errs with (1 - level) / 2 and those on slices together with as much. Rows that
judged the champion when it was new are among them, and luck that it had there is held against the candidate.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from routecal.calib.checks import FloatArray
from routecal.calib.errors import LengthMismatch
from routecal.calib.escalation import Outcomes, paired_difference_of_shares, saving_at
from routecal.calib.night.promotion_gate import Condition
from routecal.calib.promise.wording import risk_in_words
from routecal.calib.settings import EscalationTerms

NAME = "served"


def not_compared(why: str) -> Condition:
    """No condition: the decisions of both heads cannot be compared.

    Args:
        why: in words.
    """
    return Condition(name=NAME, is_met=True, reason=f"the quality served is not compared with the champion's: {why}")


def served_quality(
    candidate: ArrayLike,
    champion: ArrayLike,
    outcomes: Outcomes,
    needs_large: ArrayLike,
    terms: EscalationTerms,
    before: EscalationTerms,
    *,
    level: float,
) -> Condition:
    """Not met where the candidate's share of right answers is significantly lower, and nothing that was asked says why.

    Args:
        candidate: (n,) whether it sends the query to the large model, at its own threshold.
        champion: (n,) the same of the head that serves.
        outcomes: of the n queries; none of them chose a threshold.
        needs_large: (n,) whether the true policy is one that the large model serves.
        terms: that chose the candidate's threshold.
        before: that chose the champion's.
        level: coverage of every interval, in (0, 1).

    Raises:
        LengthMismatch: these are not of the same queries.

    >>> two = Outcomes.of(["CORRECT", "INCORRECT"] * 50, ["CORRECT"] * 100, medium_cost=1, large_cost=9)
    >>> terms = EscalationTerms(call_rate=0.5)
    >>> found = served_quality([True, False] * 50, [False, True] * 50, two, [False] * 100, terms, terms, level=0.95)
    >>> found.is_met
    False
    >>> print(found.reason.split(";")[0])
    the quality served is significantly lower than the champion's: -50.0 [-59.6, -40.4] points
    """
    large, other = np.asarray(candidate, bool), np.asarray(champion, bool)
    for name, side in (("candidate", large), ("champion", other)):
        if side.shape != (len(outcomes),):
            raise LengthMismatch(name, side.size, "outcomes", len(outcomes))
    change = _right(large, outcomes) - _right(other, outcomes)
    gains, losses = int((change > 0).sum()), int((change < 0).sum())
    difference = paired_difference_of_shares(gains, losses, len(outcomes), level=level)
    is_lower = difference.high < 0
    why = _asked_for(large, other, outcomes, needs_large, terms, before) if is_lower else ""
    own, theirs = (_against_all_large(side, outcomes, level) for side in (large, other))
    reason = (
        f"the quality served is {'' if is_lower else 'not '}significantly lower than the champion's: "
        f"{difference.times(100):+.1f} points{why and f', as was asked for ({why})'}; against all-large: the "
        f"candidate {own}; the champion {theirs}"
    )
    return Condition(name=NAME, is_met=not is_lower or bool(why), reason=reason)


def _asked_for(
    large: NDArray[np.bool_],
    other: NDArray[np.bool_],
    outcomes: Outcomes,
    needs_large: ArrayLike,
    terms: EscalationTerms,
    before: EscalationTerms,
) -> str:
    """Which words of the operator a lower quality follows from; empty where none do."""
    if _allows_less(terms, before):
        return "the champion's threshold is of other terms"
    worth = _worth(large, outcomes, terms.answer_value or 0.0) - _worth(other, outcomes, terms.answer_value or 0.0)
    if terms.answer_value is not None and worth > 0:
        return f"a right answer is worth {terms.answer_value:g}, and more is saved than lost"
    if terms.is_promise and worth > 0:
        lost, wrong = outcomes.large_right - _right(large, outcomes), np.asarray(needs_large, bool)[~large]
        risk = {"loss": lost.mean(), "harm": (lost > 0).mean(), "kept": wrong.sum() / max(len(wrong), 1)}[terms.risk]
        if risk <= terms.at_most:
            return f"{risk_in_words(terms.risk, terms.at_most)}, {100 * risk:.1f} here, and it saves more"
    return ""


def _allows_less(terms: EscalationTerms, before: EscalationTerms) -> bool:
    """Whether the terms changed so that a lower quality may follow: in any way but to a promise at least as strict."""
    ignored = {"price_unit"}
    if terms.is_promise and terms.at_most <= before.at_most and terms.probability >= before.probability:
        ignored |= {"at_most", "probability"}
    return terms.model_dump(exclude=ignored) != before.model_dump(exclude=ignored)


def _right(large: NDArray[np.bool_], outcomes: Outcomes) -> FloatArray:
    return np.where(large, outcomes.large_right, outcomes.medium_right)


def _worth(large: NDArray[np.bool_], outcomes: Outcomes, value: float) -> float:
    """Mean worth of what is served: of its right answers at `value` each, less what all its answers cost."""
    cost = np.where(large, outcomes.large_cost, outcomes.medium_cost)
    return float((value * _right(large, outcomes) - cost).mean())


def _against_all_large(large: NDArray[np.bool_], outcomes: Outcomes, level: float) -> str:
    found = saving_at(outcomes, large, threshold=0.5, level=level)
    return f"{found.quality_difference.times(100):+.1f} points, {found.saving.times(100):.0f} % saved"
