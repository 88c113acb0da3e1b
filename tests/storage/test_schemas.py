import pyarrow as pa
import pytest

from routecal.calib.policy import Grade
from routecal.storage.benchmark_schemas import BENCHMARK
from routecal.storage.errors import SchemaMismatch, UnknownName
from routecal.storage.schemas import GRADES, SCHEMAS, conform


def test_the_science_knows_the_same_grades():
    assert tuple(Grade) == GRADES


def test_every_kind_of_rows_about_queries_starts_with_the_query_id():
    about_queries = {kind: schema for kind, schema in SCHEMAS.items() if kind not in {*BENCHMARK, "nights"}}
    assert all(schema.names[0] == "query_id" and not schema.field(0).nullable for schema in about_queries.values())


def refused(table, kind):
    with pytest.raises(SchemaMismatch) as caught:
        conform(table, kind)
    return str(caught.value)


def test_names_what_is_wrong(queries, features):
    assert "missing source" in refused(queries.drop_columns("source"), "queries")
    assert "unknown z" in refused(queries.append_column("z", queries["query"]), "queries")
    assert "the order is" in refused(queries.select(list(reversed(queries.column_names))), "queries")
    wide = features.set_column(4, "n_tokens", features["n_tokens"].cast(pa.int64()))
    assert "n_tokens is int64, it should be int32" in refused(wide, "features")


def test_refuses_nulls_where_none_may_be(queries, features):
    holes = pa.array([*queries["source"].to_pylist()[:-2], None, None], pa.string())
    message = refused(queries.set_column(7, "source", holes), "queries")
    assert "source has 2 nulls (first in row 8)" in message
    logits = pa.array([[1.0, None, 2.0]] * 10, pa.list_(pa.float32()))
    assert "10 nulls inside" in refused(features.set_column(2, "logits", logits), "features")


@pytest.mark.parametrize("width", [1, 4, 640])
def test_any_width_of_hidden_state(features, width):
    hidden = pa.FixedSizeListArray.from_arrays(pa.array([0.5] * 10 * width, pa.float16()), width)
    table = conform(features.set_column(3, "hidden", hidden), "features")
    assert table.schema.field("hidden").type.list_size == width


def test_features_may_have_more_blocks_and_the_router_s_word(features):
    more = features.append_column("verbal", pa.array([0.5] * 9 + [None], pa.float32()))
    more = more.append_column("hidden_L12_mean", features["hidden"]).append_column("hidden_L3_last", features["hidden"])
    assert conform(more, "features").column_names == [
        *features.column_names,
        "verbal",
        "hidden_L12_mean",
        "hidden_L3_last",
    ]
    assert "unknown hidden_mean" in refused(features.append_column("hidden_mean", features["hidden"]), "features")
    wide = features.append_column("hidden_L1_last", features["hidden"].cast(pa.list_(pa.float32(), 4)))
    assert "hidden_L1_last is fixed_size_list" in refused(wide, "features")
    first = more.select(["verbal", *features.column_names])
    assert "the order is" in refused(first, "features")


def test_only_features_may_have_them(queries):
    assert "unknown verbal" in refused(queries.append_column("verbal", pa.array([0.5] * 10, pa.float32())), "queries")


def test_unknown_kind(queries):
    with pytest.raises(UnknownName, match="examples, features, labels"):
        conform(queries, "question")
