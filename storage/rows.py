"""Reading the files people have (JSONL, CSV, Parquet) into columns, with the line that every row came from."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import BadLine, InputEmpty, InputMissing, InputUnreadable, MissingColumn, UnknownFormat

FORMATS = (".jsonl", ".ndjson", ".csv", ".parquet")
_BOM = b"\xef\xbb\xbf"
_LONGEST_CELL = 2**31 - 1


@dataclass(frozen=True)
class Rows:
    """Some columns of a file; a value that a row lacks is None.

    Attributes:
        columns: (n,) Python values per wanted column that the file has.
        lines: (n,) where each row starts: the line of a text file, the row of a Parquet file, both from 1.
        path: the file, as the user named it.
    """

    columns: dict[str, list[object]]
    lines: Sequence[int]
    path: str

    def __len__(self) -> int:
        return len(self.lines)

    def column(self, name: str) -> list[object]:
        """The column, or as many Nones if the file lacks it."""
        return self.columns.get(name) or [None] * len(self)


def read_rows(path: str, wanted: Iterable[str], *, required: Sequence[str]) -> Rows:
    """The wanted columns of a local file or fsspec URL; `.gz` after a text format is unpacked on the way.

    Raises:
        InputMissing, InputEmpty, InputUnreadable, UnknownFormat: the file as a whole cannot be read.
        BadLine: a line is not UTF-8, not JSON, not an object, or not as wide as the header.
        MissingColumn: a required column is absent.
    """
    suffixes = PurePosixPath(path.lower()).suffixes
    packed = suffixes[-1:] == [".gz"]
    suffix = (suffixes[-2:-1] if packed else suffixes[-1:]) or [""]
    if suffix[0] not in FORMATS or (packed and suffix[0] == ".parquet"):
        raise UnknownFormat(path, FORMATS)
    wanted = tuple(wanted)
    with _opened(path, packed=packed) as handle:
        if suffix[0] == ".parquet":
            columns, lines, present = _parquet(path, handle, wanted)
        elif suffix[0] == ".csv":
            columns, lines, present = _csv(path, handle, wanted)
        else:
            columns, lines, present = _jsonl(path, handle, wanted)
    for name in required:
        if present and name not in present:
            raise MissingColumn(path, name, present)
    if not lines:
        raise InputEmpty(path)
    return Rows(columns, lines, path)


_Read = tuple[dict[str, list[object]], Sequence[int], Sequence[str]]


@contextmanager
def _opened(path: str, *, packed: bool) -> Iterator[IO[bytes]]:
    try:
        with fsspec.open(path, "rb", compression="gzip" if packed else None) as handle:
            yield handle
    # What fsspec says beneath repeats the name as it is, which a log must not hold.
    except FileNotFoundError:
        raise InputMissing(path) from None
    # A folder, a closed file, a damaged gzip stream, a protocol whose package is missing.
    except (OSError, EOFError, ImportError) as error:
        raise InputUnreadable(path, str(error)) from error


def _texts(path: str, handle: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """(line number from 1, text) of every line."""
    for line, raw in enumerate(handle, start=1):
        try:
            yield line, (raw.removeprefix(_BOM) if line == 1 else raw).decode()
        except UnicodeDecodeError as error:
            raise BadLine(path, line, f"not UTF-8 (byte {error.start} of the line)") from error


def _jsonl(path: str, handle: Iterable[bytes], wanted: Sequence[str]) -> _Read:
    columns: dict[str, list[object]] = {name: [] for name in wanted}
    appends = [(name, columns[name].append) for name in wanted]
    lines: list[int] = []
    present: dict[str, None] = {}
    for line, text in _texts(path, handle):
        if text.isspace():
            continue
        try:
            row = json.loads(text)
            # An escaped half of a surrogate pair is JSON, but no text that could be stored.
            if "\\ud" in text or "\\uD" in text:
                json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise BadLine(path, line, "holds half of a surrogate pair, which is not Unicode text") from error
        except (ValueError, RecursionError) as error:
            raise BadLine(path, line, f"not JSON ({error})") from error
        if not isinstance(row, dict):
            raise BadLine(path, line, f"a JSON {type(row).__name__} where an object was expected")
        for name, append in appends:
            append(row.get(name))
        lines.append(line)
        if not row.keys() <= present.keys():
            present.update(dict.fromkeys(row))
    return {name: values for name, values in columns.items() if name in present}, lines, tuple(present)


def _csv(path: str, handle: Iterable[bytes], wanted: Sequence[str]) -> _Read:
    reader = csv.reader((text for _, text in _texts(path, handle)), strict=True)
    # The limit belongs to the process; a context can be longer than its default of 128 KiB.
    limit = csv.field_size_limit(_LONGEST_CELL)
    try:
        header = [name.strip() for name in next(reader, [])]
        if twice := sorted({name for name in header if header.count(name) > 1}):
            raise BadLine(path, 1, f"the header names {twice[0]!r} more than once")
        places = [(name, header.index(name)) for name in wanted if name in header]
        columns: dict[str, list[object]] = {name: [] for name, _ in places}
        lines: list[int] = []
        start = reader.line_num + 1
        for cells in reader:
            if cells and len(cells) != len(header):
                raise BadLine(path, start, f"{len(cells)} cells where the header has {len(header)}")
            if cells:
                for name, place in places:
                    columns[name].append(cells[place] or None)
                lines.append(start)
            start = reader.line_num + 1
    except csv.Error as error:
        raise BadLine(path, reader.line_num, f"not CSV ({error})") from error
    finally:
        csv.field_size_limit(limit)
    return columns, lines, header


def _parquet(path: str, handle: IO[bytes], wanted: Sequence[str]) -> _Read:
    try:
        file = pq.ParquetFile(handle)
        present = file.schema_arrow.names
        table = file.read(columns=[name for name in wanted if name in present])
    except pa.ArrowException as error:
        raise InputUnreadable(path, f"not Parquet ({error})") from error
    columns = {name: table[name].to_pylist() for name in table.column_names}
    return columns, range(1, file.metadata.num_rows + 1), present
