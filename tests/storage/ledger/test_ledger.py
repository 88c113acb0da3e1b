"""Whose a call is: claimed, taken over, given back, by sessions, threads and processes."""

import random
import threading

import pytest
from sqlalchemy import text

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
