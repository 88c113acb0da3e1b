"""Parquet and Arrow files as pandas and Hugging Face datasets write them."""

import datetime as dt
import decimal

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from routecal.storage.ingest import read_queries
from routecal.storage.input_errors import BadRows, InputUnreadable, MissingColumn
from tests.storage.written_files import TWO, arrow_table, pairs


def test_arrow_files_and_streams(tmp_path):
    table = arrow_table()
    pyarrow.feather.write_feather(table, tmp_path / "q.feather", compression="lz4")
    with pa.ipc.new_file(tmp_path / "file.arrow", table.schema) as writer:
        writer.write_table(table)
    with pa.ipc.new_stream(tmp_path / "stream.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=1)
    for name in ("q.feather", "file.arrow", "stream.arrow"):
        assert pairs(tmp_path / name) == TWO


COLUMNS = [
    pa.array([TWO[0][1], None], pa.large_string()),
    pa.array(["a", None]).cast(pa.string_view()),
    pa.array(["a", None]).dictionary_encode(),
    pa.array([["a"], None]),
    pa.array([["a"], []], pa.large_list(pa.large_string())),
    pa.array([["a", "a"], None], pa.list_(pa.string(), 2)),
    pa.array([{"text": ["a"], "answer_start": [1]}, None]),
    pa.array([["a"], None], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: str(column.type)[:30])
def test_texts_of_parquet(tmp_path, column):
    table = pa.table({"query": ["x", "y"], "ground_truth": column, "__index_level_0__": [7, 8]})
    pq.write_table(table, tmp_path / "q.parquet")
    assert pairs(tmp_path / "q.parquet") == [("x", "a"), ("y", None)]


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (pa.array([18.0, float("nan")]), "18"),
        (pa.array([0.1, None], pa.float32()), "0.1"),
        (pa.array(np.array([0.1, np.nan], np.float16)), "0.1"),
        (pa.array([2**63 - 1, None]), "9223372036854775807"),
        (pa.array([decimal.Decimal("1.50"), None]), "1.5"),
        (pa.array([True, None]), "true"),
        (pa.nulls(2), None),
        (pa.array([[0.1], [float("nan")]], pa.list_(pa.float64())), "0.1"),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_numbers_of_parquet(tmp_path, column, found):
    pq.write_table(pa.table({"query": ["x", "y"], "ground_truth": column}), tmp_path / "q.parquet")
    assert pairs(tmp_path / "q.parquet") == [("x", found), ("y", None)]


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (
            pa.array([1_774_999_999_999_999_999, None], pa.timestamp("ns", "Asia/Tokyo")),
            (2026, 3, 31, 23, 33, 19, 999999),
        ),
        (pa.array([1_774_999_999, None], pa.timestamp("s")), (2026, 3, 31, 23, 33, 19)),
        (pa.array([dt.date(2026, 3, 31), None]), (2026, 3, 31)),
        (pa.array(["2026-03-31", None]), (2026, 3, 31)),
        (pa.array([0, None], pa.timestamp("us", "Nowhere/Atall")), (1970, 1, 1)),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_moments_of_parquet(tmp_path, column, found):
    pq.write_table(pa.table({"query": ["x", "y"], "received_at": column}), tmp_path / "q.parquet")
    moments = read_queries(tmp_path / "q.parquet")["received_at"].to_pylist()
    assert moments == [dt.datetime(*found, tzinfo=dt.UTC), None]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("ground_truth", pa.array([b"a", b"b"])),
        ("ground_truth", pa.array([[["a"]], []])),
        ("ground_truth", pa.array([{"a": 1}, {"a": 2}])),
        ("ground_truth", pa.array([dt.date(2026, 1, 1)] * 2)),
        ("ground_truth", pa.array([1, 2], pa.duration("ns"))),
        ("received_at", pa.array([1, 2])),
        ("received_at", pa.array([2**62, 1], pa.timestamp("ms"))),
        ("received_at", pa.array([2**60, 1], pa.timestamp("us"))),
        ("query", pa.array([1, 2])),
        ("query", pa.nulls(2)),
        (
            "topic",
            pa.Array.from_buffers(
                pa.string(),
                2,
                [None, pa.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0])), pa.py_buffer(b"\xff\xfe")],
            ),
        ),
    ],
    ids=lambda value: str(getattr(value, "type", value)),
)
def test_columns_of_parquet_that_are_refused(tmp_path, name, column):
    pq.write_table(pa.table({"query": ["x", "y"]} | {name: column}), tmp_path / "q.parquet")
    with pytest.raises((BadRows, InputUnreadable)) as caught:
        read_queries(tmp_path / "q.parquet")
    assert name in str(caught.value) or "the query is" in str(caught.value)


def test_rows_of_parquet_are_rows(tmp_path):
    pq.write_table(pa.table({"query": ["x", " ", None]}), tmp_path / "q.parquet")
    with pytest.raises(
        BadRows, match="2 of 3 rows cannot be used: row 2: the query is blank; row 3: the query is missing"
    ):
        read_queries(tmp_path / "q.parquet")


def test_a_column_of_parquet_named_twice(tmp_path):
    pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["query", "query"]), tmp_path / "q.parquet")
    with pytest.raises(MissingColumn, match="several columns for 'query'"):
        read_queries(tmp_path / "q.parquet")
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array([1]), pa.array([2])], ["query", "n", "n"])
    pq.write_table(table, tmp_path / "q.parquet")
    assert pairs(tmp_path / "q.parquet") == [("a", None)]


def test_a_name_with_a_dot(tmp_path):
    pq.write_table(pa.table({"query.text": ["a"], "query": ["b"], "answer.1": ["c"]}), tmp_path / "q.parquet")
    assert pairs(tmp_path / "q.parquet") == [("b", None)]
    [row] = read_queries(tmp_path / "q.parquet", {"query": "query.text", "ground_truth": "answer.1"}).to_pylist()
    assert (row["query"], row["ground_truth"]) == ("a", "c")
