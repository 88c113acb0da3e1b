"""A user's file becomes the same table of queries in every format, or is refused with all that is wrong."""

import csv
import gzip
import json
from datetime import UTC, datetime

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from routecal.storage.artifact import write_table
from routecal.storage.ingest import read_queries
from routecal.storage.input_errors import (
    BadRows,
    InputEmpty,
    InputMissing,
    InputUnreadable,
    MissingColumn,
    UnknownFormat,
)
from routecal.storage.query_identity import query_id
from routecal.storage.schemas import SCHEMAS
from tests.storage.written_files import jsonl

ROWS = [
    {"query": "What is 2+2?", "id": "a", "ground_truth": "4", "aliases": ["four", "IV"], "topic": "maths"},
    {"query": "Où est Nice ?", "id": "b", "context": "Nice est en France.", "received_at": "2026-11-22T03:00:00Z"},
    {"query": "  What is 2+2? ", "id": "a", "ground_truth": "five", "other": 1},
]


def as_csv(path):
    names = ["query", "id", "ground_truth", "aliases", "topic", "context", "received_at", "other"]
    with open(path, "w", newline="", encoding="utf-8-sig") as handle:
        writer = csv.DictWriter(handle, names)
        writer.writeheader()
        writer.writerows({k: json.dumps(v) if k == "aliases" else v for k, v in row.items()} for row in ROWS)
    return path


def as_parquet(path):
    pq.write_table(
        pa.Table.from_pylist([{"received_at": None, "context": None, "aliases": None} | r for r in ROWS]), path
    )
    return path


@pytest.fixture(params=["jsonl", "ndjson", "csv", "parquet", "jsonl.gz"])
def path(request, tmp_path):
    path = tmp_path / f"q.{request.param}"
    if request.param == "csv":
        return as_csv(path)
    if request.param == "parquet":
        return as_parquet(path)
    if request.param == "jsonl.gz":
        path.write_bytes(gzip.compress(jsonl(tmp_path / "plain", ROWS).read_bytes()))
        return path
    return jsonl(path, ROWS)


def test_every_format_gives_the_same_queries(path, local_home):
    table = read_queries(path)
    assert table.schema.equals(SCHEMAS["queries"])
    first, second = table.to_pylist()
    assert first == {
        "query_id": query_id("What is 2+2?"),
        "query": "What is 2+2?",
        "external_id": "a",
        "ground_truth": "4",
        "aliases": ["four", "IV"],
        "topic": "maths",
        "context": None,
        "source": path.name,
        "received_at": None,
    }
    assert second["received_at"] == datetime(2026, 11, 22, 3, tzinfo=UTC)
    assert (second["topic"], second["aliases"], second["context"]) == (None, None, "Nice est en France.")
    assert table.schema.metadata == {b"rows_read": b"3", b"duplicates": b"1"}
    # nothing of the moment of reading is in it
    again = write_table(read_queries(path), "queries", home=local_home)
    assert write_table(table, "queries", home=local_home) == again


def test_rows_that_repeat_are_counted(tmp_path, caplog):
    caplog.set_level("INFO")
    read_queries(jsonl(tmp_path / "q.jsonl", [ROWS[0], ROWS[1], ROWS[0]]))
    assert "1 of 3 rows repeat an earlier query and are left out" in caplog.text
    assert not [r for r in caplog.records if r.levelname == "WARNING"]


def test_of_rows_that_repeat_and_disagree_one_pair_is_named(tmp_path, caplog):
    rows = [*ROWS, ROWS[0] | {"aliases": ["four"]}, ROWS[0] | {"ground_truth": None}]
    table = read_queries(jsonl(tmp_path / "q.jsonl", rows))
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().endswith(
        "q.jsonl: 3 of 5 rows repeat an earlier query, 3 of them with another ground_truth or aliases "
        "(line 1: '4'; line 3: 'five'); the first of each stays"
    )
    assert table["ground_truth"].to_pylist() == ["4", None]


def test_a_url(tmp_path):
    with fsspec.open("memory://ingest/q.jsonl", "wb") as handle:
        handle.write(b'{"query": "x"}')
    assert read_queries("memory://ingest/q.jsonl")["source"].to_pylist() == ["q.jsonl"]


def test_parquet_types_that_others_write(tmp_path):
    table = pa.table(
        {
            "query": pa.array(["x", "y"], pa.large_string()),
            "id": pa.array([1, 2]),
            "topic": pa.array(["t", None]).dictionary_encode(),
            "received_at": pa.array([datetime(2026, 1, 1), None], pa.timestamp("s")),
        }
    )
    pq.write_table(table, tmp_path / "q.parquet")
    first = read_queries(tmp_path / "q.parquet").to_pylist()[0]
    assert (first["external_id"], first["topic"]) == ("1", "t")
    assert first["received_at"] == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "content", "error", "says"),
    [
        ("q.jsonl", b"", InputEmpty, "no rows"),
        ("q.jsonl", b"\n \n", InputEmpty, "no rows"),
        ("q.csv", b"query,id\n", InputEmpty, "no rows"),
        ("q.txt", b"x", UnknownFormat, ".jsonl, .ndjson, .json, .csv, .tsv, .parquet, .arrow, .feather"),
        ("q", b"x", UnknownFormat, ".jsonl"),
        ("q.jsonl", b'{"query": "x"}\n\n{"query": \n', BadRows, "line 3: not JSON"),
        ("q.jsonl", b'{"query": "x"}\n["y"]\n', BadRows, "line 2: a JSON list where an object"),
        (
            "q.jsonl",
            b'{"query": "x"}\n{"query": "\xff"}\n',
            InputUnreadable,
            "line 2 is not UTF-8 .byte 0xff",
        ),
        ("q.jsonl", b'{"query": "\\ud800"}\n', BadRows, "surrogate"),
        ("q.jsonl", b"[" * 100_000, InputUnreadable, "not JSON"),
        (
            "q.jsonl",
            b'{"query": "x"}\n{"query": " "}\n',
            BadRows,
            "1 of 2 rows .* line 2: the query is blank",
        ),
        ("q.jsonl", b'{"query": "x"}\n{"id": 1}\n', BadRows, "line 2: the query is missing"),
        ("q.jsonl", b'{"query": 5}\n', BadRows, "a text was expected"),
        ("q.jsonl", b'{"query": "x", "topic": {}}\n', BadRows, "topic is {}, a text was expected"),
        ("q.jsonl", b'{"query": "x", "aliases": 3}\n', BadRows, "a list of texts was expected"),
        ("q.jsonl", b'{"query": "x", "received_at": 1700000000}\n', BadRows, "a time like"),
        ("q.jsonl", b'{"question": "x", "n": 1}\n', MissingColumn, "it has question, n"),
        ("q.csv", b"question,n\nx,1\n", MissingColumn, "'query'"),
        ("q.csv", b'query,n\n"a\nb",1\nx\n', BadRows, "line 4: 1 cells where the header has 2"),
        ("q.csv", b'query\nx\n"open\n', InputUnreadable, "line 3 is not CSV"),
        ("q.csv", b"query,query\nx,y\n", MissingColumn, "several columns for 'query'"),
        ("q.csv", b'query,n\n"a\nb",1\n ,1\n', BadRows, "line 4: the query is blank"),
        ("q.parquet", b"PAR1 not really", InputUnreadable, "not Parquet"),
        ("q.jsonl.gz", b"not gzip", InputUnreadable, "cannot be read"),
        (
            "q.jsonl",
            b'{"query": "x", "id": 1}\n{"query": "y", "id": 1}\n',
            BadRows,
            "line 2: the id '1' is that of another query on line 1",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path, name, content, error, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=says):
        read_queries(tmp_path / name)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(InputMissing):
        read_queries(tmp_path / "none.jsonl")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputUnreadable):
        read_queries(tmp_path / "folder.csv")


def test_a_long_cell_is_no_error_and_the_limit_of_csv_stays(tmp_path):
    before = csv.field_size_limit()
    (tmp_path / "q.csv").write_text("query,context\nx," + "c" * 200_000 + "\n")
    assert len(read_queries(tmp_path / "q.csv")["context"][0].as_py()) == 200_000
    assert csv.field_size_limit() == before


def test_aliases_in_csv_separated_by_bars(tmp_path):
    (tmp_path / "q.csv").write_text("query,aliases\nx,four | IV\ny,\n")
    assert read_queries(tmp_path / "q.csv")["aliases"].to_pylist() == [["four", "IV"], None]


def test_all_that_is_wrong_with_a_file_is_in_one_report(tmp_path):
    lines = [
        b'{"query": "a", "ground_truth": {}, "topic": []}',
        b"not JSON",
        b'{"query": " ", "id": 1}',
        b'{"query": "b", "id": "x"}',
        b'{"query": "c", "id": "x"}',
        b'{"query": "d", "received_at": "soon"}',
        b'{"query": "e", "ground_truth": NaN}',
        b"[1]",
    ]
    (tmp_path / "q.jsonl").write_bytes(b"\n".join(lines))
    with pytest.raises(BadRows) as caught:
        read_queries(tmp_path / "q.jsonl")
    assert caught.value.n_rows == 8
    assert [line for line, _ in caught.value.faults] == [1, 2, 3, 5, 6, 8]
    assert " and topic is []" in caught.value.faults[0][1]
    said = str(caught.value)
    assert "6 of 8 rows cannot be used: line 1: ground_truth is {}" in said
    assert said.endswith("; and 1 more; correct or remove them, nothing was read")
    assert "line 8" not in said
