"""Paid once: whatever sessions do, in any order, and wherever they die."""

import itertools
from collections import Counter

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.storage.ledger.ledgers import Ledgers, failure, finish, start, stutter

_runs = itertools.count()
NAMES = st.sampled_from("abcde")


class Life:
    """One process: its ledger, and the calls that it has sent and waits for."""

    def __init__(self, ledger):
        self.ledger, self.waits_for = ledger, set()


class PaidOnce(RuleBasedStateMachine):
    """Sessions that ask, answer, fail, die and sleep; the model beside them counts what was sent."""

    url: str

    @initialize()
    def begin(self):
        # One database serves all runs; each has keys and a job of its own.
        self.run = f"run{next(_runs)}-"
        self.ledgers = Ledgers(self.url)
        self.lives = []
        self.accepted = {}
        self.sent, self.may_repeat, self.responses = Counter(), Counter(), itertools.count()
        self.taken_over = 0
        self.observer = self.ledgers.open()

    def teardown(self):
        if hasattr(self, "ledgers"):
            self.ledgers.dispose()

    def start(self, name):
        return start(self.run + name, job=self.run)

    def pick(self, data):
        return data.draw(st.sampled_from(self.lives), label="life")

    def answer(self, life, key):
        body = f"{key} {next(self.responses)}"
        life.ledger.write(ends=[finish(key, body)])
        self.accepted.setdefault(key, body)

    @rule(stutters=st.booleans())
    @precondition(lambda self: len(self.lives) < 4)
    def open(self, stutters):
        life = Life(self.ledgers.open())
        if stutters:
            stutter(life.ledger)
        self.lives.append(life)

    @rule(data=st.data(), names=st.sets(NAMES, min_size=1))
    @precondition(lambda self: self.lives)
    def ask(self, data, names):
        life = self.pick(data)
        claims = life.ledger.write(starts=[self.start(name) for name in names])
        # Whoever writes is awake: `write` says so in the same transaction.
        self.ledgers.dead.discard(life.ledger.session)
        assert set(claims) == {self.run + name for name in names}
        for key, claim in claims.items():
            if claim.state == "ended":
                assert claim.bought.response == self.accepted[key]
                continue
            assert key not in self.accepted
            holders = [o for o in self.lives if key in o.waits_for and o.ledger.session not in self.ledgers.dead]
            if claim.state == "busy":
                assert holders
                assert life not in holders
                continue
            assert not [o for o in holders if o is not life]
            if key not in life.waits_for or claim.taken_over:
                life.waits_for.add(key)
                self.sent[key] += 1
                self.taken_over += claim.taken_over

    @rule(data=st.data(), also=st.sampled_from(["", "again", "die"]))
    @precondition(lambda self: any(life.waits_for for life in self.lives))
    def respond(self, data, also):
        """A response comes; it may be told twice, or the process may die right after the commit."""
        life = data.draw(st.sampled_from([o for o in self.lives if o.waits_for]), label="life")
        key = data.draw(st.sampled_from(sorted(life.waits_for)), label="key")
        self.answer(life, key)
        life.waits_for.discard(key)
        if also == "again":
            life.ledger.write(ends=[finish(key, self.accepted[key])])
        if also == "die":
            self.die(life)

    @rule(data=st.data())
    @precondition(lambda self: any(life.waits_for for life in self.lives))
    def fail(self, data):
        life = data.draw(st.sampled_from([o for o in self.lives if o.waits_for]), label="life")
        key = data.draw(st.sampled_from(sorted(life.waits_for)), label="key")
        life.ledger.write(attempts=[failure(key, job=self.run)], releases=[key])
        life.waits_for.discard(key)
        self.may_repeat[key] += 1

    @rule(data=st.data())
    @precondition(lambda self: self.lives)
    def crash(self, data):
        self.die(self.pick(data))

    @rule(data=st.data())
    @precondition(lambda self: any(life.ledger.session not in self.ledgers.dead for life in self.lives))
    def sleep(self, data):
        """It is silent for so long that others think it dead; it will still answer."""
        awake = [life for life in self.lives if life.ledger.session not in self.ledgers.dead]
        life = data.draw(st.sampled_from(awake), label="life")
        self.ledgers.dead.add(life.ledger.session)
        self.may_repeat.update(life.waits_for)

    @rule(data=st.data())
    @precondition(lambda self: self.lives)
    def close(self, data):
        life = self.pick(data)
        life.ledger.close()
        self.may_repeat.update(life.waits_for)
        self.lives.remove(life)

    def die(self, life):
        if life.ledger.session not in self.ledgers.dead:
            self.may_repeat.update(life.waits_for)
        self.ledgers.crash(life.ledger)
        self.lives.remove(life)

    @invariant()
    def paid_once(self):
        if not hasattr(self, "ledgers"):
            return
        for key, n in self.sent.items():
            assert n <= 1 + self.may_repeat[key]
        keys = [self.run + name for name in "abcde"]
        assert {key: bought.response for key, bought in self.observer.find(keys).items()} == self.accepted
        assert self.observer.lost(self.run) == self.taken_over
        spent = self.observer.spent(self.run)
        assert spent.calls == len(self.accepted)


def test_paid_once_in_any_order(ledger_url):
    machine = type("Machine", (PaidOnce,), {"url": ledger_url})
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=14 if ledger_url.startswith("sqlite") else 6,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=slow,
        ),
    )
