"""Columns of vectors: lists of halves in memory, bytes in the file, where Parquet takes them many times as fast.

A list goes through levels of repetition number by number, and through a dictionary of values; bytes are copied
(`make bench-vectors`). Both ways share the memory of the numbers. Bytes are little-endian IEEE 754 binary16.
"""

from collections.abc import Callable

import pyarrow as pa

_HALF = pa.float16()


def packed(table: pa.Table) -> pa.Table:
    """The table with every column of lists of halves as bytes of one length; such a list is never null."""
    return _changed(table, _is_vector, lambda kind: pa.binary(kind.list_size * _HALF.byte_width), _bytes)


def unpacked(table: pa.Table) -> pa.Table:
    """What `packed` was given; a table of before, with lists, as it is."""
    return _changed(table, pa.types.is_fixed_size_binary, lambda kind: pa.list_(_HALF, kind.byte_width // 2), _halves)


def _is_vector(kind: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_list(kind) and kind.value_type == _HALF)


def _changed(
    table: pa.Table,
    is_meant: Callable[[pa.DataType], bool],
    new: Callable[[pa.DataType], pa.DataType],
    change: Callable[[pa.Array, pa.DataType], pa.Array],
) -> pa.Table:
    for i, field in enumerate(table.schema):
        if is_meant(field.type):
            kind = new(field.type)
            chunks = [change(chunk, kind) for chunk in table.column(i).chunks]
            table = table.set_column(i, field.with_type(kind), pa.chunked_array(chunks, kind))
    return table


def _bytes(chunk: pa.FixedSizeListArray, kind: pa.DataType) -> pa.FixedSizeBinaryArray:
    numbers = chunk.flatten()
    return pa.Array.from_buffers(kind, len(chunk), [None, _part(numbers, _HALF.byte_width)])


def _halves(chunk: pa.FixedSizeBinaryArray, kind: pa.DataType) -> pa.FixedSizeListArray:
    size = kind.list_size
    part = _part(chunk, size * _HALF.byte_width)
    return pa.FixedSizeListArray.from_arrays(pa.Array.from_buffers(_HALF, len(chunk) * size, [None, part]), type=kind)


def _part(array: pa.Array, width: int) -> pa.Buffer:
    """The bytes of an array that may be a part of a longer one."""
    data = array.buffers()[1]
    return pa.py_buffer(b"") if data is None else data.slice(array.offset * width, len(array) * width)
