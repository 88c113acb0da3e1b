"""A server that goes away, or does not let us in."""

import threading
import traceback
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from routecal.storage.ledger import Claim, Ledger
from routecal.storage.ledger.ledger_errors import LedgerError, LedgerFull, LedgerNotWritable, LedgerUnreachable
from routecal.storage.ledger.tables import CALLS
from tests.storage.ledger.ledgers import failure, finish, start
from tests.storage.ledger.postgres import PASSWORD


@pytest.fixture
def database(postgres):
    return postgres.new_database()


def label_during(ledger, disturb, times):
    """Label while `disturb` runs in another thread, over and over; the keys of what the ledger acknowledged."""
    keys = []
    for _ in range(times):
        disturbance = threading.Thread(target=disturb)
        disturbance.start()
        while disturbance.is_alive():
            key = f"{len(keys):05d}"
            assert ledger.write(starts=[start(key)]) == {key: Claim("ours")}
            ledger.write(attempts=[failure(key, usd=0.0625)])
            ledger.write(ends=[finish(key)])
            keys.append(key)
        disturbance.join()
    return keys


def check(ledger, keys):
    assert ledger.ended(keys) == set(keys)
    spent = ledger.spent("j")
    # Exactly once each: nothing lost, nothing twice, and no response taken for a second one.
    assert (spent.calls, spent.attempts, spent.usd, spent.maybe_usd) == (
        len(keys), len(keys), 0.25 * len(keys), 0.0625 * len(keys),
    )  # fmt: skip
    assert ledger.lost("j") == 0


def test_a_server_restarted_in_mid_run_loses_nothing(postgres, database):
    said = []
    with Ledger.open(postgres.url(database), on_wait=said.append) as ledger:
        check(ledger, label_during(ledger, lambda: postgres.control("restart", "-m", "immediate"), 3))
    assert said
    assert PASSWORD not in "".join(said)


def test_connections_that_the_server_ends(postgres, database):
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'routecal'"
    said = []
    with Ledger.open(postgres.url(database), on_wait=said.append) as ledger:
        check(ledger, label_during(ledger, lambda: postgres.execute(kill), 20))


def test_a_server_that_is_down_is_waited_for(postgres, database):
    said = []

    def bring_back(sentence):
        said.append(sentence)
        postgres.control("start")

    with Ledger.open(postgres.url(database), on_wait=bring_back) as ledger:
        ledger.write(starts=[start("a")])
        postgres.control("stop", "-m", "fast")
        ledger.write(ends=[finish("a")])
        assert set(ledger.find(["a"])) == {"a"}
    assert len(said) == 1
    assert "does not answer" in said[0]
    assert "waiting up to 120 s" in said[0]


def test_a_server_that_stays_down(postgres, database):
    ledger = Ledger.open(postgres.url(database), outage_s=0.5)
    postgres.control("stop", "-m", "fast")
    try:
        with pytest.raises(LedgerUnreachable, match=r"cannot be reached \(.*; check that the server runs"):
            ledger.write(starts=[start("a")])
        with pytest.raises(LedgerUnreachable):
            Ledger.open(postgres.url(database), wait_s=0.3)
        with pytest.raises(LedgerUnreachable):
            ledger.close()
    finally:
        postgres.control("start")


@pytest.mark.parametrize("wrong", ["password", "database", "user", "host"])
def test_what_will_not_get_better_is_not_waited_for(postgres, wrong):
    said = []
    url = {
        "password": postgres.url(password="wr0ng-secret"),
        "database": postgres.url("nowhere", "wr0ng-secret").replace("wr0ng-secret", PASSWORD),
        "user": postgres.url(password="wr0ng-secret").replace("routecal:", "nobody:"),
        "host": "postgresql://ann:wr0ng-secret@localhost:1@x/db",
    }[wrong]
    with pytest.raises(LedgerError) as caught:
        Ledger.open(url, wait_s=60, on_wait=said.append)
    assert said == []
    shown = "".join(traceback.format_exception(caught.value))
    assert "wr0ng-secret" not in shown
    assert PASSWORD not in shown


def test_a_role_that_may_not_write(postgres, database):
    Ledger.open(postgres.url(database)).close()
    postgres.execute("CREATE ROLE reader LOGIN PASSWORD 'reads'", database)
    postgres.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", database)
    url = postgres.url(database, "reads").replace("routecal:", "reader:")
    with pytest.raises(LedgerNotWritable, match="permission denied for table sessions"):
        Ledger.open(url)


def test_a_server_whose_disk_is_full(postgres, database):
    """The server says so with a code; a trigger says it here, because its disk is ours too."""
    raising = "BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END"
    with Ledger.open(postgres.url(database)) as ledger:
        postgres.execute(f"CREATE FUNCTION full_() RETURNS trigger LANGUAGE plpgsql AS $${raising}$$", database)
        postgres.execute("CREATE TRIGGER f BEFORE INSERT ON calls EXECUTE FUNCTION full_()", database)
        with pytest.raises(LedgerFull):
            ledger.write(starts=[start("a")])
        assert ledger.full


def test_of_two_transactions_that_wait_for_each_other_one_is_done_again(postgres, database):
    first, meet, tries = Ledger.open(postgres.url(database)), threading.Barrier(2), []
    first.write(starts=[start("a", job="0"), start("b", job="0")])

    def cross(order):
        def work(connection):
            tries.append(order)
            for at, key in enumerate(order):
                if at == 1 and tries.count(order) == 1:
                    meet.wait(10)
                connection.execute(update(CALLS).where(CALLS.c.key == key).values(job=CALLS.c.job + order))

        first._transactions.run(work)

    threads = [threading.Thread(target=cross, args=(order,)) for order in ("ab", "ba")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tries) == 3
    jobs = first._transactions.run(lambda con: set(con.scalars(select(CALLS.c.job))), writes=False)
    assert jobs < {"0abba", "0baab"}
    first.close()


def test_a_machine_whose_clock_is_wrong_takes_nobody_for_dead(postgres, database, monkeypatch):
    class Fast(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(minutes=10)

    with Ledger.open(postgres.url(database)) as one:
        one.write(starts=[start("a")])
        monkeypatch.setattr("routecal.storage.ledger.ledger_session.datetime", Fast)
        monkeypatch.setattr("routecal.storage.ledger.schema.datetime", Fast)
        with Ledger.open(postgres.url(database)) as two:
            assert two.write(starts=[start("a")]) == {"a": Claim("busy")}
            assert abs(two._offset + timedelta(minutes=10)) < timedelta(minutes=1)
