"""Small labelling runs through the whole engine, against the test server, and what they must add up to."""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from routecal.calib.policy import OracleMatrix
from routecal.storage.ledger.url import locate
from routecal.storage.query_identity import query_id
from routecal.storage.schemas import SCHEMAS
from routecal.tasks.oracle.api_labels import Labelled, label_queries
from routecal.tasks.oracle.api_oracle import ApiOracle
from routecal.tasks.oracle.call import Usage
from routecal.tasks.oracle.engine.labelling_job import Tally
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec
from routecal.tasks.oracle.job_runner import JobRunner, job_runner
from routecal.tasks.oracle.money.pricing import Prices
from routecal.tasks.oracle.providers.gemini import Gemini
from tests.gemini_server.answers import Answers, same_words
from tests.gemini_server.server import GeminiServer
from tests.gemini_server.wire import Request, tokens_of

MEDIUM, LARGE, JUDGE = "gemini-3.8-flash", "gemini-4-argon", "gemini-4-hydrogen"
# As long as a real one: what looks like the key is blotted out of everything that is kept.
KEY = "AIzaSy-of-no-account-at-all-0123456789-x"
REFERENCE = "Lake Titicaca"
# Long enough for no exact match, so that a judge is asked; the second is silence, which no judge is asked about.
RIGHT, WRONG, SILENT = f"It is {REFERENCE}, as far as I know.", "I am sure that it is Lake Ladoga.", "I don't know"


def asked(n: int, *, first: int = 0) -> pa.Table:
    """n different queries with a reference."""
    return queries_of([f"Which lake is number {i} of the high ones?" for i in range(first, first + n)])


def queries_of(texts: list[str]) -> pa.Table:
    """Queries as they are, equal ones too."""
    rows = [
        {"query_id": f"{query_id(text)[:12]}-{i}", "query": text, "ground_truth": REFERENCE, "source": "made"}
        for i, text in enumerate(texts)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMAS["queries"])


def by_number(medium: int = 2, large: int = 3) -> Callable[[Request], str]:
    """Every `medium`-th query is known to the medium model, every `large`-th to the large one; all else is wrong."""

    def respond(request: Request) -> str:
        if request.schema is not None:
            return Answers(grade=same_words)(request)
        number = int("".join(c for c in request.prompt if c.isdigit()))
        return RIGHT if number % (medium if request.model == MEDIUM else large) == 0 else WRONG

    return respond


POLICIES = {(True, True): "Standard_Query", (True, False): "Standard_Query", (False, True): "Complex_Query"}


def true_policies(n: int) -> list[str]:
    """Of `asked(n)`, answered `by_number`."""
    return [POLICIES.get((i % 2 == 0, i % 3 == 0), "Ambiguous_Query") for i in range(n)]


class Bill:
    """What the provider charges: every answer it has written, whether or not anybody received it."""

    def __init__(self, respond: Callable[[Request], str], thoughts: int = 0) -> None:
        self.respond, self.thoughts, self.usd, self.calls = respond, thoughts, 0.0, 0
        self._prices = Prices.load()

    def __call__(self, request: Request) -> str:
        text = self.respond(request)
        usage = Usage(request.tokens, 0, tokens_of(text), self.thoughts)
        usd = self._prices.usd(request.model, usage, tier="online", at=datetime.now(UTC))
        assert usd is not None
        self.usd, self.calls = self.usd + usd, self.calls + 1
        return text


def oracle_of(*, judge: str = JUDGE, medium: str = MEDIUM, large: str = LARGE, **judging: Any) -> ApiOracle:
    """Three models, one for each part."""
    return ApiOracle(
        kind="gemini",
        provider="gemini",
        medium=ModelSpec(model=medium),
        large=ModelSpec(model=large),
        judge=JudgeSpec(first=ModelSpec(model=judge), **judging),
    )


def pace_of(server: GeminiServer, **pace: Any) -> Pace:
    """In a hurry."""
    return Pace(**({"job": "job", "run": "1", "base_url": server.url, "backoff_s": 0.01} | pace))


def desk_at(server: GeminiServer, rows: int, *, key: str = KEY, **pace: Any) -> Any:
    """A runner that asks the server."""
    return job_runner(pace_of(server, **pace), lambda: [Gemini.create(key=key, base_url=server.url)], rows)


@dataclass(frozen=True)
class Run:
    """What came of a run; `labelled` or `error`."""

    labelled: Labelled | None
    error: Exception | None
    tally: Tally
    reason: Exception | None

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The labels, without the time at which they were made."""
        assert self.labelled is not None, self.error
        return self.labelled.table.drop_columns(["labelled_at"]).to_pylist()


def run(server: GeminiServer, queries: pa.Table, *, oracle: ApiOracle | None = None, **pace: Any) -> Run:
    """Label in one shard, with a runner of its own."""
    with desk_at(server, queries.num_rows, **pace) as runner:
        return shard(runner, queries, oracle or oracle_of())


def shard(runner: JobRunner, queries: pa.Table, oracle: ApiOracle) -> Run:
    """Label in one shard at a runner that is open."""
    try:
        found, error = runner.run(label_queries(queries, oracle, OracleMatrix(), runner)), None
    except Exception as stopped:
        found, error = None, stopped
    return Run(found, error, runner.job.tally, runner.job.reason)


def recorded(table: str = "calls") -> list[dict[str, Any]]:
    """The rows of a table in the ledger of this test."""
    with closing(sqlite3.connect(Path(locate().database or ""))) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]


def paid_once(server: GeminiServer, n: int) -> None:
    """Every call that was billed is in the ledger with its response, and none was billed twice."""
    calls = recorded()
    assert [call["state"] for call in calls] == ["ended"] * n
    assert server.stats()["billed"] == server.stats()["billed_once"] == n


def served(server: GeminiServer) -> Mapping[str, int]:
    """Requests by model."""
    return {model: sum(statuses.values()) for model, statuses in server.stats()["models"].items()}
