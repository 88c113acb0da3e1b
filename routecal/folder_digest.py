"""Which checkpoint, head or report a folder holds, as one number; calib and storage count alike."""

import hashlib
from collections.abc import Collection
from pathlib import Path


def folder_files(folder: Path) -> list[tuple[str, Path]]:
    """(relative POSIX name, file) of all files, sorted by name, so that every file system gives one order."""
    return sorted((f.relative_to(folder).as_posix(), f) for f in folder.rglob("*") if f.is_file())


def folder_digest(folder: Path, *, without: Collection[str] = ()) -> str:
    """sha256 over the sorted relative names, sizes and contents of all files; empty folders do not count.

    The same bytes give the same digest on every machine; a renamed file or a changed byte gives another.

    Args:
        folder: links are followed.
        without: relative names that do not count, such as what a host adds to every folder.
    """
    digest = hashlib.sha256()
    for name, file in folder_files(folder):
        if name in without:
            continue
        digest.update(f"{name}\0{file.stat().st_size}\0".encode())
        with open(file, "rb") as handle:
            while block := handle.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
