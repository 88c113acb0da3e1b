"""Transactions that wait, try again, or fail with a sentence.

What runs in them may run more than once: a connection can break after the commit and before its confirmation. It must
therefore be idempotent.
"""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from routecal.storage.ledger.ballast import Ballast, is_full
from routecal.storage.ledger.database_errors import trouble
from routecal.storage.ledger.ledger_errors import (
    LedgerDamaged,
    LedgerFull,
    LedgerLocked,
    LedgerNeedsPackage,
    LedgerNotWritable,
    LedgerUnreachable,
)
from routecal.storage.ledger.tables import META
from routecal.storage.ledger.url import scrub, url_for_display

T = TypeVar("T")

POLL_MS = 100
_PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
# A server that vanished without a word is noticed after half a minute, not after the two hours of TCP.
_POSTGRESQL = {"connect_timeout": 10, "keepalives_idle": 20, "tcp_user_timeout": 30_000, "application_name": "routecal"}


class Transactions:
    """One database, and the patience to use it.

    Attributes:
        name: its URL without password, or its path.
        full: the disk was full at least once; what had been set aside for answers on their way is in use.
    """

    def __init__(
        self, url: URL, *, wait_s: float, outage_s: float, on_wait: Callable[[str], None] | None, ballast: bool = True
    ) -> None:
        """Prepare the place; nothing is read yet.

        Raises:
            LedgerNeedsPackage, LedgerNotWritable, LedgerFull: as their names say.
        """
        self.name = url_for_display(url)
        self.full = False
        self._url, self._wait_s, self._outage_s, self._on_wait = url, wait_s, outage_s, on_wait
        self._path = Path(url.database) if url.drivername == "sqlite" and url.database else None
        # SQLite lets one write at a time; threads that queue here need not poll.
        self._turn: AbstractContextManager[Any] = nullcontext() if self._path is None else threading.RLock()
        self._ballast = None if self._path is None or not ballast else Ballast(self._path)
        if self._path is not None:
            self._make_room(self._path)
        try:
            self._engine = _engine(url)
        except ImportError as error:
            raise LedgerNeedsPackage("psycopg", "postgres") from error

    def run(self, work: Callable[[Connection], T], *, writes: bool = True, opening: bool = False) -> T:
        """The result of `work` in one transaction, committed.

        Args:
            work: idempotent; gets the connection.
            writes: take the lock for writing at once.
            opening: the first use, in which no server is waited for longer than `wait_s`.

        Raises:
            LedgerLocked: others had it for longer than `wait_s`.
            LedgerUnreachable: the server was away for longer than `outage_s`, or refuses us.
            LedgerFull: the disk is full, even with the ballast gone.
            LedgerDamaged, LedgerNotWritable: as their names say.
        """
        since: float | None = None
        n_pauses = 0
        while True:
            try:
                with self._turn if writes else nullcontext(), self._engine.connect() as plain:
                    connection = plain.execution_options(routecal_writes=writes, preserve_rowcount=True)
                    with connection.begin():
                        result = work(connection)
                return result
            except DBAPIError as error:
                kind = trouble(error, self._path)
                if kind is None:
                    raise
                if kind == "full" and not self.full and self._path is not None and not opening:
                    self.full = True
                    if self._ballast is not None:
                        self._ballast.drop()
                    continue
                patience_s = self._wait_s if kind == "locked" or opening else self._outage_s
                if kind not in ("locked", "gone", "again") or (kind == "gone" and self._path is not None):
                    self._fail(error, kind)
                now = time.monotonic()
                if since is None:
                    since = now
                    self._tell(error, kind, patience_s)
                if now - since >= patience_s:
                    self._fail(error, kind)
            # SQLite has polled for POLL_MS already.
            if kind != "locked":
                time.sleep(_PAUSES_S[min(n_pauses, len(_PAUSES_S) - 1)])
                n_pauses += 1

    def dispose(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def forsake(self) -> None:
        """Close all connections to what turned out to be unusable, and leave nothing of ours beside it."""
        self.dispose()
        if self._ballast is not None and self._ballast.is_new:
            self._ballast.drop()

    def _make_room(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if self._ballast is not None:
                self._ballast.take()
        except OSError as error:
            if is_full(error):
                raise LedgerFull(self.name) from error
            raise LedgerNotWritable(self.name, error.strerror or type(error).__name__) from error

    def _tell(self, error: DBAPIError, kind: str, patience_s: float) -> None:
        if self._on_wait is None or kind == "again":
            return
        what = "is locked by another process" if kind == "locked" else f"does not answer ({self._reason(error)})"
        self._on_wait(f"the ledger {self.name} {what}; waiting up to {patience_s:g} s")

    def _fail(self, error: DBAPIError, kind: str) -> NoReturn:
        if kind == "locked":
            raise LedgerLocked(self.name, self._wait_s) from error
        if kind == "full":
            self.full = True
            raise LedgerFull(self.name) from error
        if kind == "damaged":
            raise LedgerDamaged(self.name, self._reason(error)) from error
        if kind == "refused":
            raise LedgerNotWritable(self.name, self._reason(error)) from error
        raise LedgerUnreachable(self.name, self._reason(error)) from error

    def _reason(self, error: DBAPIError) -> str:
        return scrub(self._url, str(error.orig))


def _engine(url: URL) -> Engine:
    # Parameters hold answers of models; they have no place in an error.
    if url.drivername != "sqlite":
        options = {k: v for k, v in _POSTGRESQL.items() if k not in url.query}
        return create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=options)
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": POLL_MS / 1000})

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, record: object) -> None:
        del record
        # Transactions begin where we say, not where the sqlite3 module guesses.
        connection.isolation_level = None
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        # The mode stays with the file, and the file may turn out to be another program's.
        if not names or META.name in names:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("routecal_writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
