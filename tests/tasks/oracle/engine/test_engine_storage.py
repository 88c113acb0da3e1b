"""A run whose ledger is in trouble: a full disk, a server that restarts, a lock that others hold."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from routecal.storage.ledger import Ledger
from routecal.storage.ledger.ledger_errors import LedgerFull
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import serving
from tests.gemini_server.wire import Request
from tests.storage.ledger.postgres import PASSWORD, PostgresServer, postgres
from tests.storage.ledger.small_disk import small_disk
from tests.tasks.oracle.labelling import JUDGE, LARGE, MEDIUM, Bill, asked, by_number, paid_once, run

__all__ = ["postgres", "small_disk"]


def lengthy(respond: Callable[[Request], str]) -> Callable[[Request], str]:
    """Answers that fill a disk."""
    return lambda request: respond(request) + (" So I think." * 4000 if request.schema is None else "")


def test_a_full_disk_stops_the_run_and_what_is_paid_for_is_stored(
    small_disk: tuple[Path, Callable[[str], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, change = small_disk
    url = f"sqlite:///{folder}/ledger.sqlite"
    monkeypatch.setenv("ROUTECAL_LEDGER_URL", url)
    bill, queries, late = Bill(lengthy(by_number())), asked(60), Script(latency_s=0.02)
    with serving({MEDIUM: late, LARGE: late, JUDGE: late}, respond=bill) as server:
        # 60 rows take some 12 MB here, and the ballast 8 of the 12 MiB there are.
        found = run(server, queries, concurrency=16)
        assert isinstance(found.error, LedgerFull)
        assert isinstance(found.reason, LedgerFull)
        assert 0 < found.tally.calls < 150
        # Everything that came back has found its place in what the ballast left.
        assert found.tally.calls == bill.calls
        change("size=64m")
        rest = run(server, queries, run="2")
        assert len(rest.rows) == 60
        assert rest.tally.taken_over == 0
        assert rest.tally.reused >= found.tally.calls
        paid_once(server, bill.calls)


def test_a_disk_that_stays_full_is_said_at_once_and_costs_nothing(
    small_disk: tuple[Path, Callable[[str], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = small_disk
    (folder / "filler").write_bytes(b"x" * (6 << 20))
    monkeypatch.setenv("ROUTECAL_LEDGER_URL", f"sqlite:///{folder}/ledger.sqlite")
    with serving() as server:
        with pytest.raises(LedgerFull):
            run(server, asked(2))
        assert server.requests() == 0


def test_a_server_that_restarts_in_mid_run_is_waited_for(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgres.fresh_url()
    monkeypatch.setenv("ROUTECAL_LEDGER_URL", url)
    # Refused and refused again, so that attempts are written too.
    late = Script(latency_s=0.03, fail_frac=0.2, fails=("503",))
    bill = Bill(by_number())
    with serving({MEDIUM: late, LARGE: late, JUDGE: late}, respond=bill) as server, ThreadPoolExecutor() as pool:
        with caplog.at_level(logging.WARNING):
            going = pool.submit(run, server, asked(80), concurrency=8)
            deadline = time.monotonic() + 20
            while bill.calls < 40 and time.monotonic() < deadline:
                time.sleep(0.005)
            postgres.control("restart", "-m", "immediate")
            found = going.result()
        assert len(found.rows) == 80
        assert server.stats()["billed_twice"] == 0
        with Ledger.open() as ledger:
            assert (ledger.spent("job").calls, ledger.lost("job")) == (bill.calls, 0)
            assert ledger.spent("job").usd == pytest.approx(bill.usd)
            assert ledger.spent("job").attempts == found.tally.retries["transient"] > 0
    assert "does not answer" in caplog.text
    assert PASSWORD not in caplog.text


def test_a_ledger_that_somebody_locks_for_a_while_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "ledger.sqlite"
    monkeypatch.setenv("ROUTECAL_LEDGER_URL", f"sqlite:///{path}")
    bill = Bill(by_number())
    with serving(respond=bill) as server, caplog.at_level(logging.WARNING):
        run(server, asked(1))
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.5, lambda: other.execute("ROLLBACK"))
        release.start()
        assert len(run(server, asked(20), run="2").rows) == 20
        release.join()
        other.close()
        assert server.stats()["billed_twice"] == 0
    assert "is locked by" in caplog.text
