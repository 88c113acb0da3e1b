"""Rows that are on disk before their writer goes on, and Parquet as soon as there are enough of them.

A journal is a file of JSON lines, written with one call of the operating system for each batch of rows: what is written
survives the process, however that ends. At most the last line can be torn, by a kill in the middle of that call, and
nobody was told yet that it was there; it is dropped. A full journal becomes one Parquet file under its final name, and
is removed only then: a kill between the two leaves both, with the same name but for the ending, and readers take one.

The power may fail, too: the file is flushed to the disk every few seconds, in a thread, not with every row.
"""

import errno
import fcntl
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from routecal.storage.atomic import disk_errors, publish, staging
from routecal.storage.errors import StorageError

logger = logging.getLogger(__name__)

ROWS, SECONDS, FLUSH_S = 10_000, 3600.0, 2.0
_OPEN = ".jsonl"


class Journal:
    """One kind of rows in a folder; threads may share one, and processes a folder.

    Args:
        folder: on this machine; made if need be.
        schema: of the rows.
        rows, seconds: at which a journal becomes Parquet.

    Raises:
        DiskFull, HomeNotWritable: the folder or its first file cannot be made.
    """

    def __init__(self, folder: Path, schema: pa.Schema, *, rows: int = ROWS, seconds: float = SECONDS) -> None:
        self._folder, self._schema, self._rows, self._seconds = folder, schema, rows, seconds
        self._lock, self._done = threading.Lock(), threading.Event()
        with disk_errors(str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
        for left in sorted(folder.glob(f"*{_OPEN}")):
            _to_parquet(left, schema)
        self._open()
        self._flusher = threading.Thread(target=self._flush, name="journal", daemon=True)
        self._flusher.start()

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows; they are there once this returns. All of them, or none.

        Raises:
            DiskFull: no space is left; none of these rows is there.
        """
        data = b"".join(
            json.dumps(row, default=_plain, ensure_ascii=False).encode(errors="replace") + b"\n" for row in rows
        )
        with self._lock:
            self._write(data)
            self._n += len(rows)
            is_full = self._n >= self._rows or time.monotonic() - self._began >= self._seconds
            full = self._next() if is_full else None
        if full is not None:
            threading.Thread(target=_to_parquet, args=(full, self._schema), name="journal to Parquet").start()

    def close(self) -> None:
        """End the journal; what it holds becomes Parquet."""
        self._done.set()
        self._flusher.join()
        with self._lock:
            os.close(self._handle)
        _to_parquet(self._path, self._schema)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            with disk_errors(str(self._path)):
                while left:
                    left = left[os.write(self._handle, left) :]
        except BaseException:
            # Half a line would be glued to the next one.
            with suppress(OSError):
                os.ftruncate(self._handle, self._size)
            raise
        self._size += len(data)

    def _open(self) -> None:
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{uuid.uuid4().hex[:8]}"
        path = self._folder / f"{name}{_OPEN}"
        with disk_errors(str(path)):
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._path = path
        # Held as long as this process lives: another one that starts leaves the file alone.
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        self._size, self._n, self._began = 0, 0, time.monotonic()

    def _next(self) -> Path | None:
        """Start another file; the full one, or None where there can be no other: it is then filled further."""
        full, handle = self._path, self._handle
        try:
            self._open()
        except StorageError:
            self._began = time.monotonic()
            return None
        os.close(handle)
        return full

    def _flush(self) -> None:
        flushed = 0
        while not self._done.wait(FLUSH_S):
            with self._lock:
                size, handle = self._size, os.dup(self._handle) if self._size != flushed else None
            if handle is not None:
                with suppress(OSError):
                    os.fsync(handle)
                os.close(handle)
                flushed = size


def read_served(
    folder: Path,
    schema: pa.Schema,
    *,
    columns: Sequence[str] | None = None,
    keep: Callable[[pa.Table], pa.Table] = lambda table: table,
) -> pa.Table:
    """All rows of a kind, oldest file first: those in Parquet, and those in journals, open ones too.

    Args:
        folder, schema: of the kind.
        columns: to read; default: all.
        keep: what is kept of each file's rows, so that no more is ever in memory.
    """
    tables = [keep(table) for _, table, _ in served_files(folder, schema, columns=columns)]
    names = schema.names if columns is None else list(columns)
    return pa.concat_tables(tables) if tables else schema.empty_table().select(names)


def served_files(
    folder: Path, schema: pa.Schema, *, columns: Sequence[str] | None = None, known: Container[str] = ()
) -> Iterator[tuple[str, pa.Table, bool]]:
    """One file of a kind after the other, oldest first: (name, rows, whether it is finished and changes no more).

    Args:
        folder, schema, columns: as of `read_served`.
        known: names of finished files that are left out.
    """
    names = schema.names if columns is None else list(columns)
    # Journals first: one that becomes Parquet in between is then seen twice, and not missed.
    journals = {path.stem: path for path in folder.glob(f"*{_OPEN}")}
    finished = {path.stem: path for path in folder.glob("*.parquet")}
    for stem in sorted({*finished, *journals}):
        if stem not in finished:
            try:
                yield stem, _table(journals[stem], schema, names), False
                continue
            except FileNotFoundError:
                finished[stem] = folder / f"{stem}.parquet"  # it became Parquet in this moment
        if stem not in known:
            # Too old, and removed in this moment; or a journal that ended empty, of which nothing is left.
            with suppress(FileNotFoundError):
                yield stem, pq.read_table(finished[stem], schema=schema, columns=names), True


def remove_older(folder: Path, days: float) -> list[Path]:
    """Remove Parquet files that were written more than so many days ago; which these were."""
    before, gone = time.time() - days * 86_400, []
    for path in sorted(folder.glob("*.parquet")):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < before:
                path.unlink()
                gone.append(path)
    return gone


def _to_parquet(journal: Path, schema: pa.Schema) -> None:
    """One Parquet file of a journal that nobody writes to; no file of an empty one."""
    try:
        handle = os.open(journal, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        table = _table(journal, schema)
        if table.num_rows:
            with staging(str(journal.parent)) as staged:
                with disk_errors(str(journal.parent)):
                    pq.write_table(table, staged, compression="zstd")
                publish(staged, str(journal.with_suffix(".parquet")))
        journal.unlink(missing_ok=True)
    # Another process was faster.
    except FileNotFoundError:
        pass
    except OSError as error:
        # Another process writes it.
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            logger.warning("%s stays as it is: %s", journal, error)
    except StorageError as refused:
        logger.warning("%s stays as it is: %s", journal, refused)
    finally:
        os.close(handle)


def _table(journal: Path, schema: pa.Schema, names: Sequence[str] | None = None) -> pa.Table:
    """Its rows, or of each row these columns alone: the text of queries is most of a journal."""
    schema = schema if names is None else pa.schema([schema.field(name) for name in names])
    return pa.Table.from_pylist([*_rows(journal, schema)], schema)


def _rows(journal: Path, schema: pa.Schema) -> Iterator[dict[str, Any]]:
    times = [field.name for field in schema if pa.types.is_timestamp(field.type)]
    with journal.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):  # torn
                return
            said = json.loads(line)
            row = {name: said.get(name) for name in schema.names}
            for name in times:
                if row[name] is not None:
                    row[name] = datetime.fromisoformat(row[name])
            yield row


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not stored in a journal")
