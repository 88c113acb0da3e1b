"""One row of `labels` from what the calls and the judges brought and cost, or the reason why there is none."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from routecal.calib.policy import OracleMatrix
from routecal.plain_text import plain
from routecal.tasks.oracle.call import Call, Reply
from routecal.tasks.oracle.grading.answering import Answer
from routecal.tasks.oracle.grading.judging import Verdict

ROLES = ("medium", "large")

# The reason of a verdict whose judges all failed to say, and of one that a second judge failed to confirm: a later run
# asks these judges again.
JUDGE_ERROR, UNCONFIRMED = "judge error", "unconfirmed"

# So much of what a judge said in place of a grade is shown.
QUOTED = 120


class Unlabelled(NamedTuple):
    """A query that gets no label.

    Attributes:
        reason: what is missing, before the first colon in words to count by: `judges disagree: large`.
        verdicts: on the medium and the large answer, with all votes; empty where it never came to judging.
    """

    reason: str
    verdicts: tuple[Verdict, ...] = ()


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


def label_row(
    query: Mapping[str, Any],
    answers: tuple[Answer, Answer],
    verdicts: tuple[Verdict, Verdict],
    *,
    matrix: OracleMatrix,
    receipt: CallCosts,
    now: datetime,
) -> dict[str, Any] | Unlabelled:
    """The label of one query; without both grades there is none.

    `judge` names who decided, medium before large where they differ. `judge_confidence` is the lower of the two
    verdicts' confidences, null where rules decided both. A label that took no judge has 0 judge tokens and costs.

    Args:
        query: a row of `queries`; its `query_id` counts.
        answers: of the medium and the large model.
        verdicts: on these answers, in this order.
        matrix: grades to policy.
        receipt: what the calls took.
        now: when it was labelled, with a time zone.
    """
    missing: dict[str, list[str]] = {}
    for role, verdict in zip(ROLES, verdicts, strict=True):
        if verdict.grade is None:
            missing.setdefault(verdict.reason or JUDGE_ERROR, []).append(role)
    medium, large = (verdict.grade for verdict in verdicts)
    if medium is None or large is None:
        reason = "; ".join(f"{what}: {', '.join(roles)}" for what, roles in missing.items())
        return Unlabelled(reason + _last_words(verdicts), verdicts)
    versions = [answer.prompt_version for answer in answers]
    versions += [vote.prompt_version for verdict in verdicts for vote in verdict.votes]
    sure = [verdict.confidence for verdict in verdicts if verdict.confidence is not None]
    row: dict[str, Any] = {
        "query_id": query["query_id"],
        "oracle": answers[0].provider,
        "true_policy": matrix.true_policy(medium, large).value,
        "judge": " / ".join(dict.fromkeys(verdict.judge for verdict in verdicts)),
        "judge_confidence": min(sure, default=None),
        "prompt_version": "; ".join(dict.fromkeys(version for version in versions if version)) or None,
        "judge_tokens_in": receipt.tokens_in.get("judge", 0),
        "judge_tokens_out": receipt.tokens_out.get("judge", 0),
        "judge_cost_usd": receipt.usd.get("judge", 0.0),
        "labelled_at": now,
    }
    for role, answer, verdict in zip(ROLES, answers, verdicts, strict=True):
        row |= {
            f"{role}_model": answer.model,
            f"{role}_model_version": answer.model_version,
            f"{role}_answer": answer.text,
            f"{role}_grade": verdict.grade and verdict.grade.value,
            f"{role}_reason": verdict.reason,
            f"{role}_votes": json.dumps([vote.facts for vote in verdict.votes], ensure_ascii=False),
            f"{role}_tokens_in": receipt.tokens_in.get(role),
            f"{role}_tokens_out": receipt.tokens_out.get(role),
            f"{role}_cost_usd": receipt.usd.get(role),
        }
    return row


def _last_words(verdicts: tuple[Verdict, Verdict]) -> str:
    """What came last from a judge in place of a vote, for people; empty where all voted."""
    unread = [v for verdict in verdicts if verdict.grade is None for v in verdict.votes if v.grade is None]
    if not unread:
        return ""
    said = f"«{plain(unread[-1].raw, at_most=QUOTED)}»" if unread[-1].raw else unread[-1].problem
    return f" ({unread[-1].judge}: {said})"
