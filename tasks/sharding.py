"""Tables cut into shards and put together again. Quick and repeatable, so these are functions, not Prefect tasks."""

import json
from collections.abc import Sequence

import pyarrow as pa

from routecal.storage.artifact import Artifact, read_metadata, read_table, write_table
from routecal.storage.layout import Home

# Metadata that is a JSON object with entries for some of the rows, or of the queries that got none.
_BY_ROW = "unlabelled"


def shards(table: Artifact, size: int) -> list[Artifact]:
    """The table as tables of at most `size` rows.

    A shard is named by its content like everything else, so rows added at the end of a file leave the finished
    shards before them valid.
    """
    if table.rows <= size:
        return [table]
    rows, home = read_table(table), Home.from_env()
    return [write_table(rows.slice(at, size), table.kind, home=home) for at in range(0, table.rows, size)]


def joined(parts: Sequence[Artifact]) -> Artifact:
    """All rows of parts of one kind, in order, under the first part's metadata; its entries by row are joined, too."""
    if len(parts) == 1:
        return parts[0]
    table = pa.concat_tables([read_table(part) for part in parts])
    stored = [read_metadata(part) for part in parts]
    metadata, by_row = dict(stored[0]), [json.loads(own[_BY_ROW]) for own in stored if _BY_ROW in own]
    if by_row:
        merged = {query_id: reason for own in by_row for query_id, reason in own.items()}
        metadata[_BY_ROW] = json.dumps(merged, sort_keys=True)
    return write_table(table, parts[0].kind, home=Home.from_env(), metadata=metadata)
