"""Slices of the test split against calib called directly."""

import numpy as np
import pyarrow as pa
import pytest

from routecal.calib.metrics import summarise
from routecal.storage.artifact import Artifact, read_table, write_table
from routecal.storage.layout import Home
from routecal.tasks.evaluate import OTHER, predict, score_slices
from tests.tasks.made import Made


@pytest.fixture(scope="module")
def predictions(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTECAL_HOME", str(tmp_path_factory.mktemp("slices")))
        return predict.fn(made.examples, made.features, {})


def test_every_test_row_is_in_one_slice_of_each_kind(made: Made, predictions: Artifact) -> None:
    rows = [r for r in read_table(made.examples).to_pylist() if r["split"] == "test"]
    found = score_slices.fn(predictions, made.examples, "max_prob", 0)
    assert found.method == "max_prob"
    assert list(found.tables) == ["router's policy", "length in tokens"]  # no query of these has a topic
    for table in found.tables.values():
        assert sum(s.n for s in table.values()) == len(rows)
    said = {r["query_id"]: r["p"] for r in read_table(predictions).to_pylist() if r["method"] == "max_prob"}
    for policy, summary in found.tables["router's policy"].items():
        kept = [r for r in rows if r["router_policy"] == policy]
        p, y = [said[r["query_id"]] for r in kept], [float(r["is_correct"]) for r in kept]
        assert summary == summarise(p, y, n_replicates=400, seed=0)


def test_small_topics_are_taken_together(made: Made, predictions: Artifact) -> None:
    table = read_table(made.examples)
    test = np.flatnonzero(np.array(table["split"].to_pylist()) == "test")
    topics: list[str | None] = ["other split"] * table.num_rows
    for i, row in enumerate(test):
        topics[row] = "big" if i < 30 else None if i < 35 else f"small {i}"
    at = table.schema.get_field_index("topic")
    with_topics = table.set_column(at, table.schema.field("topic"), pa.array(topics))
    examples = write_table(with_topics, "examples", home=Home.from_env())
    found = score_slices.fn(predictions, examples, "max_prob", 0).tables["topic"]
    assert {name: s.n for name, s in found.items()} == {"big": 30, OTHER: len(test) - 30}
