"""How much there is to ask: counts and bytes of a table of queries, found without looking at its rows in Python."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Sizes:
    """What there is to ask, each different text once, as the ledger pays for it once.

    Attributes:
        rows: of the table.
        usable: of these, with ground truth.
        queries: different queries.
        query_bytes: UTF-8 bytes of all of them.
        longest_bytes: of the longest.
        pairs: different pairs of query and ground truth.
        pair_bytes: of all of them, aliases included.
    """

    rows: int
    usable: int
    queries: int
    query_bytes: int
    longest_bytes: int
    pairs: int
    pair_bytes: int


def sizes(table: pa.Table) -> Sizes:
    """Counts and bytes of a table with the columns `query`, `ground_truth` and perhaps `aliases` (lists of texts).

    A row whose ground truth is null or blank is not usable, and in no other number.
    """
    truth = _text(table["ground_truth"])
    usable = pc.fill_null(pc.greater(pc.binary_length(pc.utf8_trim_whitespace(truth)), 0), False)
    texts = pa.table({"query": _text(table["query"]), "truth": truth, "aliases": _alias_bytes(table)})
    pairs = texts.filter(usable).group_by(["query", "truth"]).aggregate([("aliases", "max")])
    lengths = pc.binary_length(pc.unique(pairs["query"]))
    of_pairs = (pc.binary_length(pairs["query"]), pc.binary_length(pairs["truth"]), pairs["aliases_max"])
    return Sizes(
        rows=table.num_rows,
        usable=pc.sum(usable).as_py() or 0,
        queries=len(lengths),
        query_bytes=pc.sum(lengths).as_py() or 0,
        longest_bytes=pc.max(lengths).as_py() or 0,
        pairs=pairs.num_rows,
        pair_bytes=sum(pc.sum(column).as_py() or 0 for column in of_pairs),
    )


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column itself if it is text; a column of nothing but nulls has another type."""
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return column if is_text else column.cast(pa.string())


def _alias_bytes(table: pa.Table) -> pa.Array:
    """Bytes of all aliases of each row; 0 where there are none."""
    if "aliases" not in table.column_names:
        return pa.array(np.zeros(table.num_rows, dtype=np.int64))
    lists = table["aliases"].combine_chunks()
    lengths = pc.fill_null(pc.binary_length(pc.list_flatten(lists)), 0).to_numpy(zero_copy_only=False)
    rows = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    return pa.array(np.bincount(rows, weights=lengths, minlength=table.num_rows).astype(np.int64))
