"""Who has the ledger open, and whether they still live.

A process that is wrongly taken for dead has its calls paid twice, one that is wrongly taken for alive keeps them from
being asked at all. So a process on this machine is looked up; one elsewhere is dead when it was silent for long.
"""

import os
import socket
import subprocess
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

SILENCE_S = 120.0


class Session(NamedTuple):
    """One open ledger; the columns of the table `sessions`."""

    id: str
    host: str
    pid: int
    process_started: str | None
    opened_at: str
    seen_at: str
    closed_at: str | None


def is_dead(session: Session, now: datetime) -> bool:
    """Whether nothing in flight in `session` can come back any more.

    Args:
        session: as the ledger has it.
        now: by the same clock that `seen_at` was taken from.
    """
    if session.closed_at is not None:
        return True
    if session.host == host() and not is_running(session.pid, session.process_started):
        return True
    return now - datetime.fromisoformat(session.seen_at) > timedelta(seconds=SILENCE_S)


def stamp(now: datetime) -> str:
    """A time as the ledger writes it.

    >>> stamp(datetime(2026, 11, 22, 3, 0, tzinfo=UTC))
    '2026-11-22T03:00:00.000000Z'
    """
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def host() -> str:
    """Where the number of a process means this very process: the machine since its last start, and the container."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8])
        parts.append(str(os.stat("/proc/self/ns/pid").st_ino))
    return "/".join(parts)


def process_started(pid: int) -> str | None:
    """When a process of this machine began, in whatever form the system tells it; None if it is gone or unknown."""
    if Path("/proc/self/stat").exists():
        with suppress(OSError):
            # The name in brackets may itself hold brackets and blanks. What follows it: the state, …, 20th the start.
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            return None if fields[0] in "ZXx" else fields[19]
        return None
    with suppress(OSError, subprocess.TimeoutExpired):
        told = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=10)
        return told.stdout.strip() or None
    return None


def is_running(pid: int, started: str | None) -> bool:
    """Whether process `pid` of this machine is the one that began at `started`; in doubt it is."""
    found = process_started(pid)
    if found is not None:
        return started is None or found == started
    if Path("/proc/self/stat").exists():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
