"""One spender per budget: a job with a cap is held by one session at a time."""

from sqlalchemy import Connection, select, update

from routecal.storage.ledger.ledger_errors import JobHeld
from routecal.storage.ledger.sessions import Session
from routecal.storage.ledger.tables import HOLDERS, SESSIONS
from routecal.storage.ledger.writes import Writer, insert


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
