"""Members of a zip file, those of inspect_ai's Zstandard among them, which Python's own module cannot unpack."""

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import pyarrow as pa

_ZSTANDARD = 93
_HEADER = struct.Struct("<26xHH")


class Members:
    """A zip file, open while the context lasts.

    Raises:
        OSError, zipfile.BadZipFile: it cannot be opened, or is cut short; what is read later raises these, too.
    """

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        self._file: IO[bytes] = path.open("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()
        self._file.close()

    def __contains__(self, name: str) -> bool:
        return name in self._zip.NameToInfo

    def names(self, folder: str) -> Iterator[str]:
        """Of the members in a folder, each once: one that was written again is the last of its name."""
        return (name for name in self._zip.NameToInfo if name.startswith(f"{folder}/"))

    def read(self, name: str) -> bytes:
        """All of one."""
        info = self._zip.getinfo(name)
        if info.compress_type != _ZSTANDARD:
            return self._zip.read(name)
        self._file.seek(info.header_offset)
        n_name, n_more = _HEADER.unpack(self._file.read(_HEADER.size))
        self._file.seek(n_name + n_more, 1)
        packed = self._file.read(info.compress_size)
        try:
            return bytes(pa.decompress(packed, decompressed_size=info.file_size, codec="zstd", asbytes=True))
        except (OSError, pa.ArrowInvalid) as error:
            raise zipfile.BadZipFile(f"{name} is damaged") from error
