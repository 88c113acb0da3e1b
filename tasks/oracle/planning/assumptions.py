"""What a plan takes for granted before a single call is made, and Google's spend tiers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

# Tokens a model thinks before a short factual answer, by level. `low` is the figure of our research (60 visible + 300
# thinking); `high` its "at 1,500 thinking tokens"; `medium` is `low` × 942 / 442, as measured once on one task; the
# other two are guesses. Without a level the model thinks as it likes, and some like `high`.
_THINKING = {"minimal": 100, "low": 300, "medium": 640, "high": 1500, "xhigh": 3000, None: 1500}


@dataclass(frozen=True)
class Assumptions:
    """Everything in a plan that is not counted from the queries, the prices or the limits. Rough on purpose.

    Attributes:
        bytes_per_token: UTF-8 bytes of English per token; other scripts have fewer.
        answer_bytes: what a request for an answer holds besides the query.
        judge_bytes: what a request to a judge holds besides query, reference and answer, schema included.
        decision_bytes: the same for one decision about both answers.
        visible_tokens: length of an answer.
        thinking_tokens: thinking level -> tokens thought before an answer.
        judge_visible_tokens: length of a judgement.
        judge_thinking_share: a judge's thinking as a part of `thinking_tokens`; 40 + 0.6 × 300 are the 220 output
            tokens of a judge at `low`.
        exact_share: answers that need no judge, because they are the reference word for word. 0 until you know better:
            the plan is then on the dear side.
        second_share: answers whose first judge is unsure, where a second one is asked then.
        failed_share: answers whose judge says nothing readable, so that the next one is asked.
        third_share: second opinions that need a third.
        spread: output may as well be that many times shorter or longer on average, and so may the shares of further
            judges.
        start_s: seconds before a model begins to write.
        tokens_per_s: how fast it writes and thinks.
        decision_s: seconds a decision takes.
        flex_s: seconds a request waits in the flex tier, whose target is 1 to 15 minutes.
        batch_s: seconds a batch job may take.
    """

    bytes_per_token: float = 4.0
    answer_bytes: int = 340
    judge_bytes: int = 3730
    decision_bytes: int = 2920
    visible_tokens: float = 60.0
    thinking_tokens: Mapping[str | None, float] = field(default_factory=lambda: dict(_THINKING))
    judge_visible_tokens: float = 40.0
    judge_thinking_share: float = 0.6
    exact_share: float = 0.0
    second_share: float = 0.15
    failed_share: float = 0.01
    third_share: float = 0.3
    spread: float = 2.0
    start_s: float = 1.0
    tokens_per_s: float = 150.0
    decision_s: float = 0.25
    flex_s: float = 300.0
    batch_s: float = 24 * 3600.0


class SpendTier(NamedTuple):
    """What Google lets a project spend on the Gemini API.

    Attributes:
        name: as Google calls it.
        usd_per_10min: in any ten minutes.
        usd_per_month: in a month.
        needs: what it takes to get there.
    """

    name: str
    usd_per_10min: float
    usd_per_month: float
    needs: str


# ai.google.dev/gemini-api/docs/rate-limits, November 2026. In tier 3 a month has $20,000 to $100,000 and more, by
# account; the lowest is counted on.
SPEND_TIERS = (
    SpendTier("Tier 1", 10.0, 250.0, "a billing account"),
    SpendTier("Tier 2", 50.0, 2_000.0, "$100 paid, and 3 days"),
    SpendTier("Tier 3", 200.0, 20_000.0, "$1,000 paid, and 30 days"),
)
