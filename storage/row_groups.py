"""Tables written as one file in row groups, part by part: equal rows make equal bytes, however they came."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from routecal.storage.schemas import conform
from routecal.storage.vectors import packed

# What writing and reading hold at a time: of vectors of 640 halves, 84 MB. DuckDB reads groups side by side, but a
# million rows in one of them by one thread.
ROWS_PER_GROUP = 1 << 16


def write_rows(parts: Iterable[pa.Table], kind: str, metadata: Mapping[str, str], sink: Path | pa.NativeFile) -> int:
    """Write tables as one Parquet file; how many rows that is.

    Args:
        parts: of this kind; no more of them than a row group is in memory at a time.
        kind: key of `SCHEMAS`.
        metadata: of the file, in this order.
        sink: where to.

    Raises:
        UnknownName, SchemaMismatch: a table is not of that kind.
    """
    with ExitStack() as stack:
        writer, rows = None, 0
        for group in regrouped((conform(part, kind) for part in parts), ROWS_PER_GROUP):
            # One chunk per column: where chunks end must not show in the bytes.
            whole = packed(group.combine_chunks()).replace_schema_metadata(metadata)
            writer = writer or stack.enter_context(pq.ParquetWriter(sink, whole.schema, compression="zstd"))
            writer.write_table(whole, row_group_size=ROWS_PER_GROUP)
            rows += whole.num_rows
    return rows


def rows_where(parts: Iterable[pa.Table], mask: NDArray[np.bool_]) -> Iterator[pa.Table]:
    """Of tables that hold (n,) rows together, those rows for which the mask is true; some tables may become empty."""
    start = 0
    for part in parts:
        own = mask[start : start + part.num_rows]
        yield part if own.all() else part.filter(pa.array(own))
        start += part.num_rows


def regrouped(parts: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    """The same rows in tables of `size`; the last may be shorter, and is empty where there is no row at all."""
    held: pa.Table | None = None
    for part in parts:
        held = part if held is None else pa.concat_tables([held, part])
        while held.num_rows > size:
            yield held.slice(0, size)
            held = held.slice(size)
    if held is not None:
        yield held
