import random
import re
import threading
from importlib.resources import files

import pytest
from sqlalchemy import text

from routecal.storage.errors import UnknownName
from routecal.storage.ledger import Claim, Ledger, PaidResponse, Spent
from tests.storage.ledger.ledgers import failure, finish, start, stutter

KEYS = [f"{i:04d}" for i in range(1_200)]


@pytest.fixture
def ledger(ledgers):
    return ledgers.open()


def test_a_call_is_claimed_then_ended_then_found(ledger):
    assert ledger.write(starts=[start("a"), start("b")]) == {"a": Claim("ours"), "b": Claim("ours")}
    assert (ledger.find(["a", "b"]), len(ledger)) == ({}, 0)
    assert ledger.write(ends=[finish("a", "{}", usd=0.125)]) == {}
    assert ledger.find(["a", "b", "c"]) == {"a": PaidResponse("{}", 0.125, ledger.session)}
    assert ledger.write(starts=[start("a"), start("b")]) == {
        "a": Claim("ended", PaidResponse("{}", 0.125, ledger.session)),
        "b": Claim("ours"),
    }
    assert (len(ledger), ledger.ended(["a", "b"]), ledger.n_ended(["a", "b"])) == (1, {"a"}, 1)
    assert bool(ledger)


def test_another_session_waits_for_one_that_lives_and_takes_over_from_one_that_died(ledgers):
    one, two, three = ledgers.open(), ledgers.open(), ledgers.open()
    one.write(starts=[start("a", job="first", reserved_usd=0.7), start("b")])
    one.write(ends=[finish("b", "{}")])
    assert two.write(starts=[start("a")]) == {"a": Claim("busy")}
    assert (two.abandoned(), two.lost("first")) == (0, 0)
    ledgers.crash(one)
    assert (two.abandoned(), two.abandoned("first"), two.abandoned("j")) == (1, 1, 0)
    assert two.spent("first") == Spent(0.0, 0.7, 0, 0)
    assert two.write(starts=[start("a"), start("b")]) == {
        "a": Claim("ours", taken_over=True),
        "b": Claim("ended", PaidResponse("{}", 0.25, one.session)),
    }
    assert three.write(starts=[start("a")]) == {"a": Claim("busy")}
    # The run that sent it in vain bears the loss, at the most it can have cost.
    assert (two.abandoned(), two.lost("first"), two.lost("j")) == (0, 1, 0)
    assert two.spent("first") == Spent(0.0, 0.7, 0, 1)


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


def test_released_calls_are_free_and_only_ours_are_released(ledgers):
    one, two = ledgers.open(), ledgers.open()
    one.write(starts=[start("a"), start("b")], ends=[finish("c")])
    two.write(releases=["a", "b", "c"])
    assert two.write(starts=[start("a")]) == {"a": Claim("busy")}
    one.write(attempts=[failure("a", usd=0.5)], releases=["a"])
    assert two.write(starts=[start("a"), start("c")]) == {"a": Claim("ours"), "c": Claim("ended", two.find(["c"])["c"])}
    assert two.spent("j").maybe_usd == 0.5


def test_close_gives_back_what_was_in_flight(ledgers):
    one, two = ledgers.open(), ledgers.open()
    with one:
        one.write(starts=[start("a"), start("b")], ends=[finish("b")])
    assert two.write(starts=[start("a"), start("b")])["a"] == Claim("ours")
    assert two.lost("j") == 0
    one.close()
    with pytest.raises(RuntimeError, match="is closed"):
        one.find(["a"])


def test_a_session_that_is_not_listed_is_dead(ledgers):
    one, two = ledgers.open(), ledgers.open()
    one.write(starts=[start("a")])
    one._transactions.run(lambda con: con.execute(text("DELETE FROM sessions WHERE id = :id"), {"id": one.session}))
    assert two.write(starts=[start("a")]) == {"a": Claim("ours", taken_over=True)}


def test_any_number_of_keys(ledger):
    some = random.Random(0).sample(KEYS, 700)
    ledger.write(starts=[start(k) for k in KEYS])
    ledger.write(ends=[finish(k) for k in some])
    assert set(ledger.find(KEYS)) == ledger.ended(KEYS) == set(some)
    assert (len(ledger), ledger.n_ended(KEYS), ledger.spent("j").calls) == (700, 700, 700)
    claims = ledger.write(starts=[start(k) for k in KEYS])
    assert {k for k, c in claims.items() if c.state == "ended"} == set(some)
    assert (ledger.find([]), ledger.write(), ledger.ended([])) == ({}, {}, set())


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


def test_a_beat_keeps_a_session_alive(ledgers):
    ledger = ledgers.open()

    def seen(con):
        return con.scalar(text("SELECT seen_at FROM sessions WHERE id = :id"), {"id": ledger.session})

    opened = ledger._transactions.run(seen)
    ledger.beat()
    beaten = ledger._transactions.run(seen)
    assert beaten > opened


def test_threads_share_one_ledger(ledger):
    ours, errors = [], []

    def ask(seed):
        try:
            for part in range(20):
                keys = random.Random(f"{seed}/{part}").sample(KEYS[:200], 10)
                claims = ledger.write(starts=[start(k) for k in keys], attempts=[failure(k) for k in keys])
                ours.extend(k for k, claim in claims.items() if claim.state == "ours")
                ledger.write(ends=[finish(k) for k in keys])
                assert ledger.ended(keys) == set(keys)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert ledger.ended(KEYS) == set(ours)
    assert ledger.spent("j").attempts == 4 * 20 * 10  # the responses were equal: none is a duplicate


def test_of_two_that_take_over_at_once_one_gets_it(ledgers):
    dead, takers, won = ledgers.open(), [ledgers.open(), ledgers.open()], []
    keys, meet = KEYS[:60], threading.Barrier(2)
    dead.write(starts=[start(k) for k in keys])
    ledgers.crash(dead)

    def take(ledger):
        for key in keys:
            meet.wait(10)
            claim = ledger.write(starts=[start(key)])[key]
            assert claim.taken_over == (claim.state == "ours")
            won.extend([key] * claim.taken_over)

    threads = [threading.Thread(target=take, args=(ledger,)) for ledger in takers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == keys
    assert takers[0].lost("j") == len(keys)


def test_a_transaction_done_twice_is_done_once(ledgers):
    one, two = ledgers.open(), ledgers.open()
    one.write(starts=[start("a"), start("b")])
    ledgers.crash(one)
    stutter(two)
    assert two.write(starts=[start("a"), start("c")]) == {"a": Claim("ours", taken_over=True), "c": Claim("ours")}
    two.write(ends=[finish("a", "first")], attempts=[failure("c")], releases=["c"])
    two.write(ends=[finish("a", "second")])
    assert two.spent("j") == Spent(0.25, 0.5 + 0.5 + 0.25, 1, 3)  # b abandoned, a lost, its duplicate; c cost nothing
    assert two.lost("j") == 1
    two.close()
    assert ledgers.open().write(starts=[start("c")]) == {"c": Claim("ours")}


def test_the_ledger_is_in_the_home_by_default(tmp_path, monkeypatch):
    monkeypatch.delenv("ROUTECAL_LEDGER_URL", raising=False)
    with Ledger.open() as ledger:
        assert ledger.name == str(tmp_path / "artifacts" / "ledger.sqlite")
        ledger.write(starts=[start("a")], ends=[finish("a")])
    with Ledger.open() as ledger:
        assert len(ledger) == 1
