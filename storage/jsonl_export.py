"""The examples as the method's own JSONL: query, router_policy, true_policy, is_correct, target_confidence."""

import json
from collections.abc import Iterator
from os import PathLike, fspath

import pyarrow as pa
import pyarrow.compute as pc

from routecal.storage.artifact import Artifact, read_table
from routecal.storage.atomic import write_chunks

_COLUMNS = ("query", "router_policy", "true_policy", "is_correct")
_BATCH = 10_000


def export_jsonl(examples: Artifact, path: str | PathLike[str], *, held_out: bool = False) -> tuple[int, int]:
    """Write one JSON object per example to a local path or fsspec URL, atomically, replacing what is there.

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
    table = read_table(examples, columns=[*_COLUMNS, "split"])
    chosen = table if held_out else table.filter(pc.field("split") != "test").drop_columns("split")
    write_chunks(fspath(path), _lines(chosen))
    return chosen.num_rows, table.num_rows - chosen.num_rows


def _lines(table: pa.Table) -> Iterator[bytes]:
    for batch in table.to_batches(max_chunksize=_BATCH):
        for row in batch.to_pylist():
            row["target_confidence"] = 1.0 if row["is_correct"] else 0.0
            yield json.dumps(row, ensure_ascii=False).encode() + b"\n"
