"""Tables cut into shards and put together again. Quick and repeatable, so these are functions, not Prefect tasks."""

import json
from collections.abc import Sequence

from routecal.storage.artifact import (
    Artifact,
    column_names,
    iter_table,
    read_metadata,
    read_table,
    write_parts,
    write_table,
)
from routecal.storage.layout import Home

# Metadata that is a JSON object with entries for some of the rows, or of the queries that got none.
_BY_ROW = "unlabelled"
# Metadata of features that names columns which not every part may have.
_OUTCOME = "outcome_blocks"


def shards(table: Artifact, size: int) -> list[Artifact]:
    """The table as tables of at most `size` rows.

    A shard is named by its content like everything else, so rows added at the end of a file leave the finished
    shards before them valid.
    """
    if table.rows <= size:
        return [table]
    return [write_table(rows, table.kind, home=Home.from_env()) for rows in iter_table(table, size)]


def joined(parts: Sequence[Artifact]) -> Artifact:
    """All rows of parts of one kind, in order, under the first part's metadata; its entries by row are joined, too.

    No more than a row group of them is in memory at a time.

    Of features, blocks for the outcome head stay where every part has them: what was read before there were outcome
    heads lacks them.
    """
    if len(parts) == 1:
        return parts[0]
    columns, stored = [column_names(part) for part in parts], [read_metadata(part) for part in parts]
    dropped = _in_some({name for own in stored for name in own.get(_OUTCOME, "").split()}, columns)
    tables = (
        read_table(part, columns=[name for name in names if name not in dropped])
        for part, names in zip(parts, columns, strict=True)
    )
    stored[0] = _without(dropped, stored[0])
    metadata, by_row = dict(stored[0]), [json.loads(own[_BY_ROW]) for own in stored if _BY_ROW in own]
    if by_row:
        merged = {query_id: reason for own in by_row for query_id, reason in own.items()}
        metadata[_BY_ROW] = json.dumps(merged, sort_keys=True)
    return write_parts(tables, parts[0].kind, home=Home.from_env(), metadata=metadata)


def _in_some(names: set[str], columns: Sequence[Sequence[str]]) -> set[str]:
    """Those that a table lacks and another one has."""
    return {name for name in names if not all(name in own for own in columns)}


def _without(dropped: set[str], metadata: dict[str, str]) -> dict[str, str]:
    if not dropped or _OUTCOME not in metadata:
        return metadata
    kept = [name for name in metadata[_OUTCOME].split() if name not in dropped]
    rest = {key: value for key, value in metadata.items() if key != _OUTCOME}
    return rest | {_OUTCOME: " ".join(kept)} if kept else rest
