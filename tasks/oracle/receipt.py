"""What the calls behind one label cost."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from routecal.tasks.oracle.call import Call, Reply
from routecal.tasks.oracle.grading.answering import Answer
from routecal.tasks.oracle.grading.judging import Verdict


class CallCost(NamedTuple):
    """What one call, or one stage, took; None is unknown."""

    usd: float | None
    tokens_in: int | None
    tokens_out: int | None


class CallCosts:
    """Cost and tokens of the calls behind one label, by what they were for; None once one is unknown.

    Args:
        before: what stages took of which no call is made.
    """

    def __init__(self, before: Mapping[str, CallCost] = {}) -> None:
        self._stages = dict(before)
        self._calls: dict[str, tuple[str, CallCost]] = {}

    def add(self, call: Call, reply: Reply, usd: float | None) -> None:
        """Count one call, once: equal answers are judged by the same call. Asked anew, the last reply counts."""
        used = reply.usage
        out = None if used.output is None else used.output + (used.thinking or 0)
        self._calls[call.key] = call.stage, CallCost(usd, used.prompt, out)

    def keep(self, answers: Iterable[Answer], verdicts: Iterable[Verdict]) -> None:
        """Leave out what was asked for in vain, before other votes took its place."""
        keys = {key for answer in answers for key in answer.keys}
        keys |= {vote.key for verdict in verdicts for vote in verdict.votes}
        self._calls = {key: call for key, call in self._calls.items() if key in keys}

    @property
    def usd(self) -> dict[str, float | None]:
        """By stage."""
        return self._totals("usd")

    @property
    def tokens_in(self) -> dict[str, int | None]:
        """By stage."""
        return self._totals("tokens_in")

    @property
    def tokens_out(self) -> dict[str, int | None]:
        """By stage."""
        return self._totals("tokens_out")

    def _totals(self, what: str) -> dict[str, Any]:
        totals = {stage: getattr(entry, what) for stage, entry in self._stages.items()}
        for stage, entry in self._calls.values():
            so_far, more = totals.get(stage, 0), getattr(entry, what)
            totals[stage] = None if so_far is None or more is None else so_far + more
        return totals
