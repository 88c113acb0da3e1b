"""Files as spreadsheets, pandas, jq and Hugging Face datasets write them."""

import bz2
import codecs
import datetime as dt
import decimal
import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from routecal.storage.errors import StorageError
from routecal.storage.ingest import read_outcomes, read_queries
from routecal.storage.input_errors import BadRows, InputEmpty, InputUnreadable, MissingColumn, UnknownFormat

TWO = [("Who?", "a"), ("Was heißt «è»?", "b")]


def pairs(path):
    return [(row["query"], row["ground_truth"]) for row in read_queries(path).to_pylist()]


def put(folder, name, content):
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / name


# ---- CSV


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
    ],
)
def test_separators_line_ends_and_encodings(tmp_path, mark, encoding, delimiter, end):
    lines = [delimiter.join(row) for row in [("query", "ground_truth"), *TWO]]
    for name in ("q.csv", "q.tsv"):
        content = mark + (end.join(lines) + end).encode(encoding)
        assert pairs(put(tmp_path, name, content)) == TWO
        assert pairs(put(tmp_path, f"{name}.gz", gzip.compress(content))) == TWO


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("sep=;\r\nquery;ground_truth\r\nWho?;a\r\n", [("Who?", "a")]),
        ("sep=|\nquery|ground_truth\nWho?|a,b;c\n", [("Who?", "a,b;c")]),
        ('"sep=,"\nquery,ground_truth\nWho?,a\n', [("Who?", "a")]),
        ("sep=\t\nquery\tground_truth\nWho?\ta\n", [("Who?", "a")]),
        ("\n\r\nquery,ground_truth\nWho?,a\n", [("Who?", "a")]),
        # commas in texts do not make it comma separated
        ("query;ground_truth\nWho, where?;a, b\n", [("Who, where?", "a, b")]),
        ("query;note, long;ground_truth\nWho?;;a\n", [("Who?", "a")]),
        ("query,ground_truth;note\nWho?,a\n", [("Who?", None)]),
        # line ends in quotes are the text's own
        ('query,ground_truth\n"a\r\nb\rc\nd","x ""y"""\n', [("a\r\nb\rc\nd", 'x "y"')]),
        # a column of row numbers, an empty last column, rows that a spreadsheet thinks are there
        (",query,ground_truth,\n0,Who?,a,\n,,,\n,,,\n", [("Who?", "a")]),
        ("query,ground_truth\nWho?,a,,\n", [("Who?", "a")]),
        # names twice matter only where they are read
        ("x,query,x\n1,Who?,2\n", [("Who?", None)]),
        # pandas leaves a missing value empty; what people wrote is a text
        ("query,ground_truth\nWho?,\nWhat?,NA\nWhy?,nan\n", [("Who?", None), ("What?", "NA"), ("Why?", "nan")]),
        ('query,ground_truth\nWho?,"[""a"", ""b""]"\n', [("Who?", '["a", "b"]')]),
        ("query\nWho?\n", [("Who?", None)]),
        ('"query","ground_truth"\n5,7\n', [("5", "7")]),
        ('\ufeff"query",ground_truth\nWho?,a\n', [("Who?", "a")]),
    ],
)
def test_csv_of_others(tmp_path, content, found):
    assert pairs(put(tmp_path, "q.csv", content)) == found


def test_a_list_in_a_cell_is_read_as_aliases(tmp_path):
    path = put(tmp_path, "q.csv", 'query,aliases\nWho?,"[""a"", ""b""]"\n')
    assert read_queries(path).select(["ground_truth", "aliases"]).to_pylist() == [
        {"ground_truth": "a", "aliases": ["a", "b"]}
    ]


def test_rows_that_are_too_short_or_too_long_are_all_named(tmp_path):
    path = put(tmp_path, "q.csv", 'query,ground_truth\nWho?\n"a\nb",x\nWhat?,b,c\n\nWhy?,d\n')
    with pytest.raises(BadRows) as caught:
        read_queries(path)
    assert caught.value.faults == ((2, "1 cells where the header has 2"), (5, "3 cells where the header has 2"))
    assert caught.value.n_rows == 4


def test_a_comma_in_the_only_column_is_not_guessed_away(tmp_path):
    with pytest.raises(BadRows, match="line 2: 2 cells where the header has 1"):
        read_queries(put(tmp_path, "q.csv", "query\nWho, where?\n"))


def test_outcomes_of_a_spreadsheet(tmp_path):
    path = put(tmp_path, "o.csv", "sep=;\nQuery;Medium Label;Large Label;medium_cost_usd\nWho?;TRUE;0.0;0.25\n")
    [row] = read_outcomes(path).to_pylist()
    assert (row["medium_label"], row["large_label"], row["medium_cost_usd"]) == ("CORRECT", "INCORRECT", 0.25)


# ---- JSON

ROWS = [{"query": "Who?", "ground_truth": "a"}, {"query": "Was heißt «è»?", "ground_truth": "b"}]


@pytest.mark.parametrize("name", ["q.json", "q.jsonl", "q.ndjson"])
@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2, ensure_ascii=False),
        "\n \n" + json.dumps(ROWS, indent=2) + "\n\n",
        "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n",
        "\n".join(json.dumps(row, indent=2) for row in ROWS),
        "\n".join(map(json.dumps, ROWS)),
        "\r\n\r\n".join(map(json.dumps, ROWS)) + "\r\n",
        "\r".join(map(json.dumps, ROWS)),
        "\ufeff" + "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS),
        json.dumps({"query": [r["query"] for r in ROWS], "ground_truth": [r["ground_truth"] for r in ROWS], "n": 2}),
        json.dumps({"query": [r["query"] for r in ROWS], "ground_truth": [r["ground_truth"] for r in ROWS]}, indent=1),
    ],
)
def test_shapes_of_json(tmp_path, name, content):
    assert pairs(put(tmp_path, name, content)) == TWO


def test_json_in_utf_16(tmp_path):
    content = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode("utf-16")
    assert pairs(put(tmp_path, "q.jsonl", content)) == TWO


def test_lines_are_numbered_in_documents_too(tmp_path):
    content = '[\n {"query": "a"},\n\n {"query": " "}, 7,\n {"query":\n "\\udc00"}]'
    with pytest.raises(BadRows) as caught:
        read_queries(put(tmp_path, "q.json", content))
    assert [line for line, _ in caught.value.faults] == [4, 4, 5] or caught.value.faults == (
        (4, "a JSON int where an object was expected and the query is blank"),
        (5, "half of a surrogate pair, which is not Unicode text"),
    )


def test_references_as_data_sets_hold_them(tmp_path):
    rows = [
        {"query": "1?", "ground_truth": {"text": ["a", "b", "a"], "answer_start": [1, 2, 3]}},
        {"query": "2?", "ground_truth": {"value": "a", "aliases": ["A", "a"]}},
        {"query": "3?", "ground_truth": ["a"], "aliases": ["c"]},
        {"query": "4?", "ground_truth": "a", "aliases": ["c"]},
        {"query": "5?", "ground_truth": [], "aliases": [None, "c"]},
        {"query": "6?", "ground_truth": [None]},
    ]
    table = read_queries(put(tmp_path, "q.jsonl", "\n".join(map(json.dumps, rows))))
    assert list(zip(table["ground_truth"].to_pylist(), table["aliases"].to_pylist(), strict=True)) == [
        ("a", ["a", "b"]),
        ("a", ["a", "A"]),
        ("a", ["a", "c"]),
        ("a", ["c"]),
        ("c", ["c"]),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        ("[]", InputEmpty, "holds no rows"),
        ("[", InputUnreadable, "is not closed"),
        ('[{"query": "a"}', InputUnreadable, "a comma or the end of the array was expected"),
        ('[{"query": "a"},]', InputUnreadable, "not JSON from line 1 on"),
        ('[{"query": "a"}]\n[{"query": "b"}]', InputUnreadable, "not JSON from line 1 on"),
        ('[\n{"query": "a"},\n{"query": b}]', InputUnreadable, "not JSON from line 3 on"),
        ('{"query": {"0": "a", "1": "b"}}', BadRows, "the query is {'0': 'a', '1': 'b'}, a text was expected"),
        ('{"data": [{"query": "a"}]}', MissingColumn, "it has data"),
        ('"query"', BadRows, "a JSON str where an object was expected"),
        ('{"query": "a"}{"query": "b"}', BadRows, "line 1: not JSON (Extra data"),
        ('{"query": ["a", "b"], "ground_truth": ["x"]}', BadRows, "a text was expected"),
        ('{"query": "a", "ground_truth": 1e400}', BadRows, "a finite number or a text was expected"),
        ('{"query": "a", "ground_truth": -Infinity}', BadRows, "a finite number or a text was expected"),
        ('{"query": "a", "ground_truth": ' + "9" * 5000 + "}", BadRows, "line 1: not JSON"),
    ],
)
def test_json_that_is_refused(tmp_path, content, error, says):
    with pytest.raises(error) as caught:
        read_queries(put(tmp_path, "q.jsonl", content))
    assert says in str(caught.value)


# ---- Parquet and Arrow


def arrow_table():
    return pa.table({"query": [q for q, _ in TWO], "ground_truth": [t for _, t in TWO], "n": [1, 2]})


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


# ---- what is something else

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize("name", ["q.jsonl", "q.csv", "q.json", "q.parquet", "q.arrow", "q.jsonl.gz"])
def test_a_pointer_instead_of_the_data(tmp_path, name):
    with pytest.raises(InputUnreadable, match="it is a Git LFS pointer, not the data; run git lfs pull"):
        read_queries(put(tmp_path, name, POINTER))


def parquet_bytes():
    sink = pa.BufferOutputStream()
    pq.write_table(arrow_table(), sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("name", "content", "error", "says"),
    [
        ("q.xlsx", b"PK\x03\x04", UnknownFormat, "save the sheet as CSV UTF-8, or use one of .jsonl"),
        ("q.xls", b"x", UnknownFormat, "save the sheet as CSV UTF-8"),
        (
            "q.csv",
            b"PK\x03\x04rest",
            InputUnreadable,
            "a zip archive or an Excel workbook; unpack it, or save it as CSV",
        ),
        ("q.csv", b"\xd0\xcf\x11\xe0rest", InputUnreadable, "a workbook of an old Excel"),
        ("q.zip", b"PK", UnknownFormat, "unpack it, or use one of"),
        ("q.jsonl.zst", b"x", UnknownFormat, "unpack it"),
        ("q.parquet.gz", gzip.compress(b"x", mtime=0), UnknownFormat, "unpack it"),
        ("q.txt", b"query", UnknownFormat, "give it the ending that tells what is in it"),
        ("q", b"query", UnknownFormat, "use one of .jsonl"),
        (
            "q.jsonl",
            gzip.compress(b'{"query": "x"}', mtime=0),
            InputUnreadable,
            "packed with gzip; give it the ending .gz",
        ),
        ("q.jsonl", bz2.compress(b'{"query": "x"}'), InputUnreadable, "packed with bzip2; unpack it first"),
        ("q.csv", parquet_bytes(), InputUnreadable, "it is a Parquet file; give it the ending .parquet"),
        ("q.arrow", parquet_bytes(), InputUnreadable, "it is a Parquet file"),
        ("q.parquet", b"query\nWho?\n", InputUnreadable, "not Parquet"),
        ("q.parquet", parquet_bytes()[:-20], InputUnreadable, "not Parquet"),
        ("q.parquet", b"PAR1" + b"\0" * 40 + b"PARE", InputUnreadable, "not Parquet"),
        ("q.parquet", b"", InputUnreadable, "not Parquet"),
        ("q.arrow", b"query\nWho?\n", InputUnreadable, "not Arrow"),
        ("q.arrow", b"", InputUnreadable, "not Arrow"),
        ("q.csv", b"", InputEmpty, "no rows"),
        ("q.csv", b"query,ground_truth\r\n", InputEmpty, "no rows"),
        ("q.csv", b"sep=;\r\n", InputEmpty, "no rows"),
        ("q.tsv", b"query\tx\n\t\n", InputEmpty, "no rows"),
        ("q.csv", "query\nWho?\n".encode("utf-16-le"), InputUnreadable, "UTF-16 without a byte-order mark"),
        ("q.csv", "query\nWer hört?\n".encode("cp1252"), InputUnreadable, "line 2 is not UTF-8 (byte 0xf6, place 6"),
        ("q.jsonl", b'{"query": "a"}\n\x93', InputUnreadable, "line 2 is not UTF-8"),
        ("q.csv", codecs.BOM_UTF16_LE + b"q\0u\0\0", InputUnreadable, "not UTF-16-LE"),
        ("q.csv", b"question;answer\nWho?;a\n", MissingColumn, "it has question, answer: add --columns query=question"),
    ],
)
def test_other_files_are_refused_with_what_to_do(tmp_path, name, content, error, says):
    with pytest.raises(error) as caught:
        read_queries(put(tmp_path, name, content), {})
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folders(tmp_path):
    (tmp_path / "saved").mkdir()
    with pytest.raises(InputUnreadable, match="it is a folder; name one file in it"):
        read_queries(tmp_path / "saved")
    put(tmp_path / "saved", "dataset_info.json", "{}")
    with pytest.raises(
        InputUnreadable, match=r"a folder that Hugging Face datasets saved; save the split with Dataset\.to"
    ):
        read_queries(tmp_path / "saved")


def test_an_unknown_protocol():
    with pytest.raises(StorageError, match="name a local file, or a URL that fsspec knows"):
        read_queries("nope://q.jsonl")
