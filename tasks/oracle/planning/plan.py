"""A labelling run planned before it begins: calls, tokens, USD, time, and the spend tier it needs.

Answers that the ledger holds already are left out.

Every sum is linear in the queries, so a million of them are two passes of pyarrow.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from routecal.storage.artifact import Artifact, read_table
from routecal.storage.ledger import Ledger
from routecal.tasks.oracle.api_oracle import ApiOracle
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.grading.answering import Role, answer_call
from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec
from routecal.tasks.oracle.money.pricing import OVERHEAD_TOKENS, Prices, UnknownPrice
from routecal.tasks.oracle.planning.assumptions import SPEND_TIERS, Assumptions
from routecal.tasks.oracle.planning.call_kinds import CallKind, Sizes, kinds_of, sizes
from routecal.tasks.oracle.planning.forecast import LabellingPlan, Range, StagePlan, duration
from routecal.tasks.spend import ledger_exists

__all__ = ["Assumptions", "LabellingPlan", "labelling_plan"]


def labelling_plan(
    queries: pa.Table,
    *,
    medium: ModelSpec,
    large: ModelSpec,
    judge: JudgeSpec | None,
    prices: Prices,
    limits: Pace,
    tier: str,
    at: datetime,
    paid: Mapping[str, int] = {},
    provider: str = "gemini",
    assume: Assumptions | None = None,
) -> LabellingPlan:
    """What labelling `queries` would take.

    Args:
        queries: with the columns `query` and `ground_truth`, text; `aliases`, lists of texts, if there are any.
        medium: answers.
        large: answers.
        judge: grades; None plans answers only.
        prices: of all models.
        limits: how fast calls may go, such as a `Pace`.
        tier: `online`, `flex` or `batch`.
        at: when the run would begin, with a time zone. What is likely is priced as of then; what is high or worst at
            the dearest price until the run would end, at least a day ahead.
        paid: calls whose responses are in the ledger already, by what they are for: `medium`, `large`, `judge`. They
            are taken for calls of average size.
        provider: as in `Call`.
        assume: what to take for granted; None takes the defaults.

    Raises:
        UnknownPrice: of one of the models.
        ValueError: no such tier, or `at` has no time zone.
    """
    assume = assume or Assumptions()
    texts = sizes(queries)
    kinds = kinds_of(texts, medium, large, judge, paid, assume)
    prices.check(dict.fromkeys(kind.spec.model for kind in kinds), at=at, provider=provider)
    price = partial(_stage, prices=prices, tier=tier, at=at, assume=assume)
    first = [price(kind, until=at) for kind in kinds]
    took_s = duration(first, limits, tier=tier, assume=assume, usd_per_10min=limits.usd_per_10min).seconds.high
    # A run that lasts into another price costs that price. Beyond a year nobody knows any.
    until = at + timedelta(seconds=min(max(took_s, 24 * 3600.0), 365 * 24 * 3600.0))
    stages = tuple(price(kind, until=until) for kind in kinds)
    usd = Range(*(sum(of_kind) for of_kind in zip(*(stage.usd for stage in stages), strict=True)))
    time_of = partial(duration, stages, limits, tier=tier, assume=assume)
    spend_tier, tier_time = None, None
    if provider == "gemini" and usd.high > 0:
        spend_tier = next((t for t in SPEND_TIERS if usd.high <= t.usd_per_month), SPEND_TIERS[-1])
        tier_time = time_of(usd_per_10min=spend_tier.usd_per_10min)
    return LabellingPlan(
        queries=texts.rows,
        skipped=texts.rows - texts.usable,
        repeated=texts.usable - texts.pairs,
        tier=tier,
        stages=stages,
        usd=usd,
        worst_usd=sum(stage.worst_usd for stage in stages),
        time=time_of(usd_per_10min=limits.usd_per_10min),
        spend_tier=spend_tier,
        spend_tier_covers=spend_tier is None or usd.high <= spend_tier.usd_per_month,
        spend_tier_time=tier_time,
        notes=tuple(_notes(kinds, texts, prices, limits, tier, at, until, assume)),
        assumptions=assume,
    )


def _stage(
    kind: CallKind, *, prices: Prices, tier: str, at: datetime, until: datetime, assume: Assumptions
) -> StagePlan:
    """A kind of call, with its tokens and prices."""

    def tokens(way: int) -> tuple[float, float, float]:
        """(input, visible, thinking) of one call."""
        longer = assume.spread**way
        visible, thinking = kind.visible * longer, kind.thinking * longer
        fits = min(1.0, kind.spec.max_output_tokens / (visible + thinking)) if visible + thinking else 1.0
        answers = kind.answers_read * min(assume.visible_tokens * longer, kind.answer_limit)
        return kind.bytes / assume.bytes_per_token + answers, visible * fits, thinking * fits

    def usd(way: int) -> float:
        read, visible, thinking = tokens(way)
        rate = prices.dearest(
            kind.spec.model, tier=tier, since=at, until=until if way > 0 else at, prompt_tokens=round(read)
        )
        return kind.calls[way + 1] * rate.usd(input_tokens=read, output_tokens=visible + thinking)

    def call_s(way: int) -> float:
        if kind.decides:
            return assume.decision_s
        waits = assume.flex_s * assume.spread**way if tier == "flex" else assume.start_s
        return waits + sum(tokens(way)[1:]) / assume.tokens_per_s

    worst_read = kind.bytes + kind.answers_read * kind.answer_limit + OVERHEAD_TOKENS
    # Lengths beyond the last known price are refused when they come; here the longest that is known stands for them.
    dearest = prices.dearest(kind.spec.model, tier=tier, since=at, until=until, prompt_tokens=round(tokens(1)[0]))
    worst = dearest.usd(input_tokens=worst_read, output_tokens=0 if kind.decides else kind.spec.max_output_tokens)
    return StagePlan(
        stage=kind.stage,
        model=kind.spec.model,
        calls=kind.calls,
        input_tokens=Range.of(lambda way: kind.calls[way + 1] * tokens(way)[0]),
        output_tokens=Range.of(lambda way: kind.calls[way + 1] * tokens(way)[1]),
        thinking_tokens=Range.of(lambda way: kind.calls[way + 1] * tokens(way)[2]),
        usd=Range.of(usd),
        worst_usd=kind.most_calls * worst,
        call_s=Range.of(call_s),
    )


def _notes(
    kinds: list[CallKind],
    texts: Sizes,
    prices: Prices,
    limits: Pace,
    tier: str,
    at: datetime,
    until: datetime,
    assume: Assumptions,
) -> list[str]:
    """What the numbers alone do not say."""
    notes = []
    longest = round((texts.longest_bytes + max(assume.answer_bytes, assume.judge_bytes)) / assume.bytes_per_token)
    for model in dict.fromkeys(kind.spec.model for kind in kinds):
        for day in prices.changes(model, since=at.date(), until=until.date()):
            notes.append(f"the price of {model} changes on {day}, while this runs; high and at most count the dearer")
        try:
            prices.dearest(model, tier=tier, since=at, until=at, prompt_tokens=longest)
        except UnknownPrice:
            notes.append(f"the longest prompt, of about {longest:,} tokens, has no known price for {model}")
        tpm = limits.tpm_of.get(model, limits.tpm)
        if tpm is not None and longest > tpm and tier != "batch":
            notes.append(f"the longest prompt, of about {longest:,} tokens, never fits into the {tpm:,} tpm of {model}")
    if tier == "batch":
        notes.append("whether batch jobs count towards the spend limit is not documented")
    return notes


# Keys looked up at a time: a million texts are never a million keys in memory.
CHUNK = 50_000


def plan_labels(queries: Artifact, oracle: ApiOracle, pace: Pace) -> LabellingPlan:
    """What labelling the queries would take. Nothing is asked, and no ledger is made.

    Answers that are paid are left out. What the judges would be asked depends on answers, so of theirs none are.

    Raises:
        UnknownPrice: of one of the models.
        InputMissing, PricesInvalid: of the user's list of prices.
        StorageError: the ledger cannot be read.
    """
    table = read_table(queries, columns=["query", "ground_truth", "aliases"])
    paid = paid_answers(table, oracle)
    plan = labelling_plan(
        table,
        medium=oracle.medium,
        large=oracle.large,
        judge=oracle.judge,
        prices=Prices.load(pace.prices),
        limits=pace,
        tier=pace.backend,
        at=datetime.now(UTC),
        paid=paid,
        provider=oracle.provider,
    )
    if not (n := sum(paid.values())):
        return plan
    note = f"{n:,} answers are in the ledger and left out; judgements that are there too are not, as nobody knows which"
    return replace(plan, notes=(*plan.notes, note))


def paid_answers(queries: pa.Table, oracle: ApiOracle) -> dict[str, int]:
    """How many different queries each model has answered already: `medium` and `large` -> count."""
    if not ledger_exists():
        return {}
    with Ledger.open() as ledger:
        if not len(ledger):
            return {}
        texts = pc.unique(queries["query"].filter(queries["ground_truth"].is_valid()))
        return {
            "medium": _n_paid(ledger, texts, oracle.medium, oracle.provider, "medium"),
            "large": _n_paid(ledger, texts, oracle.large, oracle.provider, "large"),
        }


def _n_paid(ledger: Ledger, texts: pa.Array, spec: ModelSpec, provider: str, role: Role) -> int:
    call = answer_call("", spec=spec, provider=provider, role=role)
    parts = (texts.slice(at, CHUNK).to_pylist() for at in range(0, len(texts), CHUNK))
    return sum(ledger.n_ended(call.keys(part)) for part in parts)
