"""What an error of a database means for us, whichever database it was."""

import sqlite3
from pathlib import Path
from typing import Literal

from sqlalchemy.exc import DBAPIError

from routecal.storage.ledger.ballast import has_room

# locked: another process has it; gone: the server went away; again: the server took back one of two transactions that
# waited for each other; closed: the server will not let us in; the others as their errors say.
Trouble = Literal["locked", "gone", "again", "closed", "full", "damaged", "refused"]

_SQLITE: dict[int, Trouble] = {
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_PROTOCOL: "locked",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
    sqlite3.SQLITE_READONLY: "refused",
    sqlite3.SQLITE_PERM: "refused",
    sqlite3.SQLITE_CANTOPEN: "refused",
    sqlite3.SQLITE_IOERR: "refused",
}
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL: dict[str, Trouble] = {
    "40001": "again",
    "40P01": "again",
    "53100": "full",
    "53300": "gone",  # too many connections: others will end
    "57P01": "gone",
    "57P02": "gone",
    "57P03": "gone",
    "28000": "closed",
    "28P01": "closed",
    "3D000": "closed",
    "42501": "refused",
    "25006": "refused",
}
# A refused connection carries no code in psycopg, only words. Words in another language count as "gone".
_CLOSED = ("authentication failed", "does not exist", "no password supplied", "no pg_hba.conf entry", "invalid")


def trouble(error: DBAPIError, path: Path | None) -> Trouble | None:
    """What kind of trouble `error` is; None if it is a fault of our own.

    Args:
        error: as SQLAlchemy raised it.
        path: the file, when the database is SQLite.
    """
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        kind = _SQLITE.get(code & 0xFF)
        # A full disk has many names, among them "disk I/O error" and "unable to open database file".
        if kind == "refused" and path is not None and not has_room(path.parent):
            return "full"
        return kind
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return "gone" if state.startswith("08") else _POSTGRESQL.get(state)
    if type(error.orig).__name__ not in ("OperationalError", "InterfaceError") and not error.connection_invalidated:
        return None
    return "closed" if any(words in str(error.orig) for words in _CLOSED) else "gone"
