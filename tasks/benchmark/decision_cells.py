"""Cells of decisions: every rule fitted to one set's labels, and what it says of labelled rows and of test rows."""

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from routecal.calib.outcome.cells import Cells
from routecal.calib.policy import OracleMatrix
from routecal.calib.router.pooling import DEFAULT
from routecal.calib.trial import decisions
from routecal.calib.trial.decision_rows import Decided, DecisionRows
from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.layout import Home
from routecal.storage.schemas import SCHEMAS
from routecal.tasks.benchmark.features import load_features
from routecal.tasks.benchmark.fit_cells import (
    examples_of,
    labelled_examples,
    labelled_table,
    tested_rows,
    weights_of,
)
from routecal.tasks.cache import step
from routecal.tasks.load_examples import outcome_block_names, policy_index


@step(
    "fit decisions",
    "fit {group} of decisions on {name}, {kind} router, division {division}, seed {seed}, {labels} labels",
    on=(
        "tasks.benchmark.features",
        "tasks.benchmark.fit_cells",
        "tasks.load_examples",
        "calib.trial.decisions",
        "calib.trial.protocol",
    ),
)
def fit_decisions(
    name: str,
    kind: str,
    division: int,
    seed: int,
    labels: int,
    rows: Artifact,
    features: Artifact,
    router: Artifact,
    group: str = "rules",
) -> Artifact:
    """What every rule of the group says of the rows that the seed draws, out of fold, and of the test rows."""
    torch.set_num_threads(1)  # a head is too small for two
    table, weights, matrix = read_table(rows), weights_of(router), OracleMatrix()
    drawn = labelled_table(table, division=division, seed=seed, labels=labels)
    tested = tested_rows(table, limit=None)
    labelled = labelled_examples(drawn, features, weights, DEFAULT)
    test = examples_of(tested["query_id"].to_pylist(), features, weights, DEFAULT)
    vectors, cells = load_features(features), Cells.of(matrix)
    blocks, test_blocks = (
        {block: vectors.of(one["query_id"].to_pylist(), block) for block in outcome_block_names(features)}
        for one in (drawn, tested)
    )
    cell = cells.index(drawn["medium_grade"].to_pylist(), drawn["large_grade"].to_pylist(), matrix)
    answers = decisions.decide(DecisionRows.of(labelled, test, blocks, test_blocks, cells, cell), group, seed=seed)
    tables = [
        _said(one, part, rule, said, examples.policy == policy_index(one["true_policy"]))
        for rule, answer in answers.items()
        for one, part, said, examples in (
            (drawn, "labelled", answer.labelled, labelled),
            (tested, "test", answer.test, test),
        )
    ]
    facts = {
        "set": name,
        "router": kind,
        "division": str(division),
        "seed": str(seed),
        "asked": str(labels),
        "labels": str(len(labelled)),
    }
    return write_table(pa.concat_tables(tables), "benchmark_decisions", home=Home.from_env(), metadata=facts)


def _said(table: pa.Table, part: str, rule: str, said: Decided, correct: NDArray[np.bool_]) -> pa.Table:
    n = table.num_rows
    nothing = pa.nulls(n, pa.float64())
    columns = {
        "query_id": table["query_id"],
        "part": pa.array([part] * n),
        "rule": pa.array([rule] * n),
        "need": pa.array(said.need),
        **{field: nothing if p is None else pa.array(p) for field, p in zip(said._fields[1:], said[1:], strict=True)},
        "is_correct": pa.array(correct),
    }
    return pa.table(columns, schema=SCHEMAS["benchmark_decisions"])
