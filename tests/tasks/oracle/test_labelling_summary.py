"""What a labelling run comes to, in one line."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from routecal.storage.artifact import Artifact, write_table
from routecal.storage.layout import Home
from routecal.storage.schemas import SCHEMAS
from routecal.tasks.oracle import result_line

KNOWN = {"oracle": "replay", "medium_model": "m", "large_model": "l", "judge": "j"}


def labels(policies: list[str], **costs: float) -> Artifact:
    """One label of each of these policies; the costs are those of the first."""
    blank: dict[str, Any] = {field.name: None for field in SCHEMAS["labels"]}
    rows = [
        blank | KNOWN | {"query_id": str(i), "true_policy": policy, "labelled_at": datetime(2026, 1, 1, tzinfo=UTC)}
        for i, policy in enumerate(policies)
    ]
    rows[0] |= costs
    return write_table(pa.Table.from_pylist(rows, schema=SCHEMAS["labels"]), "labels", home=Home.from_env())


@pytest.mark.parametrize(
    ("costs", "said"),
    [
        ({}, "cost not known"),
        ({"medium_cost_usd": 0.25, "large_cost_usd": 1.5, "judge_cost_usd": 0.5}, "cost 2.25 USD"),
    ],
)
def test_rows_shares_of_policies_and_cost_are_the_result(costs: dict[str, float], said: str) -> None:
    stored = labels(["Standard_Query", "Standard_Query", "Standard_Query", "Ambiguous_Query"], **costs)
    assert result_line(stored, 5) == (
        f"4 of 5 queries labelled: 75% Standard_Query, 0% Complex_Query, 25% Ambiguous_Query; {said}"
    )
