"""What a log says of decisions as a whole: how many of which kind, how fast, and what their answers cost."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from routecal.storage.query_files import sql_of
from routecal.storage.served.file_parts import FileParts, database
from routecal.storage.served.tables import ANSWERS, DECISIONS

_WINDOWS = sql_of("served", "decision_windows")
# A file whose newest decision is older than this counts in no window but that of all.
_OLD = timedelta(days=1, minutes=1)


@dataclass(frozen=True)
class Window:
    """Decisions since a time.

    Attributes:
        name: last hour, last day, all.
        since: a whole minute; None where there is no decision.
        n: decisions.
        medium, large: by what served.
        ok, fallback, unlike, shadow, asked: by status.
        p50_s, p95_s: seconds to a decision, waiting included, within 1 %; None where there is no decision.
    """

    name: str
    since: datetime | None
    n: int
    medium: int
    large: int
    ok: int
    fallback: int
    unlike: int
    shadow: int
    asked: int
    p50_s: float | None
    p95_s: float | None


@dataclass(frozen=True)
class AnswerCosts:
    """Costs of answers, as `storage/sql/served/answer_costs.sql` has them of one file.

    Attributes:
        served: medium or large.
        n: answers with a known price.
        n_unpriced: whole answers without one.
        mean_usd, m2, m3: of those with one; 0 where there is none.
    """

    served: str
    n: int
    n_unpriced: int
    mean_usd: float
    m2: float
    m3: float


class Traffic:
    """Counts and costs of a log; for one thread.

    Args:
        log: folder of the decision log.
    """

    def __init__(self, log: Path) -> None:
        counted = ("at", "served", "status", "decided_s")
        self._decisions = FileParts(log / "decisions", DECISIONS, "decision_counts", counted)
        priced = ("served", "decision_status", "outcome", "status", "cost_usd")
        self._answers = FileParts(log / "answers", ANSWERS, "answer_costs", priced)

    def windows(self, now: datetime) -> list[Window]:
        """Decisions of the last hour, of the last day, and all.

        Raises:
            OSError, ValueError, duckdb.Error: a file of the log cannot be read.
        """
        parts = self._decisions.read()
        for stem, part in self._decisions.finished.items():
            self._decisions.finished[stem] = _without_minutes(part, before=now - _OLD)
        with database() as con:
            con.register("parts", parts)
            return [Window(**row) for row in con.sql(_WINDOWS, params={"now": now}).to_arrow_table().to_pylist()]

    def answer_costs(self) -> list[AnswerCosts]:
        """Of each file and model.

        Raises:
            OSError, ValueError, duckdb.Error: a file of the log cannot be read.
        """
        unknown = {"mean_usd": 0.0, "m2": 0.0, "m3": 0.0}
        rows = self._answers.read().to_pylist()
        return [AnswerCosts(**(row if row["n"] else row | unknown)) for row in rows]


def _without_minutes(part: pa.Table, *, before: datetime) -> pa.Table:
    """A part whose decisions are all older, under its oldest minute alone: a hundredth of the rows."""
    newest = pc.max(part["minute"]).as_py()
    if newest is None or newest >= before or pc.count_distinct(part["minute"]).as_py() == 1:
        return part
    found = part.group_by(["served", "status", "seconds"]).aggregate([("n", "sum"), ("minute", "min")])
    found = found.rename_columns({"n_sum": "n", "minute_min": "minute"})
    return found.select(part.column_names).cast(part.schema)
