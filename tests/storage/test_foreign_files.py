"""What is no file of queries says what it is, and what to do."""

import bz2
import codecs
import gzip

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from routecal.storage.errors import StorageError
from routecal.storage.ingest import read_queries
from routecal.storage.input_errors import InputEmpty, InputUnreadable, MissingColumn, UnknownFormat
from tests.storage.written_files import arrow_table, put

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
