"""Making the tables of a new ledger, and knowing those of an old or a foreign one."""

import os
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, inspect, select, text

from routecal.storage.ledger.ledger_errors import LedgerDamaged, LedgerNewer
from routecal.storage.ledger.sessions import Session, host, process_started, stamp
from routecal.storage.ledger.tables import META, SCHEMA_VERSION, SESSIONS, TABLES
from routecal.storage.ledger.writes import insert

# Any number will do, if all agree on it.
_ADVISORY = 0x726F757465


def begin(connection: Connection, name: str, session: str) -> timedelta:
    """Have the tables there and list a new session of this process.

    Args:
        connection: in a transaction.
        name: of the ledger, for people.
        session: the new id.

    Returns:
        What to add to this machine's time, to have that of the database.

    Raises:
        LedgerNewer, LedgerDamaged: as `prepare`.
    """
    prepare(connection, name)
    offset = timedelta(0)
    if connection.dialect.name != "sqlite":
        # Machines disagree about the time; by the server's clock all sessions are seen alike.
        server: datetime = connection.scalars(select(func.clock_timestamp())).one()
        offset = server - datetime.now(UTC)
    at = stamp(datetime.now(UTC) + offset)
    pid = os.getpid()
    row = Session(session, host(), pid, process_started(pid), at, at, None)
    connection.execute(insert(connection, SESSIONS).on_conflict_do_nothing(index_elements=["id"]), [row._asdict()])
    return offset


def prepare(connection: Connection, name: str) -> None:
    """Leave the tables there, whoever made them.

    Raises:
        LedgerNewer: a newer routecal made them.
        LedgerDamaged: there are tables, but not those of a ledger.
    """
    is_shared = connection.dialect.name != "sqlite"
    if is_shared:
        # Two that begin at once would both find no table.
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _ADVISORY})
    present = set(inspect(connection).get_table_names())
    version = None
    if META.name in present and {c["name"] for c in inspect(connection).get_columns(META.name)} == set(META.c.keys()):
        version = connection.scalar(select(META.c.value).where(META.c.key == "schema_version"))
    if version is None:
        # A server's database may hold other tables, under other names; a file is ours alone.
        if foreign := sorted(present & set(TABLES.tables) if is_shared else present):
            raise LedgerDamaged(name, f"it has the tables {', '.join(foreign)} of another program")
        TABLES.create_all(connection)
        connection.execute(META.insert(), {"key": "schema_version", "value": str(SCHEMA_VERSION)})
        return
    if not version.isdecimal():
        raise LedgerDamaged(name, f"its schema_version is {version!r}")
    if int(version) > SCHEMA_VERSION:
        raise LedgerNewer(name, version, SCHEMA_VERSION)
    if missing := sorted(set(TABLES.tables) - present):
        raise LedgerDamaged(name, f"it lacks the tables {', '.join(missing)}")
