"""Evaluation: the confidence of every method on every split, and what it is worth on the test split and parts of it."""

from collections import Counter

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field

from routecal.calib.baselines import BASELINES, usable
from routecal.calib.examples import LABELLED, WARN_BELOW
from routecal.calib.learn.cross_fit import unseen
from routecal.calib.metrics import by_slice, deciles
from routecal.calib.metrics.bootstrap import Estimate, paired_difference
from routecal.calib.metrics.summary import Summary, summarise
from routecal.calib.router.pooling import DEFAULT
from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.example_join import rows_of
from routecal.storage.layout import Home
from routecal.tasks.cache import step
from routecal.tasks.escalation_result import Escalation
from routecal.tasks.load_examples import load_examples
from routecal.tasks.operating_table import FEWEST
from routecal.tasks.train import open_head

# The head in question, and what it is compared with row by row.
FINAL, RIVAL = "SFT + RL + recalibration", "temperature"
# Whose confidences decide, beside the joint outcome, in a comparison of costs.
ESCALATED = ("entropy", FINAL)
# Topics of fewer test rows than `FEWEST` taken together: their noise bands hold nearly any ECE.
OTHER = "(smaller topics)"


class Slices(BaseModel, frozen=True):
    """One method on parts of the test split."""

    method: str
    tables: dict[str, dict[str, Summary]] = Field(description="kind of slice -> slice -> its numbers")


class Evaluation(BaseModel, frozen=True):
    """What every method is worth on the test split."""

    methods: dict[str, Summary] = Field(description="by method, in the order of the table")
    brier_difference: Estimate | None = Field(description=f"Brier of «{FINAL}» minus that of «{RIVAL}», paired")
    slices: Slices | None = Field(default=None, description="the head in question on parts of the test split")
    escalation: Escalation | None = Field(default=None, description="what escalating by confidence costs and brings")


@step(
    "predict",
    "predict the confidence of {examples.rows} examples",
    on=("tasks.load_examples", "calib.baselines", "calib.learn.cross_fit"),
)
def predict(examples: Artifact, features: Artifact, heads: dict[str, Artifact]) -> Artifact:
    """Confidence on all splits of `heads`, and of the baselines that these features allow, on the last head's blocks.

    A cross-fitted head predicts a labelled query by the members that were not trained on it. A baseline is fitted on
    every labelled row, as it likes; on those rows its confidence is not to be trusted.
    """
    opened = {name: open_head(head, features) for name, head in heads.items()}
    blocks = [head.blocks for head in opened.values()] or [(DEFAULT,)]
    read = {names: load_examples(examples, features, blocks=names) for names in dict.fromkeys(blocks)}
    data = read[blocks[-1]]
    labelled = data.only(*LABELLED)
    p = {name: BASELINES[name](labelled, seed=0)(data) for name in usable(data)}
    p |= {name: head.recalibrator(unseen(head.head, read[head.blocks])) for name, head in opened.items()}
    facts = read_table(examples, columns=["query_id", "split", "is_correct"])
    tables = [
        pa.table(
            {
                "query_id": facts["query_id"],
                "method": pa.array([name] * len(data)),
                "split": facts["split"],
                "p": pa.array(values),
                "is_correct": facts["is_correct"],
            }
        )
        for name, values in p.items()
    ]
    return write_table(pa.concat_tables(tables), "predictions", home=Home.from_env())


@step("score", "score every method on the test split", on=("calib.metrics",))
def score(predictions: Artifact, seed: int) -> Evaluation:
    """Metrics of every method on the test split, with 95% intervals (99% where labels are few)."""
    table = read_table(predictions)
    methods = list(dict.fromkeys(table["method"].to_pylist()))
    level = 0.95 if table.num_rows / len(methods) >= WARN_BELOW else 0.99
    test = {name: test_rows(table, name) for name in methods}
    difference = None
    if FINAL in test and RIVAL in test:
        (p_final, y), (p_rival, _) = test[FINAL], test[RIVAL]
        difference = paired_difference("brier", p_final, p_rival, y, level=level, seed=seed)
    return Evaluation(
        methods={name: summarise(p, y, level=level, seed=seed) for name, (p, y) in test.items()},
        brier_difference=difference,
    )


def compared(predictions: Artifact) -> list[str]:
    """Methods whose escalation is compared, of those that were predicted; the head in question last."""
    every = list(dict.fromkeys(read_table(predictions, columns=["method"])["method"].to_pylist()))
    return [*(name for name in ESCALATED if name in every[:-1]), every[-1]]


def test_rows(predictions: pa.Table, method: str) -> tuple[list[float], list[bool]]:
    """(p, is_correct) of one method on the test split, in the order of query_id."""
    chosen = predictions.filter((pa.compute.field("method") == method) & (pa.compute.field("split") == "test"))
    chosen = chosen.sort_by("query_id")
    return chosen["p"].to_pylist(), chosen["is_correct"].to_pylist()


@step("slices", "slices: score {method} by policy, length and topic", on=("storage.example_join", "calib.metrics"))
def score_slices(predictions: Artifact, examples: Artifact, method: str, seed: int) -> Slices:
    """`method` on the test split by the router's policy, by topic (where there are some) and by decile of length.

    Intervals hold slice by slice, not all at once: of forty slices expect one outside its band.
    """
    table = read_table(examples, columns=["query_id", "topic", "router_policy", "n_tokens", "split"])
    table = table.filter(pa.compute.field("split") == "test")
    predicted = read_table(predictions).filter(pa.compute.field("method") == method)
    predicted = rows_of(predicted, table["query_id"])
    labels = {"router's policy": table["router_policy"].to_pylist(), "length in tokens": deciles(table["n_tokens"])}
    if any(topics := table["topic"].to_pylist()):
        counts = Counter(topics)
        labels["topic"] = [t if t is not None and counts[t] >= FEWEST else OTHER for t in topics]
    p, y = predicted["p"].to_numpy(), np.array(predicted["is_correct"].to_pylist(), np.float64)
    tables = {kind: by_slice(p, y, parts, n_replicates=400, seed=seed) for kind, parts in labels.items()}
    return Slices(method=method, tables=tables)
