"""Costs by hand, on the day in UTC; what is not known is not zero."""

import time
import tomllib
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import pytest

from routecal.tasks.oracle.call import Usage
from routecal.tasks.oracle.money.pricelist import newest_pricelist
from routecal.tasks.oracle.money.pricing import Prices
from tests.tasks.oracle.money.price_lists import DEC, JAN, NOV, call

LAST_OF_NOV = datetime(2026, 11, 30, 12, tzinfo=UTC)
LAST_OF_2026 = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)


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


def test_prices_go_by_the_day_of_utc_wherever_the_machine_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")  # where it is January by then
    time.tzset()
    try:
        million = Usage(1_000_000, 0, 0, 0)
        assert Prices.load().usd("gemini-3.8-flash", million, tier="online", at=LAST_OF_2026) == 0.75
    finally:
        monkeypatch.undo()
        time.tzset()


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
