"""Stored Parquet files, opened where they lie: of remote ones only what is read, or all of it to verify it."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from routecal.storage.atomic import full_disk, local_path
from routecal.storage.errors import ArtifactCorrupt, ArtifactMissing
from routecal.storage.remote import is_file, resolve, store_errors


class StoredParquet(pq.ParquetFile):  # type: ignore[misc]
    """A Parquet file whose row groups can be read side by side.

    Args:
        source: local path, or a handle of a remote file.
    """

    def __init__(self, source: Path | IO[bytes]) -> None:
        # Columns of a remote file are fetched in few large pieces.
        super().__init__(source, pre_buffer=not isinstance(source, Path))
        self._from = source

    def whole(self, columns: Sequence[str] | None) -> pa.Table:
        """All rows, in order; some columns, in the file's order, where they are named."""
        # Of several row groups `read` takes one after the other: a column of vectors keeps one core busy, and the
        # others idle.
        if self.num_row_groups < 2 or not isinstance(self._from, Path):
            return self.read(columns=columns)
        # Mapped, compressed bytes are in memory once, and not copied; no file is cut short after it has its name.
        return pq.read_table(self._from, columns=columns, partitioning=None, memory_map=True)


@contextmanager
def opened_parquet(uri: str, sha256: str, *, verify: bool) -> Iterator[StoredParquet]:
    """A file to read from within the block.

    Args:
        uri: local path or fsspec URL.
        sha256: of its bytes, in hexadecimal.
        verify: hash all of it first; a remote one is then fetched into a temporary local file, not into memory.

    Raises:
        ArtifactMissing: it is gone.
        ArtifactCorrupt: it is not what was written, or is not readable as Parquet.
        StorageError: the store cannot be asked.
    """
    if not is_file(uri):
        raise ArtifactMissing(uri)
    source: Any
    with store_errors(uri):
        try:
            with _local(uri) if verify or local_path(uri) else _remote(uri) as source:
                if verify and (found := digest_file(source)) != sha256:
                    raise ArtifactCorrupt(uri, sha256, found)
                with StoredParquet(source) as file:
                    yield file
        except pa.ArrowInvalid as error:
            raise ArtifactCorrupt(uri, sha256, "not readable as Parquet") from error
        except FileNotFoundError as error:
            raise ArtifactMissing(uri) from error


def digest_file(path: Path) -> str:
    """sha256 of a file, in hexadecimal, without holding it in memory."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@contextmanager
def _local(uri: str) -> Iterator[Path]:
    """A local path that holds all of it for the block."""
    if (local := local_path(uri)) is not None:
        yield local
        return
    fs, path = resolve(uri)
    with tempfile.NamedTemporaryFile(prefix="routecal-") as copy:
        with full_disk(copy.name):
            fs.get_file(path, copy.name)
        yield Path(copy.name)


@contextmanager
def _remote(uri: str) -> Iterator[Any]:
    """A remote file of which the ranges are fetched that are read: caches of fsspec read 5 to 50 MB ahead each time."""
    fs, path = resolve(uri)
    with fs.open(path, "rb", cache_type="none") as handle:
        yield handle
