"""The kinds of call that a run makes: who is asked how often, what is read and what is written."""

from collections.abc import Mapping
from dataclasses import dataclass

from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec
from routecal.tasks.oracle.planning.assumptions import Assumptions
from routecal.tasks.oracle.planning.forecast import Range
from routecal.tasks.oracle.planning.query_sizes import Sizes


@dataclass(frozen=True)
class CallKind:
    """One kind of call, before it is priced. Functions take -1, 0 or 1: low, likely, high."""

    stage: str
    spec: ModelSpec
    calls: Range
    most_calls: float
    # per call
    bytes: float
    answers_read: float
    answer_limit: int
    visible: float
    thinking: float
    decides: bool = False


def kinds_of(
    texts: Sizes,
    medium: ModelSpec,
    large: ModelSpec,
    judge: JudgeSpec | None,
    paid: Mapping[str, int],
    assume: Assumptions,
) -> list[CallKind]:
    """The kinds of call, those that are paid left out."""
    query = texts.query_bytes / max(texts.queries, 1)
    pair = texts.pair_bytes / max(texts.pairs, 1)
    kinds: list[CallKind] = []
    for stage, spec in (("medium", medium), ("large", large)):
        n: float = max(0, texts.queries - paid.get(stage, 0))
        thinking = assume.thinking_tokens.get(spec.thinking_level, assume.thinking_tokens[None])
        size = query + assume.answer_bytes
        kinds.append(CallKind(stage, spec, Range(n, n, n), n, size, 0.0, 0, assume.visible_tokens, thinking))
    if judge is None:
        return kinds
    limit = max(medium.max_output_tokens, large.max_output_tokens)
    open_answers = 2 * texts.pairs * (1 - assume.exact_share)
    decides = judge.kind == "decision"
    # One decision grades both answers, and is needed unless both are exact.
    calls = texts.pairs * (1 - assume.exact_share**2) if decides else open_answers
    most = texts.pairs if decides else 2 * texts.pairs
    share = 1.0 if judge.always_second else assume.second_share if judge.below is not None else assume.failed_share
    # Verdicts in the ledger are those of first judges, as far as anybody can tell beforehand.
    left = 1 - min(1.0, paid.get("judge", 0) / max(calls, 1))
    for stage, seat, need, seat_decides in (
        ("first judge", judge.first, Range(1.0, 1.0, 1.0), decides),
        ("second judge", judge.second, _spread(share, assume, certain=judge.always_second), False),
        ("third judge", judge.third, _spread(share * assume.third_share, assume), False),
    ):
        if seat is None:
            continue
        thinking = assume.thinking_tokens.get(seat.thinking_level, assume.thinking_tokens[None])
        n = (calls if stage == "first judge" else open_answers) * left
        kinds.append(
            CallKind(
                stage,
                seat,
                Range(*(n * part for part in need)),
                (most if stage == "first judge" else 2 * texts.pairs) * left,
                pair + (assume.decision_bytes if seat_decides else assume.judge_bytes),
                2.0 if seat_decides else 1.0,
                limit,
                0.0 if seat_decides else assume.judge_visible_tokens,
                0.0 if seat_decides else thinking * assume.judge_thinking_share,
                seat_decides,
            )
        )
    return kinds


def _spread(share: float, assume: Assumptions, *, certain: bool = False) -> Range:
    return Range(share, share, share) if certain else Range.of(lambda way: min(1.0, share * assume.spread**way))
