"""Writing so that a name either holds all of its bytes or does not exist, on local disks and on fsspec URLs.

Local: a temporary file in the folder of the final one, fsync, rename. Remote: a local temporary file, then one upload;
object stores make an upload visible only when it is whole. A temporary file outlives only a killed process, never an
exception, and its name starts with ".tmp-"; `sweep` removes it a day later.
"""

import errno
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from fsspec.implementations.local import LocalFileSystem

from routecal.storage.errors import DiskFull, HomeNotWritable, StorageError
from routecal.storage.remote import bucket_of, is_store, is_there, resolve, store_errors
from routecal.storage.store_errors import BucketMissing

STALE_S = 24 * 3600
_STAGED = ".tmp-"
_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}


def local_path(url: str) -> Path | None:
    """The path if `url` is on this machine, else None.

    >>> local_path("memory://somewhere") is None
    True
    """
    fs, path = resolve(url)
    return Path(path) if isinstance(fs, LocalFileSystem) else None


@contextmanager
def full_disk(path: str) -> Iterator[None]:
    """Turn what the operating system says about a full disk into `DiskFull`; let all else pass."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(path) from error
        raise
    # Libraries in Rust, safetensors among them, hand the number on in words only.
    except Exception as error:
        if any(f"(os error {number})" in str(error) for number in _FULL):
            raise DiskFull(path) from error
        raise


@contextmanager
def disk_errors(path: str) -> Iterator[None]:
    """Turn what the operating system says about a full or closed disk into our errors; let all else pass."""
    try:
        with full_disk(path):
            yield
    except OSError as error:
        if error.errno in _REFUSED:
            raise HomeNotWritable(path, os.strerror(error.errno)) from error
        raise


@contextmanager
def staging(folder: str) -> Iterator[Path]:
    """A fresh local path from which `publish` can rename into `folder`; removed at the end if it is still there.

    Nothing exists at the path yet: make it a file or a folder. For a remote `folder` it lies in a local one.
    """
    local = local_path(folder)
    if local is not None:
        with disk_errors(folder):
            local.mkdir(parents=True, exist_ok=True)
    path = (local or Path(tempfile.gettempdir())) / f"{_STAGED}{uuid.uuid4().hex}"
    try:
        yield path
    finally:
        discard(path)


def sweep(home: str) -> None:
    """Remove what killed processes left under temporary names in a local home, a day after they last touched it."""
    local = local_path(home)
    for path in [] if local is None else [*local.glob(f"{_STAGED}*"), *local.glob(f"*/{_STAGED}*")]:
        # Somebody else may sweep at the same time.
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > STALE_S:
                discard(path)


def publish(staged: Path, url: str) -> None:
    """Give the staged file its final name, replacing what is there; it is on disk before it has the name."""
    fs, path = resolve(url)
    with disk_errors(url):
        flush(staged)
        if isinstance(fs, LocalFileSystem):
            os.replace(staged, path)
            flush(Path(path).parent)
        else:
            upload(staged, url)


def upload(file: Path, url: str) -> None:
    """Store a local file at a remote URL, replacing what is there; half of it is never seen there.

    Raises:
        StorageError: the store does not take it.
    """
    fs, path = resolve(url)
    with store_errors(url):
        try:
            fs.put_file(str(file), path)
        # Stores have no folders that could be missing.
        except FileNotFoundError as error:
            if is_store(url):
                raise BucketMissing(url, bucket_of(url)) from error
            raise


def write_chunks(url: str, chunks: Iterable[bytes]) -> None:
    """Write the bytes of `chunks` under `url` atomically.

    Raises:
        DiskFull: no space is left; what was under `url` before is still there.
        HomeNotWritable: the folder refuses the file.
    """
    with staging(url.rpartition("/")[0] or ".") as staged:
        with disk_errors(str(staged.parent)), open(staged, "xb") as handle:
            handle.writelines(chunks)
        publish(staged, url)


def write_files(folder: str, contents: Mapping[str, bytes]) -> None:
    """Write several files into a folder that is theirs alone; if one cannot be written, none remains.

    Raises:
        DiskFull, HomeNotWritable: as `write_chunks`.
    """
    try:
        for name, content in contents.items():
            write_chunks(f"{folder}/{name}", [content])
    except StorageError:
        fs, path = resolve(folder)
        if is_there(folder):
            fs.rm(path, recursive=True)
        raise


def flush(path: Path) -> None:
    """fsync a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def discard(path: Path) -> None:
    """Remove a file or a folder with all it holds, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
