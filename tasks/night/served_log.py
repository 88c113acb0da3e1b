"""The decision log of `routecal serve-router`, as a night reads it: new queries, and what was served so far."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, Field

from routecal.calib.feedback.rule_values import RuleValue, rule_values
from routecal.storage.atomic import local_path
from routecal.storage.schemas import SCHEMAS
from routecal.storage.served.graded import graded
from routecal.storage.served.journal import read_served
from routecal.storage.served.tables import DECISIONS
from routecal.storage.served.traffic import Traffic


class ServedDigest(BaseModel, frozen=True):
    """What was served, in numbers."""

    n: int = Field(description="decisions in the log")
    n_large: int = Field(description="that the large model served")
    n_graded: int = Field(description="decided by a head, and of which the served answer was graded")
    values: tuple[RuleValue, ...] = Field(default=(), description="how often answers are right under three rules")

    @property
    def sentences(self) -> list[str]:
        """For a page."""
        if not self.n:
            return ["the decision log is empty"]
        first = f"{self.n:,} decisions are logged, {self.n_large / self.n:.1%} of them served by the large model"
        if not self.values:
            return [first, "nobody has graded an answer: send grades to /v1/feedback"]
        return [first, *(_sentence(value, self.n_graded) for value in self.values)]


def decision_log(inbox: str) -> Path | None:
    """The folder, if an inbox is the log of a service on this machine."""
    folder = local_path(inbox)
    return folder if folder is not None and (folder / "decisions").is_dir() else None


def served_queries(log: Path) -> pa.Table:
    """Every query whose text was kept, as a table of the kind `queries`, oldest first; texts may come twice."""
    columns = ["at", "query_id", "query"]
    rows = read_served(log / "decisions", DECISIONS, columns=columns, keep=lambda table: table.filter(_has_text(table)))
    rows = rows.sort_by("at")
    known = {
        "query_id": rows["query_id"],
        "query": rows["query"],
        "received_at": rows["at"],
        "source": pa.repeat(str(log), rows.num_rows),
    }
    schema = SCHEMAS["queries"]
    return pa.table([known.get(field.name, pa.nulls(rows.num_rows, field.type)) for field in schema], schema=schema)


def digest_of(log: Path) -> ServedDigest:
    """What was served, and how often answers were right under other rules, as far as grades and chance can tell."""
    everything = Traffic(log).windows(datetime.now(UTC))[-1]
    rows = graded(log)
    # Where no head had a say its rule would have served otherwise, and so under a threshold of the request's own.
    is_ruled = pc.and_(pc.equal(rows["status"], "ok"), pc.not_equal(rows["decides_by"], "medium_enough"))
    rows = rows.filter(is_ruled)
    large = np.array(pc.equal(rows["served"], "large").to_pylist(), bool)
    arms = [np.array(rows[name].to_pylist(), float) for name in ("medium_was_right", "large_was_right")]
    right = np.where(large, arms[1], arms[0])
    is_known = ~np.isnan(right)
    said = np.column_stack([np.array(rows[name].to_pylist(), float) for name in ("medium_right", "large_right")])
    values: Sequence[RuleValue] = ()
    if is_known.any():
        known = said[is_known]
        values = rule_values(
            large[is_known],
            np.array(rows["propensity"].to_pylist(), float)[is_known],
            right[is_known],
            np.array(rows["escalate"].to_pylist(), bool)[is_known],
            None if np.isnan(known).any() else known,
        )
    return ServedDigest(n=everything.n, n_large=everything.large, n_graded=int(is_known.sum()), values=tuple(values))


def _has_text(table: pa.Table) -> pa.ChunkedArray:
    text = table["query"]
    return pc.and_kleene(pc.is_valid(text), pc.not_equal(pc.utf8_trim_whitespace(text), ""))


def _sentence(value: RuleValue, n: int) -> str:
    if value.right is None:
        return f"{value.rule}: how often answers are right cannot be told ({value.reason})"
    right = value.right
    return (
        f"{value.rule}: {right.value:.1%} of answers are right, by {n:,} graded ones "
        f"(95% interval {right.low:.1%} to {right.high:.1%})"
    )
