"""Which price holds, which two contradict each other, and what a list may say: both sides of every limit."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from routecal.tasks.oracle.call import Call, Usage
from routecal.tasks.oracle.money import pricelist
from routecal.tasks.oracle.money.pricelist import UNIT, Price, PricesInvalid, Rate, parse_pricelist
from routecal.tasks.oracle.money.pricing import Prices, UnknownPrice

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
ALWAYS = Price("m", Decimal(1), Decimal(2), Decimal("0.5"))
NOVEMBER = replace(ALWAYS, valid_from=date(2026, 11, 1), valid_until=date(2026, 11, 30))
SHORT = replace(ALWAYS, context_up_to=100)


def parsed(text: str) -> tuple[Price, ...]:
    return parse_pricelist(text.encode(), "f.toml", source_required=False)


def entry(**changes: object) -> Price:
    """The one price of a list; `changes` are lines besides."""
    lines = {"model": '"m"', "input_usd": 1, "output_usd": 2} | changes
    (price,) = parsed("\n".join(["[[price]]", *(f"{key} = {value}" for key, value in lines.items())]))
    return price


@pytest.mark.parametrize(
    ("price", "day", "tokens", "holds"),
    [
        (ALWAYS, date.min, 10**9, True),
        (NOVEMBER, date(2026, 10, 31), 0, False),
        (NOVEMBER, date(2026, 11, 1), 0, True),
        (NOVEMBER, date(2026, 11, 30), 0, True),
        (NOVEMBER, date(2026, 12, 1), 0, False),
        (SHORT, date(2026, 11, 1), 100, True),
        (SHORT, date(2026, 11, 1), 101, False),
    ],
)
def test_a_price_holds_from_its_first_day_to_its_last_and_up_to_its_longest_prompt(
    price: Price, day: date, tokens: int, holds: bool
) -> None:
    assert price.holds(day, tokens) is holds


@pytest.mark.parametrize(
    ("other", "clashes"),
    [
        (ALWAYS, True),
        (replace(ALWAYS, model="n"), False),
        (SHORT, False),
        (replace(ALWAYS, valid_from=date(2026, 11, 30)), True),
        (replace(ALWAYS, valid_from=date(2026, 12, 1)), False),
        (replace(ALWAYS, valid_until=date(2026, 11, 1)), True),
        (replace(ALWAYS, valid_until=date(2026, 10, 31)), False),
    ],
)
def test_two_prices_clash_where_a_day_is_in_both(other: Price, clashes: bool) -> None:
    assert NOVEMBER.clashes(other) is other.clashes(NOVEMBER) is clashes


def test_a_rate_is_the_price_times_the_factor_of_the_tier_to_the_last_of_eighteen_decimals() -> None:
    price = Price("m", Decimal("3.000000001"), Decimal(7), Decimal("0.1"), Decimal("0.333333333"), Decimal("0.5"))
    assert Rate.of(price, "online") == (3_000_000_001 * 10**9, 10**17, 7 * 10**18)
    assert Rate.of(price, "flex") == (3_000_000_001 * 333_333_333, 10**8 * 333_333_333, 7 * 10**9 * 333_333_333)
    assert Rate.of(price, "batch").output == 35 * 10**17
    # prices are per million tokens
    assert UNIT == 10**24
    assert Rate.of(ALWAYS, "online").usd(input_tokens=1_000_000) == 1.0
    assert Rate.of(ALWAYS, "online").usd(output_tokens=500_000) == 1.0
    assert Rate.of(ALWAYS, "online").usd(input_tokens=0.5, output_tokens=0.25) == 1e-6


def test_no_discount_is_taken_for_granted() -> None:
    price = entry()
    assert (price.cached_usd, price.flex_factor, price.batch_factor) == (1, 1, 1)
    assert (price.valid_from, price.valid_until, price.context_up_to, price.source) == (None, None, None, "")
    assert Price("m", Decimal(1), Decimal(2), Decimal(1)).flex_factor == 1
    assert Price("m", Decimal(1), Decimal(2), Decimal(1)).batch_factor == 1


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("input_usd", ("0", "1000000", "0.000000001"), ("-0.000000001", "1000000.000000001", "0.0000000001")),
        ("cached_usd", ("0", "1000000"), ("-1",)),
        ("flex_factor", ("0", "10"), ("10.1", "-1")),
        ("batch_factor", ("0", "10"), ("11",)),
        ("context_up_to", ("1",), ("0", "-5", "1.5")),
        ("valid_from", ("2026-11-01",), ("2026-11-01T00:00:00",)),
    ],
)
def test_values_are_taken_up_to_their_limits(name: str, allowed: tuple[str, ...], refused: tuple[str, ...]) -> None:
    for value in allowed:
        found = getattr(entry(**{name: value}), name)
        assert found == (date.fromisoformat(value) if name == "valid_from" else Decimal(value))
    for value in refused:
        with pytest.raises(PricesInvalid, match=name):
            entry(**{name: value})


def test_a_period_of_one_day_is_one() -> None:
    price = entry(valid_from="2026-11-01", valid_until="2026-11-01")
    assert price.holds(date(2026, 11, 1), 0)


def test_a_source_is_asked_for_only_where_it_is_required() -> None:
    content = b"[[price]]\nmodel = 'm'\ninput_usd = 1\noutput_usd = 1"
    assert len(parse_pricelist(content, "f.toml", source_required=False)) == 1
    with pytest.raises(PricesInvalid) as caught:
        parse_pricelist(content, "f.toml", source_required=True)
    assert str(caught.value) == "price 1 (m) of f.toml: source is missing"


def test_a_clash_is_told_by_the_numbers_of_both_prices() -> None:
    text = "[[price]]\nmodel = '{}'\ninput_usd = 1\noutput_usd = 1\n"
    with pytest.raises(PricesInvalid) as caught:
        parsed("".join(text.format(model) for model in ("a", "b", "b")))
    assert str(caught.value).startswith("price 3 (b) of f.toml: holds on the same days as price 2;")
    with pytest.raises(PricesInvalid, match=r"^price 1 \(no model\) of f.toml"):
        parsed("[[price]]\ninput_usd = 1\noutput_usd = 1")


def test_the_newest_list_is_that_of_the_last_day_and_must_say_where_its_prices_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pricelist, "files", lambda package: tmp_path)
    (tmp_path / "prices").mkdir()
    text = "[[price]]\nmodel = '{}'\ninput_usd = 1\noutput_usd = 1\n"
    for day, model in (("2026-02-01", "new"), ("2026-01-01", "old")):
        (tmp_path / "prices" / f"{day}.toml").write_text(text.format(model) + "source = 's'\n", encoding="utf-8")
    name, (price,) = pricelist.newest_pricelist()
    assert (name, price.model) == ("tasks/oracle/money/prices/2026-02-01.toml", "new")
    (tmp_path / "prices" / "2026-03-01.toml").write_text(text.format("newer"), encoding="utf-8")
    with pytest.raises(PricesInvalid, match=r"^price 1 .* of tasks/oracle/money/prices/2026-03-01.toml: source is"):
        pricelist.newest_pricelist()


def call(**config: object) -> Call:
    return Call("gemini", "m", "", "", {"max_output_tokens": 1} | config, "v")


def test_flex_is_answered_within_a_day_and_batch_within_two() -> None:
    december = replace(ALWAYS, output_usd=Decimal(20), valid_from=date(2026, 12, 1))
    prices = Prices((replace(ALWAYS, valid_until=date(2026, 11, 30)), december))
    midnight = datetime(2026, 12, 1, tzinfo=UTC)
    for tier, hours in (("online", 24), ("flex", 24), ("batch", 48)):
        within = midnight - timedelta(hours=hours)
        assert prices.worst_usd(call(), tier=tier, at=within) == 278e-6  # 258 × 1 + 1 × 20
        assert prices.worst_usd(call(), tier=tier, at=within - timedelta(seconds=1)) == 260e-6


def test_the_longest_answer_may_be_one_token() -> None:
    assert Prices((ALWAYS,)).worst_usd(call(max_output_tokens=1), tier="online", at=NOON) == 260e-6


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        (Usage(0, 0, 0, 0), 0.0),
        (Usage(100, 100, 0, 0), 50e-6),
        (Usage(100, 101, 0, 0), None),
        (Usage(None, 1, 0, 0), None),
        (Usage(1, -1, 0, 0), None),
        (Usage(1, 0, 0, -1), None),
        (Usage(1, 0, None, 5), None),
        (Usage(None, None, 5, None), None),
    ],
)
def test_counts_that_contradict_or_lack_have_no_cost(usage: Usage, usd: float | None) -> None:
    assert Prices((ALWAYS,)).usd("m", usage, tier="online", at=NOON) == usd


def test_a_prompt_that_was_not_counted_does_no_harm_where_it_costs_nothing_at_any_length() -> None:
    free = Price("m", Decimal(0), Decimal(2), Decimal(0))
    unknown = Usage(None, None, 500_000, None)
    assert Prices((free,)).usd("m", unknown, tier="online", at=NOON) == 1.0
    # up to 100 tokens free, but for more there may be another price
    assert Prices((replace(free, context_up_to=100), ALWAYS)).usd("m", unknown, tier="online", at=NOON) is None


def test_the_price_for_shorter_prompts_comes_first_wherever_it_stands() -> None:
    short, shorter = replace(SHORT, input_usd=Decimal(5)), replace(SHORT, context_up_to=10, input_usd=Decimal(9))
    for prices in ((ALWAYS, short, shorter), (shorter, short, ALWAYS), (short, ALWAYS, shorter)):
        costs = [Prices(prices).usd("m", Usage(n, 0, 0, 0), tier="online", at=NOON) for n in (10, 11, 100, 101)]
        assert costs == [90e-6, 55e-6, 500e-6, 101e-6]


def test_the_dearest_rate_is_that_of_any_length_up_to_the_prompt_and_any_day_up_to_the_last() -> None:
    short = replace(SHORT, input_usd=Decimal(5))
    prices = Prices((ALWAYS, short))

    def dearest(tokens: int) -> float:
        rate = prices.dearest("m", tier="online", since=NOON, until=NOON, prompt_tokens=tokens)
        return rate.usd(input_tokens=1_000_000)

    assert (dearest(100), dearest(101), dearest(10**6)) == (5.0, 5.0, 5.0)
    longer = Prices((replace(ALWAYS, input_usd=Decimal(7)), short))
    rates = [longer.dearest("m", tier="online", since=NOON, until=NOON, prompt_tokens=n) for n in (100, 101)]
    assert [rate.usd(input_tokens=1_000_000) for rate in rates] == [5.0, 7.0]


def test_changes_come_after_the_first_day_and_up_to_the_last() -> None:
    prices = Prices((NOVEMBER, replace(ALWAYS, valid_from=date(2026, 12, 1), valid_until=date.max)))
    november, december = date(2026, 11, 1), date(2026, 12, 1)
    assert prices.changes("m", since=date(2026, 10, 31), until=december) == [november, december]
    assert prices.changes("m", since=november, until=december) == [december]
    assert prices.changes("m", since=november, until=date(2026, 11, 30)) == []
    # a price that ends and is followed by none changes on the day after
    assert Prices((NOVEMBER,)).changes("m", since=november, until=date.max) == [december]
    assert prices.changes("another", since=date.min, until=date.max) == []


def test_what_is_known_of_a_price_is_said() -> None:
    prices = Prices((replace(NOVEMBER, context_up_to=2000), replace(ALWAYS, valid_from=date(2027, 1, 1))))
    with pytest.raises(UnknownPrice) as caught:
        prices.check(["m"], at=datetime(2026, 12, 5, tzinfo=UTC))
    assert caught.value.known == (
        "from 2026-11-01 until 2026-11-30 for prompts of up to 2,000 tokens, one from 2027-01-01"
    )
    assert (caught.value.model, caught.value.day) == ("m", date(2026, 12, 5))
    assert caught.value.file == "a file given with --prices"
