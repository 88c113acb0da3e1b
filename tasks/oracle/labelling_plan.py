"""A labelling run reckoned through before it begins, without the answers that the ledger holds already."""

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from routecal.storage.artifact import Artifact, read_table
from routecal.storage.ledger import Ledger
from routecal.tasks.oracle.api_oracle import ApiOracle
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.grading.answering import Role, answer_call
from routecal.tasks.oracle.grading.judging import ModelSpec
from routecal.tasks.oracle.money.pricing import Prices
from routecal.tasks.oracle.planning.forecast import LabellingPlan
from routecal.tasks.oracle.planning.plan import labelling_plan
from routecal.tasks.spend import ledger_exists

# Keys looked up at a time: a million texts are never a million keys in memory.
CHUNK = 50_000


def plan_labels(queries: Artifact, oracle: ApiOracle, pace: Pace) -> LabellingPlan:
    """What labelling the queries would take. Nothing is asked, and no ledger is made.

    Answers that are paid are left out. What the judges would be asked depends on answers, so of theirs none are.

    Raises:
        UnknownPrice: of one of the models.
        InputMissing, PricesInvalid: of the user's list of prices.
        StorageError: the ledger cannot be read.
    """
    table = read_table(queries, columns=["query", "ground_truth", "aliases"])
    paid = paid_answers(table, oracle)
    found = labelling_plan(
        table,
        medium=oracle.medium,
        large=oracle.large,
        judge=oracle.judge,
        prices=Prices.load(pace.prices),
        limits=pace,
        tier=pace.backend,
        at=datetime.now(UTC),
        paid=paid,
        provider=oracle.provider,
    )
    if not (n := sum(paid.values())):
        return found
    note = f"{n:,} answers are in the ledger and left out; judgements that are there too are not, as nobody knows which"
    return replace(found, notes=(*found.notes, note))


def paid_answers(queries: pa.Table, oracle: ApiOracle) -> dict[str, int]:
    """How many different queries each model has answered already: `medium` and `large` -> count."""
    if not ledger_exists():
        return {}
    with Ledger.open() as ledger:
        if not len(ledger):
            return {}
        texts = pc.unique(queries["query"].filter(queries["ground_truth"].is_valid()))
        return {
            "medium": _n_paid(ledger, texts, oracle.medium, oracle.provider, "medium"),
            "large": _n_paid(ledger, texts, oracle.large, oracle.provider, "large"),
        }


def _n_paid(ledger: Ledger, texts: pa.Array, spec: ModelSpec, provider: str, role: Role) -> int:
    asked = answer_call("", spec=spec, provider=provider, role=role)
    parts = (texts.slice(at, CHUNK).to_pylist() for at in range(0, len(texts), CHUNK))
    return sum(ledger.n_ended(asked.keys(part)) for part in parts)
