"""The outcome head: fitted on the labelled rows, and what it says of every row."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from routecal.calib.examples import LABELLED, Examples
from routecal.calib.learn.cross_fit import FOLDS, fold_of
from routecal.calib.outcome.cells import Cells
from routecal.calib.outcome.fit import fit_outcome
from routecal.calib.outcome.outcome_folder import load_outcome_head, save_outcome_head
from routecal.calib.policy import OracleMatrix
from routecal.storage.artifact import Artifact, read_metadata, read_table, write_table
from routecal.storage.folder_artifact import local_folder, write_folder
from routecal.storage.layout import Home
from routecal.tasks.cache import step
from routecal.tasks.load_examples import load_blocks, load_examples, outcome_block_names
from routecal.tasks.version import code_version

# Its name in manifests.
OUTCOME = "outcome head"


def why_no_outcome_head(examples: Artifact, features: Artifact) -> str | None:
    """Why these rows can teach no outcome head, in a sentence; None where they can."""
    table = read_table(examples, columns=["medium_grade", "large_grade"])
    if missing := max(column.null_count for column in table.columns):
        return (
            f"{missing} of {table.num_rows} labels say the policy alone, without grades of both answers, so which "
            "model is right cannot be learned; decisions go by confidence"
        )
    if not outcome_block_names(features):
        return (
            "the features hold no middle layers, which the outcome head reads; run `routecal extract` again, or give "
            "--outcome-layers; decisions go by confidence"
        )
    return None


@step(
    "fit outcome head",
    "fit the outcome head on {examples.rows} examples",
    on=("tasks.load_examples", "calib.outcome.fit", "calib.outcome.outcome_folder", "calib.learn.cross_fit"),
)
def train_outcome_head(examples: Artifact, features: Artifact) -> Artifact:
    """Which of both models will be right: probabilities of the joint outcome, cross-fitted on the labelled rows.

    Args:
        examples, features: with grades and outcome blocks, see `why_no_outcome_head`.
    """
    labelled = np.isin(read_table(examples, columns=["split"])["split"].to_pylist(), LABELLED)
    rows = load_examples(examples, features).where(labelled)
    read = load_blocks(examples, features, outcome_block_names(features))
    blocks = {name: vectors[labelled] for name, vectors in read.items()}
    matrix = OracleMatrix()
    cells = Cells.of(matrix)
    grades = read_table(examples, columns=["medium_grade", "large_grade"]).filter(pa.array(labelled))
    cell = cells.index(grades["medium_grade"].to_pylist(), grades["large_grade"].to_pylist(), matrix)
    found = fit_outcome(blocks, rows.logits, cell, _fold(rows), cells)
    lineage: dict[str, Any] = {
        "examples_sha256": examples.sha256,
        "features_sha256": features.sha256,
        "feature_schema": read_metadata(features),
        "rows": int(labelled.sum()),
        "tried": [tried._asdict() for tried in found.table],
        "code": code_version(),
    }
    head = replace(found.head, lineage=lineage)
    return write_folder("outcome_heads", lambda folder: save_outcome_head(head, folder), home=Home.from_env())


@step(
    "predict outcomes",
    "predict the outcomes of {examples.rows} examples",
    on=("tasks.load_examples", "calib.outcome.head", "calib.learn.cross_fit"),
)
def predict_outcomes(examples: Artifact, features: Artifact, outcome_head: Artifact) -> Artifact:
    """Gain, P(medium right), P(large right) and the confidence that follows; labelled rows are told out of fold."""
    head = load_outcome_head(local_folder(outcome_head))
    rows, table = load_examples(examples, features), read_table(examples, columns=["query_id", "split"])
    fold = np.where(rows.split == "test", -1, _fold(rows))
    p = head.out_of_fold(load_blocks(examples, features, head.blocks), rows.logits, fold)
    columns = {
        "query_id": table["query_id"],
        "split": table["split"],
        "gain": head.cells.gain(p),
        "medium_right": head.cells.medium_right(p),
        "large_right": head.cells.large_right(p),
        "confidence": head.cells.confidence(p, rows.policy),
    }
    return write_table(pa.table(columns), "outcome_predictions", home=Home.from_env())


def _fold(rows: Examples) -> NDArray[np.int64]:
    assert rows.share is not None
    return fold_of(rows.share, FOLDS)
