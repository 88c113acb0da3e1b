"""The cap on money is never passed, and no cap keeps from what is paid for."""

import pytest

from routecal.tasks.oracle.money.budget import BudgetReached
from routecal.tasks.oracle.money.pricing import UnknownPrice
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import serving
from tests.tasks.oracle.labelling import (
    JUDGE,
    LARGE,
    MEDIUM,
    Bill,
    asked,
    by_number,
    oracle_of,
    paid_once,
    recorded,
    run,
    served,
)

# ---- money


@pytest.mark.parametrize("concurrency", [1, 64])
def test_the_cap_is_never_passed_by_what_the_provider_charges(concurrency: int) -> None:
    # Nearly all of what an answer may cost is thought, so that the cap binds.
    thinking = Script(thoughts=3900, latency_s=0.01, latency_sd_s=0.01, seed=5)
    bill, cap, queries = Bill(by_number(), thoughts=3900), 1.0, asked(64)
    scripts_ = {MEDIUM: thinking, LARGE: thinking, JUDGE: thinking}
    with serving(scripts_, respond=bill) as server:
        found = run(server, queries, max_usd=cap, concurrency=concurrency)
        assert isinstance(found.error, BudgetReached)
        assert "--max-usd" in str(found.error)
        assert 0.8 * cap < bill.usd <= cap
        paid_once(server, bill.calls)

        # The cap is the job's: another attempt has only what is left.
        spent = bill.usd
        again = run(server, queries, max_usd=cap, run="2", concurrency=concurrency)
        assert isinstance(again.error, BudgetReached)
        assert spent <= bill.usd <= cap
        assert again.error.spent == pytest.approx(bill.usd, rel=1e-6)

        assert len(run(server, queries, max_usd=20.0, run="3").rows) == 64
        paid_once(server, bill.calls)


def test_what_may_have_been_billed_counts_against_the_cap() -> None:
    # Every answer is cut in the middle: paid, perhaps, and worth nothing.
    cut, bill = Script(then="cut", thoughts=4000), Bill(by_number(), thoughts=4000)
    with serving({MEDIUM: cut, LARGE: cut}, respond=bill) as server:
        found = run(server, asked(64), max_usd=0.5)
        assert isinstance(found.error, BudgetReached)
        assert bill.usd <= 0.5
        again = run(server, asked(64), max_usd=0.5, run="2")
        assert isinstance(again.error, BudgetReached)
        assert bill.usd <= 0.5
    assert recorded() == []
    # At the dearest price of the next 24 hours: on the eve of another price that is not what is billed.
    assert max(0.3, bill.usd) <= sum(row["usd"] for row in recorded("attempts")) <= 0.5


def test_a_cap_of_zero_asks_nothing() -> None:
    with serving(respond=by_number()) as server:
        assert isinstance(run(server, asked(5), max_usd=0.0).error, BudgetReached)
        assert server.requests() == 0


def test_a_cap_of_zero_is_no_obstacle_to_what_is_paid_for() -> None:
    with serving(respond=by_number()) as server:
        first = run(server, asked(5))
        assert run(server, asked(5), max_usd=0.0, run="2").rows == first.rows


def test_a_model_without_a_price_is_not_asked() -> None:
    with serving(respond=by_number()) as server:
        found = run(server, asked(5), oracle=oracle_of(medium="gemini-9-xenon"))
        assert isinstance(found.error, UnknownPrice)
        assert "gemini-9-xenon" not in served(server)
