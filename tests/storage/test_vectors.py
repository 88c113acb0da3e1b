"""Vectors are lists to whoever reads a table, and bytes in its file."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from routecal.storage.artifact import Artifact, digest_file, iter_table, read_table, write_parts, write_table
from routecal.storage.layout import Home
from routecal.storage.vectors import packed, unpacked

WIDTH = 5


def features(n: int, *, first: int = 0) -> pa.Table:
    halves = (np.arange(n * WIDTH) + first * WIDTH).astype(np.float16)
    return pa.table(
        {
            "query_id": [f"{i:032x}" for i in range(first, first + n)],
            "router_policy": ["Standard_Query"] * n,
            "logits": pa.array([[0.0, 1.0]] * n, pa.list_(pa.float32())),
            "hidden": pa.FixedSizeListArray.from_arrays(pa.array(halves), WIDTH),
            "n_tokens": pa.array([20] * n, pa.int32()),
            "truncated": [False] * n,
        }
    )


def test_a_file_holds_the_numbers_as_they_lie_in_memory(tmp_path: Path) -> None:
    stored = write_table(features(3), "features", home=Home(root=str(tmp_path)))
    column = pq.read_table(stored.uri)["hidden"]
    assert column.type == pa.binary(2 * WIDTH)
    assert b"".join(column.to_pylist()) == np.arange(15, dtype="<f2").tobytes()


@pytest.mark.parametrize("columns", [None, ["hidden"], ["n_tokens", "hidden"]])
def test_a_reader_gets_lists(columns: list[str] | None, tmp_path: Path) -> None:
    stored = write_table(features(3), "features", home=Home(root=str(tmp_path)))
    found = read_table(stored, columns=columns)
    assert found["hidden"].type == pa.list_(pa.float16(), WIDTH)
    assert np.array_equal(found["hidden"].combine_chunks().flatten(), np.arange(15, dtype=np.float16))
    assert [len(part) for part in iter_table(stored, 2, columns=columns)] == [2, 1]
    parts = [row for part in iter_table(stored, 2) for row in part["hidden"].to_pylist()]
    assert parts == read_table(stored)["hidden"].to_pylist()


def test_parts_and_slices_of_tables_are_stored_as_the_whole_is(tmp_path: Path) -> None:
    home, whole = Home(root=str(tmp_path)), features(9)
    stored = write_table(whole, "features", home=home)
    assert write_parts([whole.slice(0, 4), whole.slice(4, 3), whole.slice(7)], "features", home=home) == stored
    assert write_parts([features(4), features(5, first=4)], "features", home=home) == stored
    assert read_table(stored)["hidden"].to_pylist() == whole["hidden"].to_pylist()


def test_a_file_of_before_is_read_as_it_is_and_stored_as_bytes(tmp_path: Path) -> None:
    file = tmp_path / "old.parquet"
    pq.write_table(features(4), file)
    old = Artifact(uri=str(file), sha256=digest_file(file), rows=4, kind="features")
    assert read_table(old).equals(features(4).cast(read_table(old).schema))
    home = Home(root=str(tmp_path))
    assert write_table(read_table(old), "features", home=home) == write_table(features(4), "features", home=home)


def test_numbers_are_not_copied_in_memory() -> None:
    table = features(4).slice(1, 2)
    there = packed(table)
    back = unpacked(there)
    address = table["hidden"].chunk(0).values.buffers()[1].address
    assert there["hidden"].chunk(0).buffers()[1].address == address + 2 * WIDTH
    assert back["hidden"].chunk(0).values.buffers()[1].address == address + 2 * WIDTH
    assert back.equals(table)


def test_no_row_at_all(tmp_path: Path) -> None:
    stored = write_table(features(1).slice(0, 0), "features", home=Home(root=str(tmp_path)))
    assert read_table(stored)["hidden"].type == pa.list_(pa.float16(), WIDTH)
    assert read_table(stored).num_rows == 0
