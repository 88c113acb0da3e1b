"""The statements behind `Ledger.write`; each may be repeated without doing anything twice."""

import json
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Table, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from routecal.storage.ledger.records import Attempt, CallEnd, CallStart, Claim, PaidResponse
from routecal.storage.ledger.sessions import Session
from routecal.storage.ledger.tables import ATTEMPTS, CALLS, IS_STARTED, SESSIONS

T = TypeVar("T")

CHUNK = 500
_RESULTS = [f for f in CallEnd.__dataclass_fields__ if f != "key"]
# What a call was for, when nobody said.
_UNSAID = CallStart("", provider="", model="", stage="", job="", prompt_version="", tier="", reserved_usd=0.0)
_RELEASE = CALLS.delete().where(
    CALLS.c.key == bindparam("of_key"), CALLS.c.session == bindparam("of_session"), IS_STARTED
)


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, and when."""

    session: str
    now: str
    is_dead: Callable[[Session], bool]


class Noted(NamedTuple):
    """An attempt with the id that makes it be written once."""

    id: str
    attempt: Attempt


def note(attempt: Attempt) -> Noted:
    """Give an attempt its id."""
    return Noted(uuid.uuid4().hex, attempt)


def chunks(items: Iterable[T], n: int = CHUNK) -> Iterator[list[T]]:
    """Lists of at most `n`.

    >>> list(chunks("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    rest = iter(items)
    while part := list(islice(rest, n)):
        yield part


def insert(connection: Connection, table: Table) -> Any:
    """An INSERT that knows ON CONFLICT, in the words of the database."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def storable(text: str | None) -> str | None:
    r"""`text` as every database takes it: a NUL or half a surrogate pair as the escape that JSON has for it.

    >>> storable("a\x00\ud800é") == "a\\u0000\\ud800é"
    True
    """
    if text is None:
        return None
    return text.replace("\0", "\\u0000").encode("utf-8", "backslashreplace").decode("utf-8")


def dead_among(connection: Connection, sessions: Collection[str], writer: Writer) -> set[str]:
    """Those of `sessions` that are dead; one that the ledger does not know is."""
    wanted = set(sessions) - {writer.session}
    rows = [
        Session(*row)
        for part in chunks(wanted)
        for row in connection.execute(select(SESSIONS).where(SESSIONS.c.id.in_(part)))
    ]
    return wanted - {row.id for row in rows if not writer.is_dead(row)}


def claim(
    connection: Connection, starts: Sequence[CallStart], writer: Writer, taken_before: set[str]
) -> dict[str, Claim]:
    """Make calls ours where they are free.

    Args:
        connection: in a transaction.
        starts: the calls.
        writer: us.
        taken_before: keys taken over by an earlier try of the same transaction, of which it is unknown whether it was
            committed; those taken over now are added.
    """
    # In one order everywhere, so that two of these wait for each other seldom.
    open_ = {start.key: start for start in sorted(starts, key=lambda s: s.key)}
    claims: dict[str, Claim] = {}
    mine = Claim("ours")
    while open_:
        found = _rows(connection, open_)
        fresh = [start for key, start in open_.items() if key not in found]
        if fresh:
            row = {"state": "started", "session": writer.session, "started_at": writer.now}
            statement = insert(connection, CALLS).on_conflict_do_nothing(index_elements=["key"])
            result = connection.execute(statement, [{**asdict(start), **row} for start in fresh])
            if result.rowcount == len(fresh):
                claims |= dict.fromkeys((start.key for start in fresh), mine)
            else:
                # Others were faster with some; the rows that are there now tell with which.
                found |= _rows(connection, [start.key for start in fresh])
        dead = dead_among(connection, {r.session for r in found.values() if r.state == "started"}, writer)
        for key, row_ in found.items():
            if row_.state == "ended":
                claims[key] = Claim("ended", PaidResponse(row_.response, row_.usd, row_.session))
            elif row_.session == writer.session:
                claims[key] = Claim("ours", taken_over=key in taken_before)
            elif row_.session not in dead:
                claims[key] = Claim("busy")
            elif _take_over(connection, open_[key], row_, writer):
                taken_before.add(key)
                claims[key] = Claim("ours", taken_over=True)
        # What is left was released, or taken over, by another in between: look again.
        open_ = {key: start for key, start in open_.items() if key not in claims}
    return claims


def end(
    connection: Connection, ends: Sequence[tuple[CallEnd, str]], starts: Mapping[str, CallStart], writer: Writer
) -> None:
    """Store responses; the first one of a key stays, and another one is noted as a `duplicate` attempt.

    Args:
        connection: in a transaction.
        ends: each with the id that a duplicate would get.
        starts: what the calls were for, where the ledger has no row of them (any more).
        writer: us.
    """
    if not ends:
        return
    ends = sorted(ends, key=lambda pair: pair[0].key)
    rows = [
        {
            **asdict(starts.get(e.key, _UNSAID)),
            **asdict(e),
            "response": storable(e.response),
            "state": "ended",
            "session": writer.session,
            "started_at": writer.now,
            "ended_at": writer.now,
        }
        for e, _ in ends
    ]
    statement = insert(connection, CALLS)
    changed = {name: statement.excluded[name] for name in ["state", "ended_at", *_RESULTS]}
    statement = statement.on_conflict_do_update(index_elements=["key"], set_=changed, where=IS_STARTED)
    if connection.execute(statement, rows).rowcount == len(rows):
        return
    accepted = _rows(connection, [e.key for e, _ in ends])
    late = []
    for e, id_ in ends:
        if (row := accepted[e.key]).response != storable(e.response):
            message = f"response {json.dumps(e.response_id)} came after another had been accepted"
            facts = (e.key, row.job, row.stage, row.model, "duplicate", None, message, e.response)
            late.append(Noted(id_, Attempt(*facts, usd=row.reserved_usd if e.usd is None else e.usd)))
    append(connection, late, writer.session, writer)


def append(connection: Connection, attempts: Sequence[Noted], session: str, writer: Writer) -> None:
    """Add attempts of `session`; one whose id is there already is not added again."""
    if not attempts:
        return
    statement = insert(connection, ATTEMPTS).on_conflict_do_nothing(index_elements=["id"])
    connection.execute(
        statement,
        [
            {
                **asdict(attempt),
                "message": storable(attempt.message),
                "response": storable(attempt.response),
                "id": id_,
                "session": session,
                "at": writer.now,
            }
            for id_, attempt in attempts
        ],
    )


def retire(
    connection: Connection, key: str, response: str, outcome: str, why: str, noted_id: str, writer: Writer
) -> bool:
    """Turn a response that is of no use into an attempt, so that its key can be bought again; False if it is gone.

    Args:
        connection: in a transaction.
        key: of the call.
        response: the one that is meant; another that has come in its place meanwhile stays.
        outcome: of the attempt.
        why: its message.
        noted_id: its id.
        writer: us.
    """
    row = _rows(connection, [key]).get(key)
    if row is None or row.state != "ended" or row.response != storable(response):
        return False
    cost = row.reserved_usd if row.usd is None else row.usd
    facts = (key, row.job, row.stage, row.model, outcome, None, why, response)
    append(connection, [Noted(noted_id, Attempt(*facts, usd=cost))], writer.session, writer)
    connection.execute(CALLS.delete().where(CALLS.c.key == key))
    return True


def release(connection: Connection, keys: Collection[str], writer: Writer) -> None:
    """Forget calls of ours that are in flight."""
    if keys:
        connection.execute(_RELEASE, [{"of_key": key, "of_session": writer.session} for key in sorted(keys)])


def _rows(connection: Connection, keys: Iterable[str]) -> dict[str, Any]:
    columns = (
        CALLS.c[n] for n in ("key", "state", "session", "job", "stage", "model", "reserved_usd", "usd", "response")
    )
    statement = select(*columns)
    return {row.key: row for part in chunks(keys) for row in connection.execute(statement.where(CALLS.c.key.in_(part)))}


def _take_over(connection: Connection, start: CallStart, row: Any, writer: Writer) -> bool:
    statement = (
        update(CALLS)
        .where(CALLS.c.key == start.key, CALLS.c.session == row.session, IS_STARTED)
        .values(**asdict(start), session=writer.session, started_at=writer.now)
    )
    if connection.execute(statement).rowcount == 0:
        return False
    message = "its process died while it was in flight"
    lost = Attempt(start.key, row.job, row.stage, row.model, "lost", None, message, None, row.reserved_usd)
    append(connection, [note(lost)], row.session, writer)
    return True
