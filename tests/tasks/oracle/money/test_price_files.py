"""The user's own prices: which lines to add, which files are refused, and when they hold."""

import pickle
from pathlib import Path

import pytest

from routecal.storage.input_errors import InputMissing
from routecal.tasks.oracle.call import Usage
from routecal.tasks.oracle.money.pricelist import PricesInvalid
from routecal.tasks.oracle.money.pricing import Prices, UnknownPrice
from tests.tasks.oracle.money.price_lists import DEC, JAN, MINE, NOV, call, listed


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
