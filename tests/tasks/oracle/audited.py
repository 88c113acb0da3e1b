"""Made labels for the tests of the audit."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from routecal.calib.policy import Grade, OracleMatrix
from routecal.storage.schemas import SCHEMAS

C, W, N = Grade  # correct, wrong, not attempted


def label(i: int, medium: Grade | None, large: Grade | None, **changes: Any) -> dict[str, Any]:
    return {
        "query_id": f"q{i}",
        "oracle": "gemini",
        "medium_model": "alpha-small",
        "large_model": "beta-large",
        "medium_answer": f"answer {i} one",
        "large_answer": f"answer {i} two",
        "medium_grade": medium and medium.value,
        "large_grade": large and large.value,
        "true_policy": OracleMatrix().true_policy(medium or C, large or C).value,
        "judge": "zeta",
        "labelled_at": datetime(2026, 11, 22, tzinfo=UTC),
        **changes,
    }


def tables(rows: list[dict[str, Any]]) -> tuple[pa.Table, pa.Table]:
    queries = [
        {"query_id": row["query_id"], "query": f"Question {row['query_id']}?", "ground_truth": "Lima", "source": "s"}
        | ({"aliases": ["City of Kings"]} if i == 0 else {})
        for i, row in enumerate(rows)
    ]
    return (
        pa.Table.from_pylist(rows, schema=SCHEMAS["labels"]),
        pa.Table.from_pylist(queries, schema=SCHEMAS["queries"]),
    )
