"""Escalation measured with some terms, and the same numbers read anew."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from routecal.calib.escalation import Outcomes
from routecal.calib.examples import LABELLED
from routecal.calib.policy import POLICIES
from routecal.calib.settings import EscalationTerms
from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.layout import Home
from routecal.tasks.escalate import escalate
from routecal.tasks.escalation_result import Escalation
from routecal.tasks.evaluate import FINAL

HALF = EscalationTerms(margin_confidence=0.5)
FLAT = EscalationTerms(medium_price=1, large_price=20, price_unit="relative", margin_confidence=0.5)
WIDE = EscalationTerms(medium_price=1, large_price=20, margin=0.2, margin_confidence=0.5)


def measured(
    predictions: Artifact,
    examples: Artifact,
    terms: EscalationTerms = FLAT,
    methods: Sequence[str] = ("entropy", FINAL),
    outcomes: Artifact | None = None,
) -> Escalation:
    return escalate.fn(predictions, examples, methods, LABELLED, terms, outcomes)


def changed(examples: Artifact, **columns: list[object]) -> Artifact:
    """The examples with other values in some columns."""
    table = read_table(examples)
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(name), pa.array(values, table.schema.field(name).type))
    return write_table(table, "examples", home=Home.from_env())


def parts(examples: Artifact, values: Artifact, column: str) -> list[tuple[Outcomes, np.ndarray, np.ndarray]]:
    """(outcomes, policy, values of the column) of the labelled rows and of the test rows, read anew."""
    rows, said = read_table(examples).to_pylist(), {r["query_id"]: r for r in read_table(values).to_pylist()}
    names = [policy.value for policy in POLICIES]
    found = []
    for splits in (LABELLED, ("test",)):
        kept = [r for r in rows if r["split"] in splits]
        grades = ([r["medium_grade"] for r in kept], [r["large_grade"] for r in kept])
        policy = np.array([names.index(r["router_policy"]) for r in kept])
        outcomes = Outcomes.of(*grades, medium_cost=1, large_cost=20)
        found.append((outcomes, policy, np.array([said[r["query_id"]][column] for r in kept])))
    return found
