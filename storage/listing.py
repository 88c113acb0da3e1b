"""The files of a folder, local or at an fsspec URL."""

from collections.abc import Sequence

from routecal.storage.atomic import resolve
from routecal.storage.errors import InputMissing


def files_in(folder: str, endings: Sequence[str]) -> list[str]:
    """Paths (or URLs) of the files directly in `folder` that end in one of `endings`, sorted.

    Raises:
        InputMissing: there is no such folder.
        HomeNotWritable: the protocol is unknown or its package is not installed.
    """
    fs, root = resolve(folder)
    if not fs.isdir(root):
        raise InputMissing(folder)
    found = [fs.unstrip_protocol(path) for path in fs.ls(root, detail=False) if str(path).endswith(tuple(endings))]
    return sorted(path.removeprefix("file://") for path in found)
