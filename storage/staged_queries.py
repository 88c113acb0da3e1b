"""From a user's file to queries on disk, some thousand rows at a time, however many the file has."""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from os import PathLike, fspath
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from routecal.storage.atomic import disk_errors, staging
from routecal.storage.column_names import QUERY_COLUMNS, Wanted
from routecal.storage.conversion import Faults, FaultyRows, converted, identified, shown
from routecal.storage.duplicate_rows import RepeatedRows, duplicate_keys, warn_of_duplicates
from routecal.storage.row_files import FileRows, read_parts
from routecal.storage.row_groups import rows_where
from routecal.storage.schemas import SCHEMAS
from routecal.storage.value_parsing import instant, references, spellings, text

# The first of these that the file has is the user's own id.
_ID_COLUMNS = ("id", "external_id", "query_id")
# Where what is wrong with a row is named: the columns up to `aliases`, then its id, then the other columns.
_ID_PLACE, _LAST_PLACE = 1, 2
# Columns in which rows of one query should agree.
_COMPARED = ("ground_truth", "aliases")
_SCHEMA = SCHEMAS["queries"].append(pa.field("line", pa.int64()))


@dataclass(frozen=True)
class StagedQueries:
    """The rows of a file, converted, as they wait on disk to be stored.

    Attributes:
        file: Arrow, compressed: the schema `queries` and the `line` of every row.
        is_kept: (n,) which of the rows are queries: the first with its text and context.
    """

    file: Path
    is_kept: NDArray[np.bool_]

    @property
    def n_queries(self) -> int:
        """How many there are."""
        return int(self.is_kept.sum())

    def parts(self) -> Iterator[pa.Table]:
        """The queries in the order of the file, some thousands at a time; can be asked for again."""
        rows = (part.drop_columns(["line"]) for part in _stored(self.file))
        return rows_where(rows, self.is_kept)


@contextmanager
def staged_queries(
    path: str | PathLike[str], mapping: Mapping[str, str] | None = None, *, folder: str | None = None
) -> Iterator[StagedQueries]:
    """The queries of a JSON, CSV, Parquet or Arrow file, local or at an fsspec URL, on disk while the context lasts.

    Columns used: `query` (required); `id` (or `external_id`, `query_id`), `ground_truth` (a text, a number, or a list
    of which the first is the reference and all are aliases), `aliases` (a list; in CSV a JSON list, or texts separated
    by "|"; without a ground truth the first of them is it), `topic`, `context`, `received_at` (ISO 8601; UTC if it
    names no zone). Others are ignored; what `value_parsing` calls missing is absent. `source` is the file's name
    without its folders.

    Of rows with one text and one context the first stays. How many others there were is logged, as a warning where
    their truth is another.

    Held in memory are 8,192 rows, 48 bytes of every row (keys of its query, its id and its truth), and as many again
    while repeated rows are looked for: 1 GB for ten million. `read_parts` says of which files all is held.

    Args:
        path: the file.
        mapping: our name of a column -> the file's; None where users can give none.
        folder: where they will be stored, as of `staging`; None for the place of temporary files.

    Raises:
        InputMissing, InputEmpty, InputUnreadable, UnknownFormat, MissingColumn: the file as a whole does not serve.
        BadRows: rows cannot be read, their query is blank, a value is of the wrong type, or one id stands for two
            queries; names the first five.
        DiskFull, HomeNotWritable: they cannot be stored.
    """
    own = {ours: theirs for ours, theirs in mapping.items() if ours in QUERY_COLUMNS} if mapping is not None else None
    wanted = Wanted(fspath(path), QUERY_COLUMNS, ("query",), own)
    with ExitStack() as stack:

        def use(parts: Iterator[FileRows]) -> StagedQueries:
            # A file that is not there leaves no folder behind.
            first = next(parts)
            # Nor do rows that were read before columns turned up.
            stack.close()
            scratch = stack.enter_context(staging(folder or tempfile.gettempdir()))
            with disk_errors(str(scratch.parent)):
                return _staged(chain([first], parts), own or {}, scratch)

        yield read_parts(wanted, use)


class _Keys:
    """What is held of every row: 128 bits of its query and of its id, 64 of its truth and of its aliases."""

    def __init__(self) -> None:
        self.query, self.name = bytearray(), bytearray()
        self.compared = {column: bytearray() for column in _COMPARED}

    def add(self, columns: Mapping[str, Sequence[object]]) -> None:
        self.query += _digests(columns["query_id"])
        self.name += _digests(columns["external_id"])
        for column, held in self.compared.items():
            hashes = (hash(tuple(value) if isinstance(value, list) else value) for value in columns[column])
            held += np.fromiter(hashes, np.int64, len(columns[column])).tobytes()

    def repeated(self) -> RepeatedRows:
        first = duplicate_keys(_pairs(self.query))
        values = {column: np.frombuffer(held, np.int64) for column, held in self.compared.items()}
        return RepeatedRows(first, {column: held != held[first] for column, held in values.items()})

    def contested(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(rows, the first row with the id of each) of rows whose id an earlier row gave to another query, in order."""
        queries, names = _pairs(self.query), _pairs(self.name)
        first = duplicate_keys(names)
        rows = np.flatnonzero((queries != queries[first]).any(axis=1) & names.any(axis=1))
        return rows, first[rows]


def _staged(parts: Iterable[FileRows], own: Mapping[str, str], file: Path) -> StagedQueries:
    """Write the rows of all parts to a file, and refuse them if any cannot be used."""
    faulty, keys, n_read = FaultyRows(), _Keys(), 0
    path, unit = "", ""
    with pa.ipc.new_file(str(file), _SCHEMA, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        for rows in parts:
            path, unit, n_read = rows.path, rows.unit, n_read + rows.n_read
            columns = _converted(rows, own, faulty)
            keys.add(columns)
            writer.write_table(pa.table({name: columns[name] for name in _SCHEMA.names}, schema=_SCHEMA))
    faulty.add(_of_two_queries(keys, file, unit), place=_ID_PLACE)
    faulty.refuse(path, n_read, unit)
    found = keys.repeated()

    def value_of(row: int, column: str) -> tuple[int, object]:
        found = _row(file, row)
        return found["line"], found[column]

    warn_of_duplicates(path, unit, found, value_of, "the first of each stays")
    return StagedQueries(file, found.is_first)


def _converted(rows: FileRows, own: Mapping[str, str], faulty: FaultyRows) -> dict[str, Sequence[object]]:
    """The columns of `_SCHEMA` of some rows; what is wrong with them is among what is faulty."""
    faults: Faults = [*rows.faults]
    queries, contexts, ids = identified(rows, faults)
    # The first column that the file has, or that the user says is the id.
    id_column = next((name for name in _ID_COLUMNS if name in own), None) or next(
        (name for name in _ID_COLUMNS if name in rows.columns), _ID_COLUMNS[0]
    )
    external = converted(rows, id_column, text, faults)
    truths = converted(rows, "ground_truth", references, faults)
    aliases = converted(rows, "aliases", spellings, faults)
    _set_references(truths, aliases)
    faulty.add(faults)
    faults = []
    columns: dict[str, Sequence[object]] = {
        "query_id": ids,
        "query": queries,
        "external_id": external,
        "ground_truth": truths,
        "aliases": aliases,
        "topic": converted(rows, "topic", text, faults),
        "context": contexts,
        "source": [PurePosixPath(rows.path.replace("\\", "/")).name] * len(rows),
        "received_at": converted(rows, "received_at", instant, faults),
        "line": rows.lines,
    }
    faulty.add(faults, place=_LAST_PLACE)
    return columns


def _set_references(truths: list[object], aliases: list[object]) -> None:
    """Make each truth one text, and aliases of the others: of a list, or of the aliases alone, the first is it."""
    for row, (truth, more) in enumerate(zip(truths, aliases, strict=True)):
        if isinstance(truth, list):
            truths[row] = truth[0]
            aliases[row] = list(dict.fromkeys([*truth, *(more or ())]))  # type: ignore[misc]
        elif truth is None and isinstance(more, list):
            truths[row] = more[0]


def _of_two_queries(keys: _Keys, file: Path, unit: str) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) of rows whose own id an earlier row gave to another query."""
    rows, first = keys.contested()
    if not len(rows):
        return
    lines = np.concatenate([part["line"].to_numpy() for part in _stored(file)])
    is_contested = np.isin(np.arange(len(lines)), rows)
    names = (name for part in rows_where(_stored(file), is_contested) for name in part["external_id"].to_pylist())
    for line, earlier, name in zip(lines[rows].tolist(), lines[first].tolist(), names, strict=True):
        yield line, f"the id {shown(name)} is that of another query on {unit} {earlier}"


def _stored(file: Path) -> Iterator[pa.Table]:
    with pa.OSFile(str(file)) as handle:
        reader = pa.ipc.open_file(handle)
        for i in range(reader.num_record_batches):
            yield pa.Table.from_batches([reader.get_batch(i)])


def _row(file: Path, row: int) -> dict[str, Any]:
    for part in _stored(file):
        if row < part.num_rows:
            return dict(part.slice(row, 1).to_pylist()[0])
        row -= part.num_rows
    raise IndexError(row)


def _digests(texts: Sequence[object]) -> bytes:
    """16 bytes of every text, zeros where there is none."""
    nothing = bytes(16)
    return b"".join(nothing if t is None else hashlib.blake2b(str(t).encode(), digest_size=16).digest() for t in texts)


def _pairs(keys: bytearray) -> NDArray[np.uint64]:
    return np.frombuffer(keys, np.uint64).reshape(-1, 2)
