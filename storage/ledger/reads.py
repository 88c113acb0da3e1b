"""What the ledger is asked; each function reads in one transaction."""

from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from sqlalchemy import Connection, func, select, text

from routecal.storage.ledger.records import PaidResponse, Spent
from routecal.storage.ledger.tables import ATTEMPTS, CALLS, IS_ENDED, IS_STARTED
from routecal.storage.ledger.writes import Writer, chunks, dead_among


def responses(connection: Connection, keys: Iterable[str]) -> dict[str, PaidResponse]:
    """key -> response and price, of those that have ended."""
    statement = select(CALLS.c.key, CALLS.c.response, CALLS.c.usd, CALLS.c.session).where(IS_ENDED)
    parts = (connection.execute(statement.where(CALLS.c.key.in_(part))) for part in chunks(keys))
    return {key: PaidResponse(*bought) for part in parts for key, *bought in part}


def ended(connection: Connection, keys: Iterable[str]) -> set[str]:
    """Those of `keys` that have ended."""
    statement = select(CALLS.c.key).where(IS_ENDED)
    return {key for part in chunks(keys) for key in connection.scalars(statement.where(CALLS.c.key.in_(part)))}


def n_ended(connection: Connection) -> int:
    """All calls with a response."""
    return connection.scalar(select(func.count()).select_from(CALLS).where(IS_ENDED)) or 0


def abandoned(connection: Connection, job: str | None, writer: Writer) -> tuple[int, float]:
    """Calls that dead sessions had in flight, and the most they can have cost in USD."""
    statement = select(CALLS.c.session, func.count(), func.sum(CALLS.c.reserved_usd)).where(IS_STARTED)
    if job is not None:
        statement = statement.where(CALLS.c.job == job)
    rows = connection.execute(statement.group_by(CALLS.c.session)).all()
    dead = dead_among(connection, {row[0] for row in rows}, writer)
    return sum(n for session, n, _ in rows if session in dead), sum(usd for session, _, usd in rows if session in dead)


def spent(connection: Connection, job: str, writer: Writer) -> Spent:
    """What a job has cost."""
    unpriced = func.sum(CALLS.c.reserved_usd).filter(CALLS.c.usd.is_(None))
    statement = select(func.count(), func.sum(CALLS.c.usd), unpriced).where(CALLS.c.job == job, IS_ENDED)
    calls, usd, maybe_usd = connection.execute(statement).one()
    noted = select(func.count(), func.sum(ATTEMPTS.c.usd)).where(ATTEMPTS.c.job == job)
    attempts, attempts_usd = connection.execute(noted).one()
    _, abandoned_usd = abandoned(connection, job, writer)
    return Spent(usd or 0.0, (maybe_usd or 0.0) + (attempts_usd or 0.0) + abandoned_usd, calls, attempts)


def lost(connection: Connection, job: str) -> int:
    """Calls of a job that were taken over from dead sessions, ever."""
    statement = select(func.count()).where(ATTEMPTS.c.job == job, ATTEMPTS.c.outcome == "lost")
    return connection.scalar(statement) or 0


def spend_rows(connection: Connection) -> list[dict[str, Any]]:
    """The rows of `storage/sql/ledger/spend.sql`."""
    query = (files("routecal.storage") / "sql" / "ledger" / "spend.sql").read_text(encoding="utf-8")
    return [dict(row) for row in connection.execute(text(query)).mappings()]
