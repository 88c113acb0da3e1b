"""Reading the files people have (JSON, CSV, Parquet, Arrow) into columns, with the line that every row came from."""

import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import IO, TypeVar

import fsspec

from routecal.storage.column_names import LaterColumns, Read, Wanted
from routecal.storage.columnar import read_arrow, read_parquet
from routecal.storage.delimited import read_csv
from routecal.storage.errors import StorageError
from routecal.storage.input_errors import InputEmpty, InputMissing, InputUnreadable, UnknownFormat
from routecal.storage.json_rows import read_json
from routecal.storage.remote import is_folder, is_store, names_in, resolve, store_errors
from routecal.storage.text_lines import GZIP, refuse_other_formats

_READERS: dict[str, Callable[[Wanted, IO[bytes]], Iterator[Read]]] = {
    ".jsonl": read_json,
    ".ndjson": read_json,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".parquet": read_parquet,
    ".arrow": read_arrow,
    ".feather": read_arrow,
}
T = TypeVar("T")
FORMATS = tuple(_READERS)
_BINARY = (".parquet", ".arrow", ".feather")
_REMEDIES = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods"), "save the sheet as CSV UTF-8"),
    **dict.fromkeys((".zip", ".zst", ".bz2", ".xz", ".tar", ".tgz", ".7z"), "unpack it"),
    **dict.fromkeys((".pkl", ".pickle", ".npz", ".h5", ".db", ".sqlite"), "export it as Parquet or JSON lines"),
    ".txt": "give it the ending that tells what is in it",
}


@dataclass(frozen=True)
class FileRows:
    """Some columns of a file, or of some rows of it; a value that a row lacks is None.

    Attributes:
        columns: (n,) Python values per wanted column that the file has, by our names; none where n is 0.
        lines: (n,) where each row starts: the line of a text file, the row of a Parquet or Arrow file, both from 1.
        path: the file, as the user named it.
        unit: what `lines` counts, `line` or `row`.
        faults: (line, what is wrong) of rows that could not even be read; they are not in the columns.
    """

    columns: dict[str, list[object]]
    lines: Sequence[int]
    path: str
    unit: str = "line"
    faults: list[tuple[int, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def n_read(self) -> int:
        """Rows, and lines that hold none that could be read."""
        return len(self) + len({line for line, _ in self.faults})

    def column(self, name: str) -> list[object]:
        """The column, or as many Nones if the file lacks it."""
        return self.columns.get(name) or [None] * len(self)


def read_parts(wanted: Wanted, use: Callable[[Iterator[FileRows]], T]) -> T:
    """What `use` makes of the wanted columns of a local file or fsspec URL, which it gets some rows at a time.

    `.gz` after a text format is unpacked on the way. Where columns turn up late in a file it is read once more, and
    `use` is called once more. Held in memory are the rows of one part, but all of a JSON document (one array or
    object) and of a text in UTF-16 or UTF-32.

    Raises:
        InputMissing, InputEmpty, InputUnreadable, UnknownFormat: the file as a whole cannot be read.
        MissingColumn: a column that is required or mapped is absent.
    """
    while True:
        try:
            with closing(_parts(wanted)) as parts:
                return use(parts)
        except LaterColumns as later:
            wanted = replace(wanted, present=later.present)


def read_rows(wanted: Wanted) -> FileRows:
    """The wanted columns of a whole file; errors as `read_parts`."""
    return read_parts(wanted, _whole)


def _whole(parts: Iterator[FileRows]) -> FileRows:
    whole = next(parts)
    lines = [*whole.lines]
    for part in parts:
        whole.faults.extend(part.faults)
        lines.extend(part.lines)
        for name, values in part.columns.items():
            whole.columns.setdefault(name, []).extend(values)
    return replace(whole, lines=lines)


def _parts(wanted: Wanted) -> Generator[FileRows]:
    path = wanted.path
    suffixes = PurePosixPath(path.lower()).suffixes
    packed = suffixes[-1:] == [".gz"]
    suffix = ((suffixes[-2:-1] if packed else suffixes[-1:]) or [""])[0]
    with _opened(path, suffix, packed=packed) as handle:
        is_empty = True
        for columns, lines, faults in _READERS[suffix](wanted, handle):
            if lines or faults:
                is_empty = False
                yield FileRows(columns, lines, path, "row" if suffix in _BINARY else "line", faults)
    if is_empty:
        raise InputEmpty(path)


@contextmanager
def _opened(path: str, suffix: str, *, packed: bool) -> Iterator[IO[bytes]]:
    try:
        with store_errors(path):
            fs, place = _found(path)
            if fs.isdir(place):
                _refuse_folder(path, fs.ls(place, detail=False))
            if suffix not in FORMATS or (packed and suffix in _BINARY):
                raise UnknownFormat(path, FORMATS, "unpack it" if packed else _REMEDIES.get(suffix, ""))
            if packed:
                with fs.open(place, "rb") as raw:
                    refuse_other_formats(path, raw.read(64), but=GZIP)
            with fs.open(place, "rb", compression="gzip" if packed else None) as handle:
                yield handle
    except StorageError:
        raise
    # What fsspec says beneath repeats the name as it is, which a log must not hold.
    except FileNotFoundError:
        raise InputMissing(path) from None
    # A closed file, a damaged gzip stream, a protocol whose package is missing.
    except (OSError, EOFError, ImportError, zlib.error) as error:
        raise InputUnreadable(path, str(error)) from error


def _found(path: str) -> tuple[fsspec.AbstractFileSystem, str]:
    if is_store(path):
        return resolve(path)
    try:
        fs, place = fsspec.core.url_to_fs(path)
    except ValueError as error:
        raise InputUnreadable(path, str(error), "name a local file, or a URL that fsspec knows") from error
    return fs, place


def _refuse_folder(path: str, content: Sequence[str]) -> None:
    names = {PurePosixPath(name).name for name in content}
    if names & {"dataset_info.json", "state.json", "dataset_dict.json"}:
        remedy = "save the split with Dataset.to_parquet, or name one of its .arrow files"
        raise InputUnreadable(path, "it is a folder that Hugging Face datasets saved", remedy)
    raise InputUnreadable(path, "it is a folder", "name one file in it")


def files_in(folder: str, endings: Sequence[str]) -> list[str]:
    """Paths (or URLs) of the files directly in `folder` that end in one of `endings`, sorted.

    Raises:
        InputMissing: there is no such folder.
        HomeNotWritable: the protocol is unknown or its package is not installed.
    """
    fs, _ = resolve(folder)
    if not is_folder(folder):
        raise InputMissing(folder)
    found = [fs.unstrip_protocol(path) for path in names_in(folder) if path.endswith(tuple(endings))]
    return sorted(path.removeprefix("file://") for path in found)
