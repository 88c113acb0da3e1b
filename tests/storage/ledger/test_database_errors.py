"""What is wrong with the place of the ledger is waited for, or said in one sentence."""

import errno
import os
import sqlite3
import subprocess
import sys

import pytest
from sqlalchemy import text

from routecal.storage.ledger import Ledger
from routecal.storage.ledger.ballast import SIZE_BYTES
from routecal.storage.ledger.ledger_errors import (
    LedgerDamaged,
    LedgerFull,
    LedgerLocked,
    LedgerNeedsPackage,
    LedgerNewer,
    LedgerNotWritable,
)
from tests.storage.ledger.ledgers import finish, start
from tests.storage.ledger.small_disk import small_disk

__all__ = ["small_disk"]

HOLD = """
import sqlite3, sys
con = sqlite3.connect(sys.argv[1], isolation_level=None)
con.execute("PRAGMA journal_mode=WAL")
con.execute("BEGIN " + sys.argv[2])
con.execute("CREATE TABLE IF NOT EXISTS held (x)")
print("held", flush=True)
sys.stdin.readline()
con.execute("ROLLBACK")
"""


@pytest.fixture
def place(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def hold(place):
    """Start a process that locks the ledger until its standard input ends."""
    running = []

    def begin(mode="IMMEDIATE"):
        arguments = [sys.executable, "-c", HOLD, str(place), mode]
        running.append(subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert running[-1].stdout.readline() == "held\n"
        return running[-1]

    yield begin
    for process in running:
        process.communicate("")


@pytest.mark.parametrize("mode", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_ledger_locked_by_another_process_is_waited_for_and_then_refused(place, hold, mode):
    hold(mode)
    said = []
    with pytest.raises(LedgerLocked, match=r"locked by another process for 0\.3 s") as caught:
        Ledger.open(f"sqlite:///{place}", wait_s=0.3, on_wait=said.append)
    assert (caught.value.wait_s, caught.value.url) == (0.3, str(place))
    assert said == [f"the ledger {place} is locked by another process; waiting up to 0.3 s"]


def test_a_lock_in_mid_run(place, hold):
    said = []

    def let_go(sentence):
        said.append(sentence)
        holder.communicate("")

    with Ledger.open(f"sqlite:///{place}", wait_s=30, on_wait=let_go) as ledger:
        ledger.write(starts=[start("a")])
        holder = hold()
        # Reading needs no lock.
        assert ledger.find(["a"]) == {}
        assert said == []
        ledger.write(ends=[finish("a")])
        assert len(said) == 1
        assert set(ledger.find(["a"])) == {"a"}


def test_a_newer_ledger(ledger_url):
    with Ledger.open(ledger_url) as ledger:
        ledger._transactions.run(lambda con: con.execute(text("UPDATE meta SET value = '2'")))
    with pytest.raises(LedgerNewer, match=r"written by a newer routecal \(format 2, this one reads 1\); upgrade"):
        Ledger.open(ledger_url)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE meta SET value = 'x'", "its schema_version is 'x'"),
        ("DROP TABLE attempts", "it lacks the tables attempts"),
        ("DROP TABLE meta", "it has the tables attempts, batches, calls, holders, sessions of another program"),
        ("DELETE FROM meta", "it has the tables attempts, batches, calls, holders, meta, sessions of another program"),
    ],
)
def test_tables_that_are_not_ours(ledger_url, statement, words):
    with Ledger.open(ledger_url) as ledger:
        ledger._transactions.run(lambda con: con.execute(text(statement)), writes=True)
        # closing would find the damage first
        ledger._is_closed = True
        ledger._transactions.dispose()
    with pytest.raises(LedgerDamaged, match=words):
        Ledger.open(ledger_url)


def test_another_program_s_database_is_left_alone(place):
    with sqlite3.connect(place) as con:
        con.execute("CREATE TABLE songs (title)")
    con.close()
    before = place.read_bytes()
    with pytest.raises(LedgerDamaged, match="the tables songs of another program"):
        Ledger.open(f"sqlite:///{place}")
    assert place.read_bytes() == before
    assert list(place.parent.iterdir()) == [place]


def test_a_file_that_is_no_database(place):
    place.write_bytes(b"key,response\n" * 1000)
    with pytest.raises(LedgerDamaged, match="file is not a database"):
        Ledger.open(f"sqlite:///{place}")
    assert place.read_bytes() == b"key,response\n" * 1000
    assert list(place.parent.iterdir()) == [place]


def test_a_damaged_database(place):
    with Ledger.open(f"sqlite:///{place}") as ledger:
        ledger.write(starts=[start(f"{i}") for i in range(500)])
        ledger.write(ends=[finish(f"{i}") for i in range(500)])
    with open(place, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (place.stat().st_size - 4096))
    with pytest.raises(LedgerDamaged, match="malformed"):
        Ledger.open(f"sqlite:///{place}").find(["1"])


@pytest.mark.parametrize("below", ["file/ledger.sqlite", "file/folder/ledger.sqlite", "folder"])
def test_a_place_that_takes_no_file(tmp_path, below):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(LedgerNotWritable, match="set ROUTECAL_HOME or ROUTECAL_LEDGER_URL to a place that can"):
        Ledger.open(f"sqlite:///{tmp_path}/{below}")


def test_the_package_for_postgresql_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LedgerNeedsPackage, match=r"run: pip install 'routecal\[postgres\]'"):
        Ledger.open("postgresql://ann:secret@127.0.0.1/paid")


def test_trouble_of_our_own_is_not_hidden(place):
    with Ledger.open(f"sqlite:///{place}") as ledger, pytest.raises(Exception, match="no such table"):
        ledger._transactions.run(lambda con: con.execute(text("SELECT * FROM nowhere")))


def test_what_went_wrong_first_is_not_hidden_by_a_close_that_fails(place, hold):
    ledger = Ledger.open(f"sqlite:///{place}", wait_s=0.1)
    hold()
    with pytest.raises(ZeroDivisionError), ledger:
        raise ZeroDivisionError
    assert ledger._is_closed


def test_a_full_disk_still_takes_what_is_paid_for(small_disk):
    folder, change = small_disk
    url = f"sqlite:///{folder}/ledger.sqlite"
    ballast = folder / "ledger.sqlite.ballast"
    stored = []
    with Ledger.open(url) as ledger:
        assert ballast.stat().st_size == SIZE_BYTES

        def label(n):
            """Start n calls, then end one after the other."""
            keys = [f"{len(stored) + i:04d}" for i in range(n)]
            ledger.write(starts=[start(k) for k in keys])
            for key in keys:
                ledger.write(ends=[finish(key, key * 4096)])
                stored.append(key)

        while not ledger.full:
            assert ballast.exists()
            label(8)
        # The write that found the disk full has been stored, and so have others in flight.
        assert not ballast.exists()
        label(64)
        # 12 MiB hold no more than 750 responses of 16 KiB.
        with pytest.raises(LedgerFull, match=r"is full; free at least 16 MiB .* every call recorded before is kept"):
            label(800)
        assert ledger.ended(stored) == set(stored)
        ledger._transactions.dispose()
        with pytest.raises(LedgerFull):
            Ledger.open(url)
        assert not ballast.exists()
        change("size=64m")
        found = ledger.find(stored)
        assert {k: b.response for k, b in found.items()} == {k: k * 4096 for k in stored}
    with Ledger.open(url) as again:
        assert (again.full, ballast.stat().st_size) == (False, SIZE_BYTES)
        assert again.ended(stored) == set(stored)
        with sqlite3.connect(folder / "ledger.sqlite") as con:
            assert con.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        con.close()


def test_a_disk_that_became_read_only(small_disk):
    folder, change = small_disk
    url = f"sqlite:///{folder}/ledger.sqlite"
    Ledger.open(url).close()
    change("ro")
    with pytest.raises(LedgerNotWritable, match=r"readonly|read-only|unable to open"):
        Ledger.open(url)
    change("rw")


def test_no_room_for_the_ballast(place, monkeypatch):
    def refuse(handle, start, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(LedgerFull, match="free at least 16 MiB"):
        Ledger.open(f"sqlite:///{place}")
    assert list(place.parent.iterdir()) == []
