"""Labels and features of the same queries, joined into the examples that heads learn from; examples as JSON lines."""

import json
from collections.abc import Iterator
from os import PathLike, fspath
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from routecal.storage.artifact import Artifact, read_table
from routecal.storage.atomic import write_chunks
from routecal.storage.errors import DuplicateRows, SchemaMismatch
from routecal.storage.query_identity import split_of
from routecal.storage.schemas import SCHEMAS

_EXPORTED = ("query", "router_policy", "true_policy", "is_correct")
_LINES_AT_A_TIME = 10_000


class Joined(NamedTuple):
    """What `join_examples` found.

    Attributes:
        table: schema `examples`, one row per query that is in all three tables, sorted by `query_id`.
        unmatched: rows of each table ("queries", "labels", "features") that found no partner in one of the others.
    """

    table: pa.Table
    unmatched: dict[str, int]


def join_examples(queries: pa.Table, labels: pa.Table, features: pa.Table) -> Joined:
    """Join on `query_id`; add `split`, from the text, and `is_correct`: the router's policy is the true one.

    Args:
        queries, labels, features: tables of those schemas, one row per query each (one oracle, one router); `features`
            may come without `hidden`, which is not used.

    Raises:
        DuplicateRows: a table has two rows for one query; choose one oracle, or one router, first.
    """
    tables = {"queries": queries, "labels": labels, "features": features}
    for what, table in tables.items():
        _check_unique(what, table["query_id"])
    common = queries["query_id"]
    for other in (labels, features):
        common = common.filter(pc.is_in(common, value_set=other["query_id"].combine_chunks()))
    ids = _sorted(common)
    q, lab, f = (rows_of(table.drop_columns(_unused(table)), ids) for table in tables.values())
    split = pa.array([split_of(text) for text in q["query"].to_pylist()], pa.string())
    is_correct = pc.equal(f["router_policy"], lab["true_policy"])
    derived = {"split": split, "is_correct": is_correct}
    schema = SCHEMAS["examples"]
    columns = [
        derived[name] if name in derived else next(t for t in (q, lab, f) if name in t.column_names)[name]
        for name in schema.names
    ]
    unmatched = {what: table.num_rows - len(ids) for what, table in tables.items()}
    return Joined(pa.table(columns, schema=schema), unmatched)


def rows_of(table: pa.Table, query_ids: pa.Array | pa.ChunkedArray) -> pa.Table:
    """The rows of a table with one row per query, in the order of `query_ids`; so `hidden` lines up with examples.

    Raises:
        SchemaMismatch: a query has no row.
    """
    places = pc.index_in(query_ids, value_set=table["query_id"].combine_chunks())
    if places.null_count:
        first = query_ids.filter(pc.is_null(places))[0].as_py()
        raise SchemaMismatch("query_id", [f"{places.null_count} queries have no row (first: {first})"])
    return table.take(places)


def export_jsonl(examples: Artifact, path: str | PathLike[str], *, held_out: bool = False) -> tuple[int, int]:
    """Write the method's own JSONL, an object per example, to a local path or fsspec URL, atomically.

    `target_confidence` is 1.0 where the router is right, else 0.0. What is written is there to be trained on, so test
    rows are left out.

    Args:
        examples: a table of that kind.
        path: where to.
        held_out: write test rows too, and into each row its `split`.

    Returns:
        (lines, test rows that were left out).

    Raises:
        ArtifactMissing, ArtifactCorrupt: the examples cannot be read.
        DiskFull, HomeNotWritable: the file cannot be written.
    """
    table = read_table(examples, columns=[*_EXPORTED, "split"])
    chosen = table if held_out else table.filter(pc.field("split") != "test").drop_columns("split")
    write_chunks(fspath(path), _lines(chosen))
    return chosen.num_rows, table.num_rows - chosen.num_rows


def _lines(table: pa.Table) -> Iterator[bytes]:
    for batch in table.to_batches(max_chunksize=_LINES_AT_A_TIME):
        for row in batch.to_pylist():
            row["target_confidence"] = 1.0 if row["is_correct"] else 0.0
            yield json.dumps(row, ensure_ascii=False).encode() + b"\n"


def _check_unique(what: str, ids: pa.ChunkedArray) -> None:
    if pc.count_distinct(ids).as_py() < len(ids):
        counts = ids.value_counts()
        twice = counts.filter(pc.greater(counts.field("counts"), 1))
        raise DuplicateRows(what, "query_id", twice[0]["values"].as_py())


def _sorted(ids: pa.ChunkedArray) -> pa.Array:
    whole = ids.combine_chunks()
    return whole.take(pc.sort_indices(whole))


def _unused(table: pa.Table) -> list[str]:
    """Columns that examples do not have; moving their vectors about would be most of the work."""
    return [name for name in table.column_names if name not in SCHEMAS["examples"].names]
