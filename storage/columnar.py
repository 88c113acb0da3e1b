"""Parquet and Arrow files, whoever wrote them, as Python values."""

from collections.abc import Iterator
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from routecal.storage.column_names import Read, Wanted
from routecal.storage.input_errors import InputUnreadable
from routecal.storage.text_lines import refuse_other_formats

# What pyarrow raises for a value that Python has none for, or for bytes that are none of the type.
_UNREADABLE = (pa.ArrowException, ValueError, TypeError, OverflowError, KeyError, ImportError)


def read_parquet(wanted: Wanted, handle: IO[bytes]) -> Iterator[Read]:
    """(columns, the number of each row from 1, nothing) of a Parquet file, some rows at a time.

    Raises:
        InputUnreadable: it is none, or damaged, or a wanted column holds what no Python value stands for.
        MissingColumn: it lacks what is required.
    """
    _check_head(wanted.path, handle, b"PAR1")
    try:
        # Buffered, so that a row group is not read whole, however large it is.
        file = pq.ParquetFile(handle, buffer_size=1 << 20)
        schema = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise InputUnreadable(wanted.path, f"not Parquet ({error})") from error
    names = _names(wanted, schema)
    batches = file.iter_batches(wanted.rows_at_a_time, columns=[*names.values()])
    yield from _parts(wanted, batches, names, "not complete")


def read_arrow(wanted: Wanted, handle: IO[bytes]) -> Iterator[Read]:
    """The same of an Arrow file (also called Feather), or of an Arrow stream, as Hugging Face datasets keeps."""
    is_file = _check_head(wanted.path, handle, b"ARROW1").startswith(b"ARROW1")
    try:
        reader = pa.ipc.open_file(handle) if is_file else pa.ipc.open_stream(handle)
    except (pa.ArrowException, OSError) as error:
        raise InputUnreadable(wanted.path, f"not Arrow ({error})") from error
    batches = (reader.get_batch(i) for i in range(reader.num_record_batches)) if is_file else iter(reader)
    yield from _parts(wanted, batches, _names(wanted, reader.schema), "not Arrow")


def _check_head(path: str, handle: IO[bytes], own: bytes) -> bytes:
    head = handle.read(64)
    handle.seek(0)
    refuse_other_formats(path, head, but=own)
    return head


def _names(wanted: Wanted, schema: pa.Schema) -> dict[str, str]:
    """The file's name of every wanted column, by ours."""
    return {ours: schema.names[place] for ours, place in wanted.places(schema.names).items()}


def _parts(wanted: Wanted, batches: Iterator[pa.RecordBatch], names: dict[str, str], what: str) -> Iterator[Read]:
    start = 1
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError) as error:
            raise InputUnreadable(wanted.path, f"{what} ({error})") from error
        if batch is None:
            return
        # Those of an Arrow file are as large as whoever wrote it made them.
        for at in range(0, batch.num_rows, wanted.rows_at_a_time):
            part = pa.Table.from_batches([batch.slice(at, wanted.rows_at_a_time)])
            yield _columns(wanted, part, names), range(start, start + part.num_rows), []
            start += part.num_rows


def _columns(wanted: Wanted, table: pa.Table, names: dict[str, str]) -> dict[str, list[object]]:
    columns = {}
    for ours, theirs in names.items():
        column = table.column(theirs)
        try:
            # Damaged offsets would be followed to wherever they lead.
            column.validate(full=True)
            columns[ours] = _values(column)
        except _UNREADABLE as error:
            where = f"its column {theirs!r} of type {column.type} holds a value that cannot be read ({error})"
            raise InputUnreadable(wanted.path, where, f"save {theirs!r} as another type, such as texts") from error
    return columns


def _values(column: pa.ChunkedArray) -> list[object]:
    kind = column.type
    if isinstance(kind, pa.ExtensionType):
        return _values(pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type))
    if pa.types.is_dictionary(kind):
        return _values(column.cast(kind.value_type))
    if pa.types.is_timestamp(kind):
        # Python knows no nanoseconds, and not every machine all zones; the moment is the same in UTC.
        zone = None if kind.tz is None else "UTC"
        return list(column.cast(pa.timestamp("us", zone), safe=kind.unit != "ns").to_pylist())
    if pa.types.is_float16(kind) or pa.types.is_float32(kind):
        # As float64 they would have digits that nobody wrote: 0.1 would be 0.10000000149011612.
        narrow = np.float16 if pa.types.is_float16(kind) else np.float32
        return [None if v is None else float(str(narrow(v))) for v in column.to_pylist()]
    return list(column.to_pylist())
