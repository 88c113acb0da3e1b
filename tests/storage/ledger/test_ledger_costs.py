"""What came back and what it cost: one response a call, every attempt, open batches, sums by job and day."""

import re
from importlib.resources import files

import pytest

from routecal.storage.errors import UnknownName
from routecal.storage.ledger import PaidResponse, Spent
from tests.storage.ledger.ledgers import failure, finish, start


@pytest.fixture
def ledger(ledgers):
    return ledgers.open()


def test_the_first_response_stays_and_a_second_one_is_noted_with_its_cost(ledgers):
    one, two = ledgers.open(), ledgers.open()
    one.write(starts=[start("a")])
    ledgers.dead.add(one.session)  # silent for long, as a machine that slept, but not gone
    assert two.write(starts=[start("a")])["a"].taken_over
    one.write(ends=[finish("a", "one", usd=0.1)])
    two.write(ends=[finish("a", "two", usd=0.2)])
    two.write(ends=[finish("a", "one", usd=0.1)])  # told again, not paid again
    assert two.find(["a"]) == {"a": PaidResponse("one", 0.1, two.session)}
    # lost at the most it can have cost, and the duplicate at what it did cost
    assert two.spent("j") == Spent(0.1, pytest.approx(0.5 + 0.2), 1, 2)


def test_two_responses_in_one_transaction(ledger):
    ledger.write(starts=[start("a")], ends=[finish("a", "one"), finish("a", "two"), finish("b", "three")])
    assert {k: v.response for k, v in ledger.find(["a", "b"]).items()} == {"a": "one", "b": "three"}
    assert ledger.spent("j").attempts == 1


def test_a_batch_ends_calls_that_never_began_one_by_one(ledger):
    ledger.write(starts=[start("a", tier="batch")], ends=[finish("a"), finish("unsaid")])
    assert set(ledger.find(["a", "unsaid"])) == {"a", "unsaid"}
    assert ledger.spent("j") == Spent(0.25, 0.0, 1, 0)


def test_spent_adds_up(ledger):
    ledger.write(starts=[start(k) for k in "abcde"] + [start("x", job="other", reserved_usd=9.0)])
    ledger.write(
        ends=[finish("a", usd=0.1), finish("b", usd=0.0), finish("c", usd=None), finish("x", usd=7.0)],
        attempts=[failure("d", usd=0.5), failure("d", usd=0.25), failure("x", job="other", usd=3.0)],
    )
    # c: 0.5 reserved; d: 0.5 + 0.25 perhaps billed; d and e are in flight and ours
    assert ledger.spent("j") == Spent(0.1, 1.25, 3, 2)
    assert ledger.spent("other") == Spent(7.0, 3.0, 1, 1)
    assert ledger.spent("none") == Spent(0.0, 0.0, 0, 0)


def test_spend_by_day_model_and_stage(ledger):
    assert ledger.spend() == []
    ledger.write(starts=[start("a"), start("b"), start("c", stage="judge", model="pro"), start("open")])
    unknown = {"tokens_prompt": None, "tokens_cached": None, "tokens_output": None}
    ledger.write(
        ends=[
            finish("a", usd=0.25, tokens_thinking=7),
            finish("b", usd=0.5, tokens_prompt=11),
            finish("c", usd=None, **unknown),
        ],
        attempts=[failure("open", usd=0.125)],
    )
    flash, pro = ledger.spend()
    text_ = (files("routecal.storage") / "sql" / "ledger" / "spend.sql").read_text(encoding="utf-8")
    assert ", ".join(flash) == re.search("^-- columns: (.*)$", text_, re.MULTILINE)[1]
    day = flash.pop("day")
    assert (len(day), day[4], day[7]) == (10, "-", "-")
    assert flash == {
        "model": "flash", "stage": "medium", "calls": 2, "attempts": 1, "tokens_prompt": 111, "tokens_cached": 0,
        "tokens_output": 40, "tokens_thinking": 7, "usd": 0.75, "maybe_usd": 0.125, "n_unknown": 0,
    }  # fmt: skip
    assert pro == {
        "day": day, "model": "pro", "stage": "judge", "calls": 1, "attempts": 0, "tokens_prompt": None,
        "tokens_cached": None, "tokens_output": None, "tokens_thinking": None, "usd": None, "maybe_usd": 0.5,
        "n_unknown": 1,
    }  # fmt: skip
    assert {type(v) for v in flash.values()} <= {str, int, float}


@pytest.mark.parametrize("body", ["\0", "\ud800", "a\x00b\udfff🜁é\n\t\r\x7f"])
def test_no_text_is_refused(ledger, body):
    ledger.write(starts=[start("a")], ends=[finish("a", f'{{"text": "{body}"}}')])
    ledger.write(attempts=[failure("b", message=body, response=body)], ends=[finish("a", f'{{"text": "{body}"}}')])
    stored = ledger.find(["a"])["a"].response
    # The escape of JSON means the same text.
    assert stored == f'{{"text": "{body}"}}'.replace("\0", "\\u0000").replace("\ud800", "\\ud800").replace(
        "\udfff", "\\udfff"
    )
    assert ledger.spent("j").attempts == 1


def test_batches_are_intended_created_ended(ledgers):
    ledger = ledgers.open()
    facts = {"provider": "gemini", "model": "flash", "job": "j", "keys_sha256": "ab", "n": 3, "reserved_usd": 1.5}
    assert ledger.open_batches("j") == []
    ledger.intend_batch("one", **facts)
    ledger.intend_batch("one", **(facts | {"n": 99}))
    ledger.intend_batch("two", **(facts | {"job": "other"}))
    (one,) = ledger.open_batches("j")
    assert (one.name, one.state, one.job_name, one.n, one.reserved_usd, one.session) == (
        "one", "intended", None, 3, 1.5, ledger.session,
    )  # fmt: skip
    ledgers.crash(ledger)
    second = ledgers.open()
    second.batch_created("one", "batches/123")
    assert [(b.state, b.job_name, b.ended_at) for b in second.open_batches("j")] == [("created", "batches/123", None)]
    second.end_batch("one", "JOB_STATE_SUCCEEDED")
    second.end_batch("one", "again")
    second.batch_created("one", "batches/124")
    assert second.open_batches("j") == []
    with pytest.raises(UnknownName, match="one, two"):
        second.end_batch("three", "x")
    with pytest.raises(UnknownName, match="not a known batch"):
        second.batch_created("three", "x")
