"""The outcome head as a step: what it needs, whom it tells what, and that test rows teach nothing."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from routecal.calib.errors import UnknownName
from routecal.calib.outcome.outcome_folder import load_outcome_head
from routecal.calib.settings import Reading
from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.folder_artifact import local_folder
from routecal.storage.layout import Home
from routecal.tasks.extract import extract_shard
from routecal.tasks.load_examples import load_blocks, load_examples, outcome_block_names
from routecal.tasks.outcome import predict_outcomes, train_outcome_head, why_no_outcome_head
from tests.tasks.made import Made


def with_grades(examples: Artifact, rows: pa.Array, medium: str | None, large: str) -> Artifact:
    """The examples with other grades in some rows."""
    table = read_table(examples)
    for name, grade in (("medium_grade", medium), ("large_grade", large)):
        at = table.schema.get_field_index(name)
        changed = pc.if_else(rows, pa.scalar(grade, pa.string()), table[name])
        table = table.set_column(at, table.schema.field(name), changed)
    return write_table(table, "examples", home=Home.from_env())


def in_test(examples: Artifact) -> pa.Array:
    return pc.equal(read_table(examples)["split"], "test")


def test_a_middle_layer_is_extracted_beside_what_the_confidence_head_reads(made: Made) -> None:
    assert outcome_block_names(made.features) == ("hidden_L1_mean",)
    chosen = extract_shard.fn(made.queries, made.router, Reading(outcome_layers=(1, -1))).features
    assert outcome_block_names(chosen) == ("hidden_L1_mean", "hidden_L2_mean")
    none = extract_shard.fn(made.queries, made.router, Reading(outcome_layers=())).features
    assert outcome_block_names(none) == ()
    assert "routecal extract" in (why_no_outcome_head(made.examples, none) or "")


def test_what_it_says_of_a_row_is_what_the_stored_head_says(made: Made) -> None:
    assert why_no_outcome_head(made.examples, made.features) is None
    stored = train_outcome_head.fn(made.examples, made.features)
    head = load_outcome_head(local_folder(stored))
    assert head.lineage["examples_sha256"] == made.examples.sha256
    assert {row["block"] for row in head.lineage["tried"]} == set(head.blocks)
    said = read_table(predict_outcomes.fn(made.examples, made.features, stored))
    rows, test = load_examples(made.examples, made.features), np.array(in_test(made.examples).to_pylist())
    p = head.probabilities(load_blocks(made.examples, made.features, head.blocks), rows.logits)
    expected = {
        "gain": head.cells.gain(p),
        "medium_right": head.cells.medium_right(p),
        "large_right": head.cells.large_right(p),
        "confidence": head.cells.confidence(p, rows.policy),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(said[name].to_numpy()[test], values[test], atol=1e-12)
    # labelled rows are told by what left them out, which says something else
    assert np.abs(said["gain"].to_numpy() - expected["gain"])[~test].max() > 0


def test_grades_of_test_rows_teach_nothing(made: Made) -> None:
    changed = with_grades(made.examples, in_test(made.examples), "INCORRECT", "CORRECT")
    one, other = (
        load_outcome_head(local_folder(train_outcome_head.fn(examples, made.features)))
        for examples in (made.examples, changed)
    )
    for mine, theirs in zip(one.readers, other.readers, strict=True):
        assert np.array_equal(np.array(mine.weights), np.array(theirs.weights))


def test_grades_of_labelled_rows_do(made: Made) -> None:
    changed = with_grades(made.examples, pc.invert(in_test(made.examples)), "INCORRECT", "CORRECT")
    stored = train_outcome_head.fn(changed, made.features)
    gain = read_table(predict_outcomes.fn(changed, made.features, stored))["gain"].to_numpy()
    assert gain.min() > 0.8


def test_labels_without_grades_teach_none(made: Made) -> None:
    changed = with_grades(made.examples, in_test(made.examples), None, "CORRECT")
    why = why_no_outcome_head(changed, made.features)
    assert why is not None
    assert why.startswith(f"{pc.sum(in_test(made.examples)).as_py()} of {made.examples.rows} labels")


@pytest.mark.parametrize("layer", [3, -3])
def test_a_layer_that_is_not_there_is_refused(made: Made, layer: int) -> None:
    with pytest.raises(UnknownName, match="layer of this router"):
        extract_shard.fn(made.queries, made.router, Reading(outcome_layers=(layer,)))
