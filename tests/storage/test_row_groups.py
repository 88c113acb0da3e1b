"""Tables written part by part are the bytes of the whole one, and are read back in parts of any size."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from routecal.storage import row_groups
from routecal.storage.artifact import iter_table, read_table, write_parts, write_table
from routecal.storage.errors import SchemaMismatch
from routecal.storage.layout import Home

METADATA = {"router_sha256": "aa", "blocks": "hidden"}


@pytest.fixture(autouse=True)
def _small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_groups, "ROWS_PER_GROUP", 8)


def features(n: int) -> pa.Table:
    rng = np.random.default_rng(0)
    hidden = pa.array(rng.normal(size=5 * n).astype(np.float16))
    return pa.table(
        {
            "query_id": pa.array([f"q{i}" for i in range(n)], pa.string()),
            "router_policy": pa.array(["Standard_Query"] * n, pa.string()),
            "logits": pa.array([[0.0, 1.0, 2.0]] * n, pa.list_(pa.float32())),
            "hidden": pa.FixedSizeListArray.from_arrays(hidden, 5),
            "n_tokens": pa.array(range(n), pa.int32()),
            "truncated": pa.array([False] * n, pa.bool_()),
        }
    )


@pytest.mark.parametrize("cuts", [[0, 20], [0, 1, 20], [0, 8, 16, 20], [0, 3, 11, 11, 19, 20], [0, 16, 20]])
def test_the_bytes_do_not_say_where_parts_ended(cuts: list[int]) -> None:
    table, home = features(20), Home.from_env()
    whole = write_table(table, "features", home=home, metadata=METADATA)
    parts = [table.slice(start, stop - start) for start, stop in pairwise(cuts)]
    assert write_parts(iter(parts), "features", home=home, metadata=METADATA).sha256 == whole.sha256
    assert read_table(whole).equals(read_table(write_parts(parts, "features", home=home)))
    groups = pq.ParquetFile(whole.uri).metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [8, 8, 4]


@pytest.mark.parametrize("columns", [None, ["hidden", "query_id"]])
def test_groups_that_are_read_side_by_side_come_back_in_order(columns: list[str] | None) -> None:
    table = features(1000)
    stored = write_table(table, "features", home=Home.from_env(), metadata=METADATA)
    found = read_table(stored, columns=columns)
    assert pq.ParquetFile(stored.uri).num_row_groups == 125
    assert found.column_names == (columns or read_table(stored).column_names)
    assert all(found[name].equals(table[name]) for name in found.column_names)
    assert (found.schema.metadata or {}).get(b"router_sha256") == b"aa"


@pytest.mark.parametrize("size", [1, 3, 8, 10, 16, 20, 21])
def test_a_table_is_read_in_parts_of_one_size(size: int) -> None:
    table, home = features(20), Home.from_env()
    stored = write_table(table, "features", home=home)
    parts = list(iter_table(stored, size))
    assert [part.num_rows for part in parts] == [min(size, 20 - at) for at in range(0, 20, size)]
    assert pa.concat_tables(parts).select(table.column_names).equals(read_table(stored))
    again = [write_table(part, "features", home=home) for part in parts]
    assert again == [write_table(table.slice(at, size), "features", home=home) for at in range(0, 20, size)]


def test_no_row_is_a_table_too() -> None:
    home = Home.from_env()
    empty = write_table(features(0), "features", home=home)
    assert (empty.rows, write_parts([features(0), features(0)], "features", home=home)) == (0, empty)
    assert list(iter_table(empty, 3)) == []


def test_a_part_of_another_kind_leaves_nothing() -> None:
    home = Home.from_env()
    with pytest.raises(SchemaMismatch):
        write_parts([features(20), features(3).drop_columns(["hidden"])], "features", home=home)
    assert [file for file in Path(home.root).rglob("*") if file.is_file()] == []


def test_some_columns_are_read_in_parts() -> None:
    stored = write_table(features(20), "features", home=Home.from_env())
    parts = [part.to_pydict() for part in iter_table(stored, 7, columns=["n_tokens"])]
    assert parts == [{"n_tokens": [*range(at, min(at + 7, 20))]} for at in (0, 7, 14)]


def test_rows_are_chosen_by_their_place_in_all_parts() -> None:
    table, mask = features(20), np.arange(20) % 3 == 0
    mask[8:12] = True
    parts = [table.slice(0, 8), table.slice(8, 4), table.slice(12, 0), table.slice(12)]
    assert pa.concat_tables(row_groups.rows_where(parts, mask)).equals(table.filter(pa.array(mask)))
    assert [part.num_rows for part in row_groups.rows_where(parts, ~mask)] == [5, 0, 0, 5]
