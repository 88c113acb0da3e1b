"""Of a file that is read some rows at a time no more is in memory."""

import csv
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from routecal.storage import row_files
from routecal.storage.column_names import Wanted
from routecal.storage.delimited import read_csv
from routecal.storage.json_rows import read_json


@pytest.fixture(autouse=True)
def _two_at_a_time(monkeypatch):
    monkeypatch.setattr(Wanted, "rows_at_a_time", 2)


def lines(text, taken):
    for line in text.splitlines(keepends=True):
        taken.append(line)
        yield line.encode()


@pytest.mark.parametrize(
    ("read", "text"),
    [(read_json, '{"query": "x"}\n' * 99), (read_csv, "query\n" + "x\n" * 99)],
    ids=["JSON lines", "CSV"],
)
def test_no_more_of_a_text_is_read_than_the_next_rows(read, text):
    taken = []
    parts = read(Wanted("q", ("query",), ("query",)), lines(text, taken))
    for n in (1, 2, 3):
        assert next(parts)[0] == {"query": ["x", "x"]}
        assert 2 * n <= len(taken) <= 2 * n + 2


@pytest.mark.parametrize("name", ["q.parquet", "q.arrow"])
def test_rows_of_a_binary_file_are_values_a_few_at_a_time(name, tmp_path):
    table = pa.table({"query": [f"{i}?" for i in range(7)], "other": range(7)})
    if name == "q.parquet":
        pq.write_table(table, tmp_path / name, row_group_size=3)
    else:
        with pa.ipc.new_file(tmp_path / name, table.schema) as writer:
            writer.write_table(table, max_chunksize=5)
    found = row_files.read_parts(Wanted(str(tmp_path / name), ("query",), ("query",)), list)
    assert max(len(part) for part in found) == 2
    assert [line for part in found for line in part.lines] == [*range(1, 8)]
    assert [text for part in found for text in part.columns["query"]] == table["query"].to_pylist()


def test_the_limit_of_csv_stays_between_the_parts():
    before = csv.field_size_limit()
    long = "c" * (before + 1)
    with closing(read_csv(Wanted("q", ("query",), ("query",)), lines(f"query\n{long}\nx\ny\n", []))) as parts:
        assert next(parts)[0] == {"query": [long, "x"]}
        assert csv.field_size_limit() == before
