"""Costs by hand, bounds that hold, and lists of prices that are refused."""

import pickle
import time
import tomllib
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routecal.storage.input_errors import InputMissing
from routecal.tasks.oracle.call import Call, Usage
from routecal.tasks.oracle.money.pricelist import PricesInvalid, newest_pricelist, parse_pricelist
from routecal.tasks.oracle.money.pricing import OVERHEAD_TOKENS, NoOutputLimit, Prices, UnknownPrice

NOV = datetime(2026, 11, 22, 12, tzinfo=UTC)
LAST_OF_NOV = datetime(2026, 11, 30, 12, tzinfo=UTC)
DEC = datetime(2026, 12, 1, tzinfo=UTC)
LAST_OF_2026 = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
JAN = datetime(2027, 1, 1, tzinfo=UTC)

MINE = """
[[price]]
model = "mine"
input_usd = 1
output_usd = 2.5
"""


def call(
    model: str = "gemini-3.8-flash", prompt: str = "", *, system: str = "", provider: str = "gemini", **config: Any
) -> Call:
    return Call(provider, model, system, prompt, {"max_output_tokens": 1000, "thinking_level": "low"} | config, "v")


def decide(prompt: str, **config: Any) -> Call:
    return Call("gemini", "gemini-decision-1", "", prompt, config, "v", endpoint="decide")


def listed(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "prices.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("model", "usage", "tier", "at", "usd"),
    [
        # 1,000 × 0.75 + (60 + 300) × 3.75 = 750 + 1,350 = 2,100 millionths
        ("gemini-3.8-flash", Usage(1000, 0, 60, 300), "online", NOV, 0.0021),
        # (1,000 - 400) × 0.75 + 400 × 0.075 + 360 × 3.75 = 450 + 30 + 1,350
        ("gemini-3.8-flash", Usage(1000, 400, 60, 300), "online", NOV, 0.00183),
        ("gemini-3.8-flash", Usage(1000, 400, 60, 300), "flex", NOV, 0.000915),
        ("gemini-3.8-flash", Usage(1000, 400, 60, 300), "batch", NOV, 0.000915),
        # twice as much from January, until the last minute of December not
        ("gemini-3.8-flash", Usage(1000, 400, 60, 300), "online", LAST_OF_2026, 0.00183),
        ("gemini-3.8-flash", Usage(1000, 400, 60, 300), "online", JAN, 0.00366),
        # 1,000 × 2 + 360 × 10 = 5,600; from December 11,200
        ("gemini-4-argon", Usage(1000, 0, 60, 300), "online", LAST_OF_NOV, 0.0056),
        ("gemini-4-argon", Usage(1000, 0, 60, 300), "online", DEC, 0.0112),
        # 400 of them cached: 600 × 4 + 400 × 0.2 + 360 × 20 = 2,400 + 80 + 7,200
        ("gemini-4-argon", Usage(1000, 400, 60, 300), "online", DEC, 0.00968),
        ("gemini-4-hydrogen", Usage(1_000_000, 0, 0, 0), "online", NOV, 1.5),
        # no cached price is known: cached tokens cost what all do
        ("gemini-4-neon", Usage(1_000_000, 900_000, 1_000_000, 0), "online", NOV, 18.0),
        ("gemini-3.1-pro-preview", Usage(200_000, 0, 0, 0), "online", NOV, 0.4),
        # what it decides costs nothing, and it has no half price
        ("gemini-decision-1", Usage(1400, None, None, None), "online", NOV, 0.00014),
        ("gemini-decision-1", Usage(1400, 0, 7, 7), "flex", NOV, 0.00014),
        # not mentioned: none
        ("gemini-3.8-flash", Usage(1000, None, 60, None), "online", NOV, 0.000975),
        ("publishers/google/models/gemini-3.8-flash", Usage(1000, 0, 60, 300), "online", NOV, 0.0021),
        # the day of the price is the day in UTC: 23:30 on 30 November in San Francisco is December
        (
            "gemini-4-argon",
            Usage(1_000_000, 0, 0, 0),
            "online",
            datetime(2026, 11, 30, 23, 30, tzinfo=timezone(timedelta(hours=-8))),
            4.0,
        ),
    ],
)
def test_costs_by_hand(model: str, usage: Usage, tier: str, at: datetime, usd: float) -> None:
    assert Prices.load().usd(model, usage, tier=tier, at=at) == usd


@pytest.mark.parametrize(
    ("model", "usage", "at"),
    [
        ("gemini-3.8-flash", Usage(), NOV),
        ("gemini-3.8-flash", Usage(1000, 0, None, 300), NOV),
        ("gemini-3.8-flash", Usage(None, 0, 60, 300), NOV),
        ("gemini-decision-1", Usage(), NOV),
        ("gemini-3.8-flash", Usage(1000, 1001, 60, 300), NOV),
        ("gemini-3.8-flash", Usage(1000, 0, -60, 300), NOV),
        # prompts beyond 200,000 tokens have another price, which is not in the list
        ("gemini-3.1-pro-preview", Usage(200_001, 0, 60, 300), NOV),
        ("gemini-3.8-flash", Usage(1000, 0, 60, 300), datetime(2026, 9, 1, tzinfo=UTC)),
        ("gemini-2.5-pro", Usage(1000, 0, 60, 300), NOV),
    ],
)
def test_what_is_not_known_is_not_zero(model: str, usage: Usage, at: datetime) -> None:
    assert Prices.load().usd(model, usage, tier="online", at=at) is None


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


def test_every_price_of_the_package_is_checked_and_has_a_source() -> None:
    name, prices = newest_pricelist()
    assert date.fromisoformat(Path(name).stem)
    assert {p.model for p in prices} == {
        "gemini-3.8-flash",
        "gemini-4-hydrogen",
        "gemini-4-neon",
        "gemini-4-argon",
        "gemini-3.1-pro-preview",
        "gemini-decision-1",
    }
    assert all(p.source for p in prices)
    shipped = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text(encoding="utf-8"))
    assert "oracle/money/prices/*" in shipped["tool"]["setuptools"]["package-data"]["routecal.tasks"]
    assert (files("routecal.tasks.oracle.money") / "prices" / Path(name).name).is_file()


def test_a_missing_price_says_which_lines_to_add_and_they_work(tmp_path: Path) -> None:
    prices = Prices.load()
    prices.check(["gemini-3.8-flash", "models/gemini-4-argon"], at=NOV)
    with pytest.raises(UnknownPrice) as caught:
        prices.check(["gemini-3.8-flash", 'my "own" model', "other"], at=NOV)
    said = str(pickle.loads(pickle.dumps(caught.value)))
    assert "--prices" in said
    assert caught.value.model == 'my "own" model'
    lines = said[said.index("[[price]]") :]
    # as it stands it must not pass for a price
    with pytest.raises(PricesInvalid, match="not TOML"):
        Prices.load(listed(tmp_path, lines))
    path = listed(tmp_path, lines.replace("INPUT", "0").replace("OUTPUT", "0"))
    mine = Prices.load(path)
    mine.check(['my "own" model'], at=NOV)
    assert mine.usd('my "own" model', Usage(5, 0, 5, 5), tier="online", at=NOV) == 0.0
    # free is free, counted or not, and a cached token of no prompt is a contradiction
    assert mine.usd('my "own" model', Usage(), tier="online", at=NOV) == 0.0
    assert mine.usd('my "own" model', Usage(None, 1, 5, 5), tier="online", at=NOV) is None
    with pytest.raises(UnknownPrice, match=r"prices\.toml"):
        mine.check(["other"], at=NOV)


def test_an_expired_price_is_no_price(tmp_path: Path) -> None:
    prices = Prices.load(listed(tmp_path, MINE + "valid_from = 2026-01-01\nvalid_until = 2026-11-21"))
    with pytest.raises(UnknownPrice, match=r"for 2026-11-22 .known is one from 2026-01-01 until 2026-11-21"):
        prices.check(["mine"], at=NOV)
    prices = Prices.load(listed(tmp_path, MINE + "valid_until = 2026-11-21"))
    with pytest.raises(UnknownPrice, match=r"known is one until 2026-11-21"):
        prices.check(["mine"], at=NOV)


def test_a_call_to_a_model_without_a_price_has_no_worst_case() -> None:
    with pytest.raises(UnknownPrice, match="no price of nobody"):
        Prices.load().worst_usd(call("nobody"), tier="online", at=NOV)


def test_a_decision_writes_nothing(tmp_path: Path) -> None:
    prices = Prices.load(listed(tmp_path, MINE.replace("mine", "gemini-decision-1").replace("2.5", "1000")))
    assert prices.worst_usd(decide(""), tier="online", at=NOV) == (OVERHEAD_TOKENS + len("{}")) / 1_000_000


def test_prices_go_by_the_day_of_utc_wherever_the_machine_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")  # where it is January by then
    time.tzset()
    try:
        million = Usage(1_000_000, 0, 0, 0)
        assert Prices.load().usd("gemini-3.8-flash", million, tier="online", at=LAST_OF_2026) == 0.75
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_users_price_comes_first_where_it_holds(tmp_path: Path) -> None:
    path = listed(tmp_path, MINE.replace("mine", "gemini-3.8-flash") + "valid_from = 2026-12-01")
    prices = Prices.load(path)
    million = Usage(1_000_000, 0, 0, 0)
    assert prices.usd("gemini-3.8-flash", million, tier="online", at=NOV) == 0.75
    assert prices.usd("gemini-3.8-flash", million, tier="online", at=DEC) == 1.0
    # no discount unless it is written down
    assert prices.usd("gemini-3.8-flash", million, tier="flex", at=DEC) == 1.0
    assert prices.usd("gemini-4-argon", million, tier="online", at=NOV) == 2.0


def test_an_openai_endpoint_needs_a_price_of_the_users_own(tmp_path: Path) -> None:
    here = "openai:http://127.0.0.1:8000/v1"
    with pytest.raises(UnknownPrice):
        Prices.load().check(["gemini-3.8-flash"], at=NOV, provider=here)
    with pytest.raises(UnknownPrice):
        Prices.load().worst_usd(call(provider=here), tier="online", at=NOV)
    prices = Prices.load(listed(tmp_path, MINE.replace("mine", "gemini-3.8-flash").replace("2.5", "0")))
    prices.check(["gemini-3.8-flash"], at=NOV, provider=here)
    assert prices.worst_usd(call(provider=here), tier="online", at=NOV) == 0.000258


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no"),
        ("price = []", "holds no"),
        ("price = 1", "holds no"),
        ("price = [1, {model = 'a', input_usd = 1, output_usd = 1}]", "holds no"),
        ("[price]\nmodel = 'a'", "holds no"),
        ("[[prices]]\nmodel = 'a'", "'prices'"),
        ("[[price]\n", "not TOML"),
        (MINE + "cached = 1", "'cached' is unknown"),
        ("[[price]]\nmodel = 'a'\ninput_usd = 1", "output_usd is missing"),
        ("[[price]]\ninput_usd = 1\noutput_usd = 1", "model is missing"),
        (MINE.replace("mine", " "), "model = ' ' is not a text"),
        (MINE.replace('"mine"', "7"), "model = 7 is not a text"),
        (MINE.replace("2.5", "-2.5"), "output_usd = -2.5 is not between"),
        (MINE.replace("2.5", "nan"), "not between"),
        (MINE.replace("2.5", "inf"), "not between"),
        (MINE.replace("2.5", "true"), "not a number"),
        (MINE.replace("2.5", "'2.5'"), "not a number"),
        (MINE.replace("2.5", "1e9"), "not between"),
        (MINE.replace("2.5", "0.0000000001"), "more than 9 decimals"),
        (MINE + "batch_factor = 50", "half price is 0.5"),
        (MINE + "context_up_to = 0", "context_up_to = 0"),
        (MINE + "context_up_to = true", "context_up_to"),
        (MINE + "valid_from = '2026-12-01'", "not a day"),
        (MINE + "valid_from = 2026-12-01T00:00:00Z", "not a day"),
        (MINE + "valid_from = 2026-12-02\nvalid_until = 2026-12-01", "is before valid_from"),
        (MINE + MINE, "same days as price 1"),
        (MINE + "valid_until = 2026-12-01" + MINE + "valid_from = 2026-12-01", "price 2 (mine)"),
    ],
)
def test_lists_that_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(PricesInvalid) as caught:
        Prices.load(listed(tmp_path, text))
    said = str(pickle.loads(pickle.dumps(caught.value)))
    assert problem in said
    assert "prices.toml" in said


def test_lists_that_are_no_list(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="nowhere"):
        Prices.load(tmp_path / "nowhere.toml")
    with pytest.raises(PricesInvalid, match="cannot be read"):
        Prices.load(tmp_path)
    (tmp_path / "latin.toml").write_bytes("# für\n".encode("latin-1"))
    with pytest.raises(PricesInvalid, match="not UTF-8"):
        Prices.load(tmp_path / "latin.toml")


def test_periods_that_meet_are_taken(tmp_path: Path) -> None:
    text = MINE + "valid_until = 2026-11-30\n" + MINE.replace("2.5", "3.5") + "valid_from = 2026-12-01\n"
    prices = Prices.load(listed(tmp_path, text + MINE + "context_up_to = 100"))
    assert prices.changes("mine", since=NOV.date(), until=JAN.date()) == [DEC.date()]
    assert prices.usd("mine", Usage(0, 0, 10**6, 0), tier="online", at=DEC) == 2.5
    assert prices.usd("mine", Usage(101, 0, 10**6, 0), tier="online", at=DEC) == pytest.approx(3.500101)


def test_times_need_a_zone_and_tiers_a_name() -> None:
    prices = Prices.load()
    with pytest.raises(ValueError, match="time zone"):
        prices.usd("gemini-3.8-flash", Usage(1, 0, 1, 0), tier="online", at=datetime(2026, 11, 22))
    with pytest.raises(ValueError, match="'bulk' is not a tier"):
        prices.usd("gemini-3.8-flash", Usage(1, 0, 1, 0), tier="bulk", at=NOV)
    with pytest.raises(ValueError, match="'bulk' is not a tier"):
        prices.worst_usd(call(), tier="bulk", at=NOV)


def test_prices_are_exact_decimals() -> None:
    assert all(isinstance(p.input_usd, Decimal) for p in newest_pricelist()[1])
