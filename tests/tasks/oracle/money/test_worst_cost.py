"""No call costs more than its worst case, which some calls do not have."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routecal.tasks.oracle.call import Call, Usage
from routecal.tasks.oracle.money.pricelist import newest_pricelist, parse_pricelist
from routecal.tasks.oracle.money.pricing import OVERHEAD_TOKENS, NoOutputLimit, Prices, UnknownPrice
from tests.tasks.oracle.money.price_lists import DEC, MINE, NOV, call, listed


def decide(prompt: str, **config: Any) -> Call:
    return Call("gemini", "gemini-decision-1", "", prompt, config, "v", endpoint="decide")


def test_the_worst_case_by_hand() -> None:
    prices = Prices.load()
    # system 3 bytes, prompt 4 ("ä" and "é" take two each), "{}" 2 for a config that asks nothing else, 256 besides:
    # 265 × 0.75 + 1,000 × 3.75 = 198.75 + 3,750 millionths
    assert prices.worst_usd(call(prompt="äé", system="abc"), tier="online", at=NOV) == 0.00394875
    assert prices.worst_usd(call(prompt="äé", system="abc"), tier="flex", at=NOV) == 0.001974375
    # a schema is read too: {"schema": {"type": "string"}} is 30 bytes instead of 2
    schema = call(prompt="äé", system="abc", schema={"type": "string"})
    assert prices.worst_usd(schema, tier="online", at=NOV) == 0.00396975
    # {"questions": {}} has 17 bytes, "ab" 2, 256 besides: 275 × 0.10
    assert prices.worst_usd(decide("ab", questions={}), tier="batch", at=NOV) == 0.0000275


def test_the_worst_case_looks_a_day_ahead_and_two_in_batch() -> None:
    prices, argon = Prices.load(), call("gemini-4-argon")
    # 258 × 2 + 1,000 × 10 = 10,516, and twice that in December
    assert prices.worst_usd(argon, tier="online", at=NOV) == 0.010516
    assert prices.worst_usd(argon, tier="online", at=DEC - timedelta(hours=24, seconds=1)) == 0.010516
    assert prices.worst_usd(argon, tier="online", at=DEC - timedelta(hours=24)) == 0.021032
    assert prices.worst_usd(argon, tier="batch", at=DEC - timedelta(hours=48, seconds=1)) == 0.005258
    assert prices.worst_usd(argon, tier="batch", at=DEC - timedelta(hours=48)) == 0.010516


def test_a_price_that_ends_tomorrow_holds_today(tmp_path: Path) -> None:
    prices = Prices.load(listed(tmp_path, MINE + "valid_until = 2026-11-22"))
    # 258 × 1 + 1,000 × 2.5
    assert prices.worst_usd(call("mine"), tier="online", at=NOV) == 0.002758
    with pytest.raises(UnknownPrice, match="until 2026-11-22"):
        prices.worst_usd(call("mine"), tier="online", at=NOV + timedelta(days=1))


TEXTS = st.text(st.characters(), max_size=30)

# Long prompts are cheaper, cached tokens dearer, and January brings a rise.
ODD = b"""
[[price]]
model = "odd"
input_usd = 3.000000001
output_usd = 0.1
flex_factor = 0.333333333
valid_until = 2026-12-31
source = "made up"

[[price]]
model = "odd"
input_usd = 7
output_usd = 0.3
valid_from = 2027-01-01
source = "made up"

[[price]]
model = "odd"
input_usd = 5
cached_usd = 6
output_usd = 9
context_up_to = 300
source = "made up"
"""


@given(
    model=st.sampled_from(["gemini-3.8-flash", "gemini-4-argon", "gemini-4-neon", "gemini-3.1-pro-preview", "odd"]),
    tier=st.sampled_from(["online", "flex", "batch"]),
    at=st.datetimes(datetime(2026, 11, 20), datetime(2027, 1, 3), timezones=st.just(UTC)),
    waited=st.floats(0, 1),
    texts=st.tuples(TEXTS, TEXTS, TEXTS),
    room=st.integers(1, 70_000),
    shares=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_no_call_costs_more_than_its_worst_case(
    model: str,
    tier: str,
    at: datetime,
    waited: float,
    texts: tuple[str, str, str],
    room: int,
    shares: tuple[float, ...],
) -> None:
    prices = Prices(newest_pricelist()[1], parse_pricelist(ODD, "odd.toml", source_required=True))
    asked = Call("gemini", model, texts[0], texts[1], {"max_output_tokens": room, "schema": texts[2]}, "v")
    read = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) + OVERHEAD_TOKENS
    prompt = int(read * shares[0])
    written = int(room * shares[1])
    usage = Usage(prompt, int(prompt * shares[2]), int(written * shares[3]), written - int(written * shares[3]))
    answered = at + timedelta(hours=48 if tier == "batch" else 24) * waited
    cost = prices.usd(model, usage, tier=tier, at=answered)
    assert cost is not None
    assert cost <= prices.worst_usd(asked, tier=tier, at=at)


def test_a_bound_knows_that_short_prompts_and_cached_tokens_may_be_dearer() -> None:
    prices = Prices(newest_pricelist()[1], parse_pricelist(ODD, "odd.toml", source_required=True))
    # at most 600 tokens are read: the answer may cost 9 a million, as after a short prompt, and all be cached at 6
    asked = call("odd", "a" * (600 - 256 - 2))
    assert prices.worst_usd(asked, tier="online", at=NOV) == (600 * 6 + 1000 * 9) / 10**6
    short = Usage(300, 300, 1000, 0)
    assert prices.usd("odd", short, tier="online", at=NOV) == (300 * 6 + 1000 * 9) / 10**6
    # 100 tokens more than the short price holds for, none of them cached: 3.000000001 × 400 + 0.1 × 1,000
    assert prices.usd("odd", Usage(400, 0, 1000, 0), tier="online", at=NOV) == 0.0013000000004


@pytest.mark.parametrize("limit", [None, 0, -1, 2.5, True, "1000"])
def test_a_call_without_end_has_no_worst_case(limit: object) -> None:
    with pytest.raises(NoOutputLimit, match="max_output_tokens"):
        Prices.load().worst_usd(call(max_output_tokens=limit), tier="online", at=NOV)
    with pytest.raises(NoOutputLimit):
        Prices.load().worst_usd(Call("gemini", "gemini-3.8-flash", "", "", {}, "v"), tier="online", at=NOV)


def test_a_prompt_that_may_be_longer_than_any_price_is_refused() -> None:
    prices = Prices.load()
    fits = call("gemini-3.1-pro-preview", "a" * (200_000 - 256 - 2))
    assert prices.worst_usd(fits, tier="online", at=NOV) == 0.412
    longer = call("gemini-3.1-pro-preview", "a" * (200_000 - 256 - 1))
    with pytest.raises(UnknownPrice, match="for prompts of up to 200,000 tokens"):
        prices.worst_usd(longer, tier="online", at=NOV)


def test_a_call_to_a_model_without_a_price_has_no_worst_case() -> None:
    with pytest.raises(UnknownPrice, match="no price of nobody"):
        Prices.load().worst_usd(call("nobody"), tier="online", at=NOV)


def test_a_decision_writes_nothing(tmp_path: Path) -> None:
    prices = Prices.load(listed(tmp_path, MINE.replace("mine", "gemini-decision-1").replace("2.5", "1000")))
    assert prices.worst_usd(decide(""), tier="online", at=NOV) == (OVERHEAD_TOKENS + len("{}")) / 1_000_000
