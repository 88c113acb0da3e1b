"""The `replay` oracle: answers and grades that were recorded before."""

from datetime import UTC, datetime

import pyarrow as pa

from calib.policy import OracleMatrix
from storage.artifact import read_table
from storage.schemas import SCHEMAS
from tasks.oracle.spec import ReplayOracle

# Columns that a label takes from its outcome as they are.
_SAME = (
    "medium_answer",
    "large_answer",
    "medium_tokens_in",
    "medium_tokens_out",
    "large_tokens_in",
    "large_tokens_out",
    "medium_cost_usd",
    "large_cost_usd",
)


def label(queries: pa.Table, oracle: ReplayOracle, matrix: OracleMatrix) -> pa.Table:
    """One row of `labels` for every query that has a recorded outcome; the others get none."""
    outcomes = {row["query_id"]: row for row in read_table(oracle.outcomes).to_pylist()}
    now = datetime.now(UTC)
    rows = [
        {
            "query_id": query_id,
            "oracle": "replay",
            "medium_model": row["medium_model"] or "unknown",
            "large_model": row["large_model"] or "unknown",
            "medium_grade": row["medium_label"],
            "large_grade": row["large_label"],
            "true_policy": matrix.true_policy(row["medium_label"], row["large_label"]).value,
            "judge": row["label_source"] or "recorded",
            "labelled_at": now,
            **{name: row[name] for name in _SAME},
        }
        for query_id in queries["query_id"].to_pylist()
        if (row := outcomes.get(query_id))
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMAS["labels"])
