"""The ledger of paid calls: what was asked, by whom, what came back, what it cost.

A call is claimed before it is sent and ended with its raw response, each in a transaction that is on disk before we go
on; so a response is paid once, whoever asks again, and a call whose process died is known to be possibly billed.
A job with a cap is held by one session at a time. An intent is written before a batch is created: if the process dies
in between, the next one finds the batch by its name.

SQLite by default, PostgreSQL by URL. Threads and processes may share it.
"""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select, text, update

from routecal.storage.errors import UnknownName
from routecal.storage.ledger.ledger_errors import JobHeld
from routecal.storage.ledger.ledger_session import LedgerSession
from routecal.storage.ledger.records import Attempt, Batch, CallEnd, CallStart, Claim, PaidResponse, Spent
from routecal.storage.ledger.sessions import Session, stamp
from routecal.storage.ledger.tables import ATTEMPTS, BATCHES, CALLS, HOLDERS, IS_ENDED, IS_STARTED, SESSIONS
from routecal.storage.ledger.writes import Writer, append, chunks, claim, dead_among, end, insert, note, release, retire
from routecal.storage.query_files import sql_of


class Ledger(LedgerSession):
    """One open ledger, a session of its own; close it, or use it in `with`. Made by `open`.

    Every method may raise LedgerLocked, LedgerUnreachable, LedgerFull, LedgerDamaged and LedgerNotWritable, each after
    the patience it was opened with; what a method returned from is then still in the ledger.
    """

    def find(self, keys: Sequence[str]) -> dict[str, PaidResponse]:
        """key -> raw response and its price, for those of `keys` (any number) that have one."""
        statement = select(CALLS.c.key, CALLS.c.response, CALLS.c.usd, CALLS.c.session).where(IS_ENDED)
        return {key: PaidResponse(*bought) for key, *bought in self._rows_of(statement, keys)}

    def ended(self, keys: Sequence[str]) -> set[str]:
        """Those of `keys` (any number) that have a response; the responses are not read."""
        return {key for (key,) in self._rows_of(select(CALLS.c.key).where(IS_ENDED), keys)}

    def n_ended(self, keys: Sequence[str]) -> int:
        """How many of `keys` have a response."""
        return len(self.ended(keys))

    def __len__(self) -> int:
        """All calls that have a response."""
        statement = select(func.count()).select_from(CALLS).where(IS_ENDED)
        return self._run(lambda con: con.scalar(statement) or 0, writes=False)

    def __bool__(self) -> bool:
        """An empty ledger is one, too."""
        return True

    def write(
        self,
        *,
        starts: Iterable[CallStart] = (),
        ends: Iterable[CallEnd] = (),
        attempts: Iterable[Attempt] = (),
        releases: Iterable[str] = (),
    ) -> dict[str, Claim]:
        """Claim, end, note and release calls, in this order, in one transaction that is on disk on return.

        Args:
            starts: calls to claim. One of ours that is in flight already is ours again: two runs that share this very
                object must not ask for one key at the same time.
            ends: responses. The first one of a key is accepted whoever claimed it; another one is noted as an attempt
                `duplicate`. A call that was never claimed ends just so; give its Start as well, so that it is
                accounted for.
            attempts: sent in vain.
            releases: keys of our calls that gave up without a response.

        Returns:
            key -> Claim, for each of `starts`.
        """
        opened = list(starts)
        closed = [(e, uuid.uuid4().hex) for e in ends]
        noted, keys = [note(attempt) for attempt in attempts], list(releases)
        taken: set[str] = set()
        known = {s.key: s for s in opened}
        known |= {e.key: self._in_flight[e.key] for e, _ in closed if e.key in self._in_flight}

        def work(connection: Connection) -> dict[str, Claim]:
            writer = self._writer()
            claims = claim(connection, opened, writer, taken)
            append(connection, noted, writer.session, writer)
            end(connection, closed, known, writer)
            release(connection, keys, writer)
            self._touch(connection)
            return claims

        claims = self._run(work)
        self._in_flight |= {s.key: s for s in opened if claims[s.key].state == "ours"}
        for key in (*(e.key for e, _ in closed), *keys):
            self._in_flight.pop(key, None)
        return claims

    def retire(self, key: str, response: str, outcome: str, why: str) -> bool:
        """Take back a response that turned out to be of no use: it, and its cost, become an attempt.

        Args:
            key: of the call, which is then free to be bought again.
            response: the one that is meant; where another has taken its place nothing is done.
            outcome, why: of the attempt.

        Returns:
            Whether it was there.
        """
        noted_id = uuid.uuid4().hex
        return self._run(lambda con: retire(con, key, response, outcome, why, noted_id, self._writer()))

    def abandoned(self, job: str | None = None) -> int:
        """Calls that dead sessions had in flight, of one job or all: possibly billed, and to be asked again."""
        return self._run(lambda con: _abandoned(con, job, self._writer())[0], writes=False)

    def spent(self, job: str) -> Spent:
        """What a job has cost so far; open batches apart."""
        unpriced = func.sum(CALLS.c.reserved_usd).filter(CALLS.c.usd.is_(None))
        priced = select(func.count(), func.sum(CALLS.c.usd), unpriced).where(CALLS.c.job == job, IS_ENDED)
        noted = select(func.count(), func.sum(ATTEMPTS.c.usd)).where(ATTEMPTS.c.job == job)

        def work(connection: Connection) -> Spent:
            calls, usd, maybe_usd = connection.execute(priced).one()
            attempts, attempts_usd = connection.execute(noted).one()
            _, abandoned_usd = _abandoned(connection, job, self._writer())
            return Spent(usd or 0.0, (maybe_usd or 0.0) + (attempts_usd or 0.0) + abandoned_usd, calls, attempts)

        return self._run(work, writes=False)

    def lost(self, job: str) -> int:
        """Calls of a job that were taken over from dead sessions, ever: the most that can have been paid twice."""
        statement = select(func.count()).where(ATTEMPTS.c.job == job, ATTEMPTS.c.outcome == "lost")
        return self._run(lambda con: con.scalar(statement) or 0, writes=False)

    def spend(self) -> list[dict[str, Any]]:
        """Cost by day, model and stage: the rows of `storage/sql/ledger/spend.sql`, which says what is in them."""
        query = sql_of("ledger", "spend")
        return self._run(lambda con: [dict(row) for row in con.execute(text(query)).mappings()], writes=False)

    def hold_job(self, job: str) -> None:
        """Be the one session that spends this job's budget, until it is closed or dead.

        Raises:
            JobHeld: another session that lives is; two would spend the same money.
        """

        def work(connection: Connection) -> None:
            """From a session that is dead the job is taken over."""
            writer = self._writer()
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

        self._run(work)

    def intend_batch(
        self, name: str, *, provider: str, model: str, job: str, keys_sha256: str, n: int, reserved_usd: float
    ) -> None:
        """Say that a batch is about to be created under the display name `name`; one of that name stays as it is.

        The fields are those of `Batch`.
        """
        row: dict[str, Any] = {"name": name, "provider": provider, "model": model, "job": job, "n": n}
        row |= {"keys_sha256": keys_sha256, "reserved_usd": reserved_usd, "state": "intended"}
        row |= {"created_at": stamp(self._now()), "session": self.session}
        self._run(lambda con: con.execute(insert(con, BATCHES).on_conflict_do_nothing(index_elements=["name"]), [row]))

    def batch_created(self, name: str, job_name: str) -> None:
        """Say that the batch exists and how the provider calls it.

        Raises:
            UnknownName: it was not intended.
        """
        self._change_batch(name, job_name=job_name, state="created")

    def end_batch(self, name: str, state: str) -> None:
        """Say that nothing more is to be expected of the batch, and how it ended; the first word stays.

        Raises:
            UnknownName: it was not intended.
        """
        self._change_batch(name, state=state, ended_at=stamp(self._now()))

    def open_batches(self, job: str) -> list[Batch]:
        """The batches of a job that have not ended, oldest first; intended ones may or may not exist."""
        columns = [BATCHES.c[name] for name in Batch.__dataclass_fields__]
        statement = select(*columns).where(BATCHES.c.job == job, BATCHES.c.ended_at.is_(None))
        ordered = statement.order_by(BATCHES.c.created_at, BATCHES.c.name)
        return self._run(lambda con: [Batch(*row) for row in con.execute(ordered)], writes=False)

    def _change_batch(self, name: str, **values: str) -> None:
        """Change a batch that is open; one that has ended stays as it is. UnknownName if nobody intended it."""
        statement = update(BATCHES).where(BATCHES.c.name == name, BATCHES.c.ended_at.is_(None)).values(**values)

        def work(connection: Connection) -> None:
            if connection.execute(statement).rowcount == 0:
                known = set(connection.scalars(select(BATCHES.c.name)))
                if name not in known:
                    raise UnknownName("batch", name, known)

        self._run(work)

    def _rows_of(self, statement: Select[Any], keys: Iterable[str]) -> list[Any]:
        """The rows of a statement about calls for any number of keys, read in one transaction."""
        parts = list(chunks(keys))

        def work(connection: Connection) -> list[Any]:
            return [row for part in parts for row in connection.execute(statement.where(CALLS.c.key.in_(part)))]

        return self._run(work, writes=False)


def _abandoned(connection: Connection, job: str | None, writer: Writer) -> tuple[int, float]:
    """Calls that dead sessions had in flight, and the most they can have cost in USD."""
    statement = select(CALLS.c.session, func.count(), func.sum(CALLS.c.reserved_usd)).where(IS_STARTED)
    if job is not None:
        statement = statement.where(CALLS.c.job == job)
    rows = connection.execute(statement.group_by(CALLS.c.session)).all()
    dead = dead_among(connection, {row[0] for row in rows}, writer)
    return sum(n for session, n, _ in rows if session in dead), sum(usd for session, _, usd in rows if session in dead)
