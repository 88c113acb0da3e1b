import numpy as np
import pyarrow as pa
import pytest

from routecal.storage.errors import DuplicateRows, SchemaMismatch
from routecal.storage.example_join import join_examples, rows_of
from routecal.storage.query_identity import split_of
from routecal.storage.schemas import SCHEMAS


def test_joins_what_all_three_have(queries, labels, features):
    table, unmatched = join_examples(queries.slice(0, 9), labels.slice(1), features.take([5, 4, 3, 2, 1, 0, 8]))
    # rows 1, 2, 3, 4, 5, 8 are in all three
    assert unmatched == {"queries": 3, "labels": 3, "features": 1}
    assert table.schema.equals(SCHEMAS["examples"])
    rows = table.to_pylist()
    assert [r["query_id"] for r in rows] == sorted(r["query_id"] for r in rows)
    assert {r["query"] for r in rows} == {f"What is question number {i}?" for i in (1, 2, 3, 4, 5, 8)}
    for row in rows:
        i = int(row["query"][-2])
        assert row["logits"] == [float(i), 0.0, 1.0]
        assert row["n_tokens"] == i
        assert row["medium_grade"] == ("CORRECT" if i < 4 else "INCORRECT")
        # router: Standard for 0-5, Complex from 6; truth: Standard 0-3, Complex 4-7, Ambiguous 8-9
        assert row["is_correct"] == (i in (0, 1, 2, 3, 6, 7))
        assert row["split"] == split_of(row["query"])


def test_order_of_the_input_does_not_matter(queries, labels, features):
    back = list(range(9, -1, -1))
    first = join_examples(queries, labels, features)
    assert join_examples(queries.take(back), labels, features.take(back)) == first
    assert first.table.num_rows == 10


def test_nothing_in_common(queries, labels, features):
    table, unmatched = join_examples(queries.slice(0, 3), labels.slice(3, 3), features)
    assert table.num_rows == 0
    assert unmatched == {"queries": 3, "labels": 3, "features": 10}
    assert table.schema.equals(SCHEMAS["examples"])


def test_two_oracles_at_once_are_refused(queries, labels, features):
    with pytest.raises(DuplicateRows, match="labels has several rows"):
        join_examples(queries, pa.concat_tables([labels, labels.slice(0, 1)]), features)


def test_vectors_line_up_with_examples(queries, labels, features):
    examples = join_examples(queries, labels, features).table
    rows = rows_of(features, examples["query_id"])
    assert rows["query_id"].equals(examples["query_id"])
    hidden = rows["hidden"].combine_chunks().flatten().to_numpy().reshape(10, 4)
    assert np.array_equal(hidden[:, 0], 4 * examples["n_tokens"].to_numpy())
    with pytest.raises(SchemaMismatch, match="1 queries have no row"):
        rows_of(features.slice(1), features["query_id"])
