"""One session of the ledger: opened, alive while it says so, closed."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import Connection, update

from routecal.storage.errors import StorageError
from routecal.storage.ledger import sessions
from routecal.storage.ledger.records import CallStart
from routecal.storage.ledger.schema import begin
from routecal.storage.ledger.sessions import Session, stamp
from routecal.storage.ledger.tables import CALLS, IS_STARTED, SESSIONS
from routecal.storage.ledger.transactions import Transactions
from routecal.storage.ledger.url import locate
from routecal.storage.ledger.writes import Writer

T = TypeVar("T")

_TOUCH_S = 10.0


class LedgerSession:
    """What every use of the ledger needs: a session with a clock, and transactions that wait.

    Attributes:
        name: the file, or the URL without its password.
        session: id of this session.
    """

    def __init__(self, transactions: Transactions, is_dead: Callable[[Session, datetime], bool]) -> None:
        """Use `open`."""
        self.name = transactions.name
        self.session = uuid.uuid4().hex
        self._transactions, self._is_dead = transactions, is_dead
        self._offset = timedelta(0)
        self._touched: datetime | None = None
        self._is_closed = False
        # Another session that took us for dead may have taken a call over and given it up: its row is then gone.
        self._in_flight: dict[str, CallStart] = {}

    @classmethod
    def open(
        cls,
        url: str | None = None,
        *,
        wait_s: float = 30.0,
        on_wait: Callable[[str], None] | None = None,
        outage_s: float = 120.0,
        is_dead: Callable[[Session, datetime], bool] = sessions.is_dead,
    ) -> Self:
        """Open the ledger, make it if there is none, and begin a session.

        Args:
            url: `sqlite:///…` or `postgresql://…`; None takes ROUTECAL_LEDGER_URL, else the file in ROUTECAL_HOME.
            wait_s: how long to wait, in seconds, for one that is locked or, now, for a server that does not answer.
            on_wait: gets a sentence when waiting begins; called in the thread that waits.
            outage_s: how long to wait, later on, for a server that went away.
            is_dead: tells whether what a session had in flight can still come back.

        Raises:
            LedgerUrlInvalid, LedgerNeedsPackage, LedgerNewer, LedgerLocked, LedgerUnreachable, LedgerFull,
            LedgerNotWritable, LedgerDamaged: as their names say.
        """
        place = locate(url)
        transactions = Transactions(place, wait_s=wait_s, outage_s=outage_s, on_wait=on_wait)
        self = cls(transactions, is_dead)
        try:
            self._offset = transactions.run(lambda con: begin(con, self.name, self.session), opening=True)
        except BaseException:
            transactions.forsake()
            raise
        return self

    @property
    def full(self) -> bool:
        """The disk was full: what was to be written is, into space set aside for this, but issue no more calls."""
        return self._transactions.full

    def close(self) -> None:
        """End the session and forget its calls in flight, as after `write(releases=…)`; a second time does nothing."""
        if self._is_closed:
            return

        def work(connection: Connection) -> None:
            connection.execute(CALLS.delete().where(CALLS.c.session == self.session, IS_STARTED))
            closed = {"closed_at": stamp(self._now())}
            connection.execute(update(SESSIONS).where(SESSIONS.c.id == self.session).values(closed))

        try:
            self._run(work)
        finally:
            self._is_closed = True
            self._transactions.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.close()
        except StorageError:
            # What went wrong first is what people must read.
            if error is None:
                raise

    def beat(self) -> None:
        """Say that this session lives; needed at least every two minutes, and `write` does it as well."""
        self._run(lambda connection: self._touch(connection, within_s=0.0))

    def _run(self, work: Callable[[Connection], T], *, writes: bool = True) -> T:
        if self._is_closed:
            raise RuntimeError(f"the ledger {self.name} is closed")
        return self._transactions.run(work, writes=writes)

    def _now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def _writer(self) -> Writer:
        now = self._now()
        return Writer(self.session, stamp(now), lambda session: self._is_dead(session, now))

    def _touch(self, connection: Connection, *, within_s: float = _TOUCH_S) -> None:
        now = self._now()
        if self._touched is None or not timedelta(0) <= now - self._touched < timedelta(seconds=within_s):
            connection.execute(update(SESSIONS).where(SESSIONS.c.id == self.session).values(seen_at=stamp(now)))
            self._touched = now
