"""Tables that routecal 0.1 stored, whose ids were of the rough text alone, beside tables of now."""

import json

import pyarrow as pa
import pyarrow.compute as pc

from routecal.storage.artifact import Artifact, digest_table, read_metadata, read_table, write_table
from routecal.storage.layout import Home
from routecal.storage.manifest import manifest_of
from routecal.storage.query_identity import is_rough, query_id, rough_half
from routecal.tasks.errors import OldIds
from routecal.tasks.oracle.label_shards import UNLABELLED


def has_rough_ids(table: Artifact) -> bool:
    """Whether a table has the ids of 0.1."""
    ids = read_table(table, columns=["query_id"], verify=False)["query_id"]
    return any(is_rough(name) for name in pc.unique(ids).to_pylist())


def ids_of_now(queries: Artifact) -> dict[str, str]:
    """The id that each query of a table has now, by the one under which the table holds it."""
    table = read_table(queries, columns=["query_id", "query", "context"])
    return {old: query_id(text, context) for old, text, context in zip(*table.to_pydict().values(), strict=True)}


def under_one_identity(queries: Artifact, labels: Artifact, features: Artifact) -> dict[str, Artifact]:
    """The three by their kinds, all under the ids of now where any has them.

    What 0.1 stored keeps its worth: its labels and features are of the texts in the queries that were recorded beside
    them. Only outcomes that it replayed may be of other questions, as it found them by the rough text.

    Raises:
        OldIds: labels or features cannot be carried over, or not be trusted; says which command makes them again.
    """
    tables = {"queries": queries, "labels": labels, "features": features}
    old = {kind for kind, table in tables.items() if has_rough_ids(table)}
    if "labels" in old and "replay" in read_table(labels, columns=["oracle"])["oracle"].unique().to_pylist():
        raise OldIds("labels", labels.uri, "may have given a query the recorded outcome of another")
    if old == tables.keys():
        return tables
    return {kind: _carried_over(table) if kind in old else table for kind, table in tables.items()}


def digest_for_job(rows: Artifact) -> str:
    """What names the job of labelling these rows: of queries, the sha256 that 0.1 would have given to them.

    So an attempt that 0.1 began keeps its budget, and the batch jobs that it paid for are adopted.
    """
    if rows.kind != "queries":
        return rows.sha256
    table = read_table(rows)
    first: dict[str, int] = {}
    for row, name in enumerate(table["query_id"].to_pylist()):
        first.setdefault(rough_half(name), row)
    firsts = table.take(pa.array(first.values(), pa.int64()))
    place = firsts.schema.get_field_index("query_id")
    return digest_table(firsts.set_column(place, firsts.schema.field(place), pa.array(first, pa.string())), rows.kind)


def _carried_over(table: Artifact) -> Artifact:
    beside = table
    if table.kind != "queries":
        manifest = manifest_of(Home.from_env(), table)
        found = manifest.of_kind("queries") if manifest is not None else ()
        if not found:
            raise OldIds(table.kind, table.uri, "left no record of the queries that they are of")
        beside = found[-1]
    now = ids_of_now(beside)
    rows = read_table(table)
    ids = [now.get(name) for name in rows["query_id"].to_pylist()]
    if None in ids:
        raise OldIds(table.kind, table.uri, "recorded other queries beside them")
    place = rows.schema.get_field_index("query_id")
    metadata = read_metadata(table)
    if UNLABELLED in metadata:
        reasons = json.loads(metadata[UNLABELLED])
        metadata[UNLABELLED] = json.dumps({now.get(k, k): why for k, why in reasons.items()}, sort_keys=True)
    renamed = rows.set_column(place, rows.schema.field(place), pa.array(ids, pa.string()))
    return write_table(renamed, table.kind, home=Home.from_env(), metadata=metadata)
