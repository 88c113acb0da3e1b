"""The statements behind the jobs of the ledger: which session spends a job's budget, and its batches at a provider.

A job with a cap is held by one session at a time. An intent is written before a batch is created: if the process dies
in between, the next one finds the batch by its name.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select, update

from routecal.storage.errors import UnknownName
from routecal.storage.ledger.ledger_errors import JobHeld
from routecal.storage.ledger.records import Batch
from routecal.storage.ledger.sessions import Session
from routecal.storage.ledger.tables import BATCHES, HOLDERS, SESSIONS
from routecal.storage.ledger.writes import Writer, insert

_COLUMNS = [BATCHES.c[name] for name in Batch.__dataclass_fields__]


def hold(connection: Connection, job: str, writer: Writer) -> None:
    """Hold a job until the session ends; from a session that is dead it is taken over.

    Raises:
        JobHeld: a session that lives holds it.
    """
    mine = {"job": job, "session": writer.session}
    connection.execute(insert(connection, HOLDERS).on_conflict_do_nothing(index_elements=["job"]), [mine])
    # Locked in PostgreSQL, where two may come at once; SQLite has one writer anyway.
    holder = connection.scalars(select(HOLDERS.c.session).where(HOLDERS.c.job == job).with_for_update()).one()
    if holder == writer.session:
        return
    row = connection.execute(select(SESSIONS).where(SESSIONS.c.id == holder)).one_or_none()
    if row is not None and not writer.is_dead(session := Session(*row)):
        raise JobHeld(session.pid, session.host.partition("/")[0])
    connection.execute(update(HOLDERS).where(HOLDERS.c.job == job).values(session=writer.session))


def intend(connection: Connection, facts: Mapping[str, Any], writer: Writer) -> None:
    """Write an intent; one of that name stays as it is."""
    row = {**facts, "state": "intended", "created_at": writer.now, "session": writer.session}
    connection.execute(insert(connection, BATCHES).on_conflict_do_nothing(index_elements=["name"]), [row])


def change(connection: Connection, name: str, values: Mapping[str, Any]) -> None:
    """Change a batch that is open; one that has ended stays as it is.

    Raises:
        UnknownName: nobody intended a batch of that name.
    """
    statement = update(BATCHES).where(BATCHES.c.name == name, BATCHES.c.ended_at.is_(None)).values(**values)
    if connection.execute(statement).rowcount == 0:
        known = set(connection.scalars(select(BATCHES.c.name)))
        if name not in known:
            raise UnknownName("batch", name, known)


def still_open(connection: Connection, job: str) -> list[Batch]:
    """The batches of a job that have not ended, oldest first."""
    statement = select(*_COLUMNS).where(BATCHES.c.job == job, BATCHES.c.ended_at.is_(None))
    return [Batch(*row) for row in connection.execute(statement.order_by(BATCHES.c.created_at, BATCHES.c.name))]
