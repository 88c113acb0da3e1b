"""Shards: cut, joined, and named by what they hold."""

import pytest

from routecal.storage.artifact import read_metadata, read_table, write_table
from routecal.storage.layout import Home
from routecal.tasks.sharding import joined, shards
from tests.tasks.made import Made, store_queries, texts


@pytest.mark.parametrize(("n", "size", "parts"), [(10, 10, 1), (10, 3, 4), (10, 5, 2), (1, 1, 1), (10, 99, 1)])
def test_round_trip(n: int, size: int, parts: int) -> None:
    table = store_queries(texts(n))
    cut = shards(table, size)
    assert len(cut) == parts
    assert sum(shard.rows for shard in cut) == n
    assert joined(cut) == table


def test_rows_added_at_the_end_leave_finished_shards_their_names() -> None:
    before, after = (shards(store_queries(texts(n)), 4) for n in (10, 13))
    assert before[:2] == after[:2]
    assert before[2] != after[2]
    assert [shard.rows for shard in after] == [4, 4, 4, 1]


def test_metadata_survives_joining(made: Made) -> None:
    rows, metadata = read_table(made.features), read_metadata(made.features)
    home = Home.from_env()
    parts = [write_table(rows.slice(at, 70), "features", home=home, metadata=metadata) for at in range(0, 200, 70)]
    whole = joined(parts)
    assert whole.sha256 == made.features.sha256
    assert read_metadata(whole) == metadata


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["old first", "new first"])
def test_features_of_before_outcome_heads_join_those_of_now(made: Made, order: tuple[int, int]) -> None:
    rows, metadata, home = read_table(made.features), read_metadata(made.features), Home.from_env()
    names = metadata["outcome_blocks"].split()
    old = {key: value for key, value in metadata.items() if key != "outcome_blocks"}
    parts = [
        write_table(rows.slice(0, 90).drop_columns(names), "features", home=home, metadata=old),
        write_table(rows.slice(90), "features", home=home, metadata=metadata),
    ]
    whole = joined([parts[i] for i in order])
    assert whole.rows == 200
    assert read_metadata(whole) == old
    assert not set(names) & set(read_table(whole).column_names)
