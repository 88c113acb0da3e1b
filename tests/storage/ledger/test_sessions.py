import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from routecal.storage.ledger import sessions
from routecal.storage.ledger.sessions import SILENCE_S, Session, host, is_dead, is_running, process_started, stamp

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def session(**changes):
    facts = {"id": "s", "host": host(), "pid": os.getpid(), "process_started": process_started(os.getpid())}
    return Session(**(facts | {"opened_at": stamp(NOW), "seen_at": stamp(NOW), "closed_at": None} | changes))


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.communicate(b"\n")


@pytest.mark.parametrize(
    ("changes", "dead"),
    [
        ({}, False),
        ({"closed_at": stamp(NOW)}, True),
        ({"process_started": "0"}, True),
        ({"process_started": None}, False),
        ({"host": "elsewhere", "process_started": "0"}, False),
        ({"host": "elsewhere", "pid": 2**22 + 1}, False),
        ({"pid": 2**22 + 1}, True),
        ({"seen_at": stamp(NOW - timedelta(seconds=SILENCE_S))}, False),
        ({"seen_at": stamp(NOW - timedelta(seconds=SILENCE_S + 1))}, True),
        ({"host": "elsewhere", "seen_at": stamp(NOW - timedelta(seconds=SILENCE_S + 1))}, True),
        ({"host": "elsewhere", "seen_at": stamp(NOW + timedelta(hours=1))}, False),
    ],
)
def test_who_is_dead(changes, dead):
    assert is_dead(session(**changes), NOW) is dead


def test_a_process_lives_until_it_is_gone_even_if_nobody_asked_how_it_ended(child):
    started = process_started(child.pid)
    assert started
    assert is_running(child.pid, started)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
    assert not is_running(child.pid, started)


def test_without_proc_the_system_s_ps_tells(child, monkeypatch):
    real = sessions.Path
    monkeypatch.setattr(sessions, "Path", lambda p: real("/nowhere") if str(p).startswith("/proc") else real(p))
    started = process_started(child.pid)
    assert started == process_started(child.pid)
    assert str(datetime.now().year) in started
    assert is_running(child.pid, started)
    assert not is_running(child.pid, "Thu Jan  1 00:00:00 1970")
    assert not is_running(2**22 + 1, started)


def test_without_proc_and_ps_a_process_that_is_there_is_taken_for_alive(child, monkeypatch):
    monkeypatch.setattr(sessions, "Path", lambda p: __import__("pathlib").Path("/nowhere"))
    monkeypatch.setenv("PATH", "")
    assert process_started(child.pid) is None
    assert is_running(child.pid, "whenever")
    assert is_running(1, "whenever")
    assert not is_running(2**22 + 1, "whenever")


def test_times_sort_as_text():
    times = [NOW + timedelta(microseconds=i * 499_999) for i in range(9)]
    assert sorted(map(stamp, times)) == list(map(stamp, times))
    assert [datetime.fromisoformat(stamp(t)) for t in times] == times
