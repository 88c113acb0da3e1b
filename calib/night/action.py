"""What a night does: is a change of the outcomes doubted, is a renewal due, and what becomes of the candidate."""

from typing import Literal

from pydantic import BaseModel, Field

from routecal.calib.night.head_health import Health
from routecal.calib.night.outcome_shift import OutcomeShift
from routecal.calib.night.promotion_gate import GateVerdict

Action = Literal["promoted", "refused", "waiting"]


def doubts(shift: OutcomeShift, health: Health | None) -> tuple[str, ...]:
    """Why tonight's outcomes are not to be trusted without a person, in sentences; empty if they are.

    Args:
        shift: of the outcomes against those of the nights before.
        health: of the serving head; where queries drifted, outcomes may change with them.
    """
    if not shift.is_found or (health is not None and health.drifted):
        return ()
    return (*shift.reasons, "queries did not change, so a model or a judge did, or the oracle is broken")


def renewal_reasons(health: Health | None, *, age: int, renew_after: int | None) -> tuple[str, ...]:
    """Why another head may take over that does no better, only no worse, in sentences; empty if it must be.

    Args:
        health: of the serving head.
        age: nights that labelled something since it was trained, tonight included.
        renew_after: age from which on a head is renewed whatever its health; None: never.
    """
    found = () if health is None else health.complaints
    if renew_after is not None and age >= renew_after:
        found = (*found, f"the serving head is {age} labelled nights old, and is renewed from {renew_after} on")
    return found


class Judgement(BaseModel, frozen=True):
    """What becomes of a candidate, and why."""

    action: Action
    reasons: tuple[str, ...] = Field(description="in sentences")
    asks: bool = Field(default=False, description="a person is to be asked while the night waits")


def judgement(
    verdict: GateVerdict, doubts: tuple[str, ...], *, require_approval: bool, displaced: str | None = None
) -> Judgement:
    """What becomes of a candidate before anybody has said anything.

    Refused by the gate is refused, whatever else. What passes the gate is promoted, unless the outcomes are doubted, or
    a head serves that it was not compared with, or a person wants to approve each promotion; then it waits.

    Args:
        verdict: of the gate.
        doubts: see the function `doubts`.
        require_approval: a person approves every promotion, and is asked now.
        displaced: what serves that the candidate could not be compared with, in a sentence; None: nothing of the kind.
    """
    if not verdict.is_promoted:
        return Judgement(action="refused", reasons=(*verdict.reasons, *doubts))
    unclear = doubts if displaced is None else (displaced, *doubts)
    if require_approval:
        return Judgement(action="waiting", reasons=(*unclear, *verdict.reasons), asks=True)
    if unclear:
        return Judgement(action="waiting", reasons=unclear)
    return Judgement(action="promoted", reasons=verdict.reasons)
