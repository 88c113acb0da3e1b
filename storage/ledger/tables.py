"""The tables of the ledger, the same in SQLite and PostgreSQL. Times are text: ISO 8601, UTC, microseconds, `Z`."""

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, Table, Text, literal_column

SCHEMA_VERSION = 1

TABLES = MetaData()

META = Table("meta", TABLES, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))

SESSIONS = Table(
    "sessions",
    TABLES,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_started", Text),
    Column("opened_at", Text, nullable=False),
    Column("seen_at", Text, nullable=False),
    Column("closed_at", Text),
)

CALLS = Table(
    "calls",
    TABLES,
    Column("key", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("job", Text, nullable=False),
    Column("prompt_version", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("session", Text, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("reserved_usd", Double, nullable=False),
    Column("model_version", Text),
    Column("response_id", Text),
    Column("tokens_prompt", BigInteger),
    Column("tokens_cached", BigInteger),
    Column("tokens_output", BigInteger),
    Column("tokens_thinking", BigInteger),
    Column("usd", Double),
    Column("attempts", Integer),
    Column("latency_ms", BigInteger),
    # Last: SQLite reads a row from its start, and sums over the columns above need not walk through long texts.
    Column("response", Text),
)

# A literal, not a parameter: the databases use a partial index only where they can see its condition.
IS_STARTED = CALLS.c.state == literal_column("'started'")
IS_ENDED = CALLS.c.state == literal_column("'ended'")

Index("calls_of_job", CALLS.c.job)
Index("calls_in_flight", CALLS.c.session, sqlite_where=IS_STARTED, postgresql_where=IS_STARTED)

ATTEMPTS = Table(
    "attempts",
    TABLES,
    Column("id", Text, primary_key=True),
    Column("key", Text, nullable=False),
    Column("job", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("session", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("code", Text),
    Column("message", Text, nullable=False),
    Column("usd", Double, nullable=False),
    Column("response", Text),
)
Index("attempts_of_job", ATTEMPTS.c.job)

# Jobs with a budget, and the session that spends it.
HOLDERS = Table(
    "holders",
    TABLES,
    Column("job", Text, primary_key=True),
    Column("session", Text, nullable=False),
)

BATCHES = Table(
    "batches",
    TABLES,
    Column("name", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("job", Text, nullable=False),
    Column("job_name", Text),
    Column("state", Text, nullable=False),
    Column("keys_sha256", Text, nullable=False),
    Column("n", Integer, nullable=False),
    Column("reserved_usd", Double, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("session", Text, nullable=False),
)
