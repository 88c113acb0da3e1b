"""Immutable tables, named by their content, and the reference that tasks pass around instead of them.

The same table with the same metadata always gets the same name, so a second run writes nothing. (The bytes depend on
the version of pyarrow; a newer one may give the same table another name, and both stay readable.)
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import pyarrow as pa
from pydantic import (
    BaseModel,
    Field,
    SerializationInfo,
    ValidationInfo,
    field_serializer,
    model_validator,
)

from routecal.storage.atomic import disk_errors, local_path, publish, staging
from routecal.storage.errors import ArtifactCorrupt, ArtifactMissing, SchemaMismatch, WrongKind
from routecal.storage.layout import Home
from routecal.storage.parquet_source import StoredParquet, digest_file, opened_parquet
from routecal.storage.remote import is_file, is_there, resolve, store_errors
from routecal.storage.row_groups import regrouped, write_rows
from routecal.storage.vectors import unpacked

_KIND = "routecal.kind"


class Artifact(BaseModel, frozen=True):
    """A reference to one immutable table or folder; small, JSON, and equal exactly when the content is.

    Stored, a `uri` in the home is relative to its root, and is looked for in the home of whoever reads it: that of the
    environment, or the one that `within` names. Absolute places that version 0.1 stored are looked for there too, once
    nothing is left where they point.
    """

    uri: str = Field(description="absolute local path or fsspec URL")
    sha256: str = Field(description="of the file; of a folder, `folder_digest`")
    rows: int = Field(ge=0, description="rows of the table; files of a folder")
    kind: str = Field(description="key of `SCHEMAS`, or what the folder holds (heads, routers, reports …)")

    @model_validator(mode="before")
    @classmethod
    def _where_it_is_now(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, Mapping) or not {"uri", "sha256"} <= data.keys():
            return data
        return {**data, "uri": _located(str(data["uri"]), str(data["sha256"]), _home(info))}

    @field_serializer("uri")
    def _from_the_root_on(self, uri: str, info: SerializationInfo) -> str:
        return _home(info).relative(uri)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Artifact) and (self.kind, self.sha256) == (other.kind, other.sha256)

    def __hash__(self) -> int:
        return hash((self.kind, self.sha256))


def within(home: Home) -> dict[str, Any]:
    """The context under which pydantic reads or writes references of this home, and not of the environment's."""
    return {"home": home}


def write_table(table: pa.Table, kind: str, *, home: Home, metadata: Mapping[str, str] = {}) -> Artifact:
    """Store a table as `<home>/<kind>/<sha256[:16]>.parquet`, atomically; one that is there and whole is kept.

    Args:
        table: its columns are exactly `SCHEMAS[kind]`, in order. Metadata of its own is dropped.
        kind: key of `SCHEMAS`.
        home: where artifacts live.
        metadata: stored in the file and part of its identity; no times or paths here, or equal tables get two names.

    Raises:
        UnknownName, SchemaMismatch: the table is not of that kind.
        DiskFull, HomeNotWritable: it cannot be stored; nothing half-written remains.
    """
    return write_parts([table], kind, home=home, metadata=metadata)


def write_parts(parts: Iterable[pa.Table], kind: str, *, home: Home, metadata: Mapping[str, str] = {}) -> Artifact:
    """Store tables one after the other as one, which is what `write_table` makes of all their rows; errors as there.

    Args:
        parts: at least one; no more of them than a row group is in memory at a time.
        kind, home, metadata: as of `write_table`.
    """
    folder = home.folder(kind)
    with staging(folder) as staged:
        with disk_errors(str(staged.parent)):
            rows = write_rows(parts, kind, {_KIND: kind, **dict(sorted(metadata.items()))}, staged)
        sha256 = digest_file(staged)
        uri = f"{folder}/{sha256[:16]}.parquet"
        artifact = Artifact(uri=uri, sha256=sha256, rows=rows, kind=kind)
        if not _is_there(artifact, size=staged.stat().st_size):
            publish(staged, uri)
    return artifact


def digest_table(table: pa.Table, kind: str) -> str:
    """The sha256 under which `write_table` would store a table without metadata; nothing is stored.

    Raises:
        UnknownName, SchemaMismatch: as `write_table`.
    """
    sink = pa.BufferOutputStream()
    write_rows([table], kind, {_KIND: kind}, sink)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def read_table(artifact: Artifact, *, columns: Sequence[str] | None = None, verify: bool = True) -> pa.Table:
    """The stored table, or some of its columns in the order asked for.

    Args:
        artifact: what `write_table` returned.
        columns: names; all when None.
        verify: hash the whole file first (about a second per gigabyte).

    Raises:
        ArtifactMissing: the file is gone.
        ArtifactCorrupt: the file is not what was written.
        SchemaMismatch: a column does not exist.
    """
    with _opened(artifact, verify=verify) as file:
        if columns is not None and (unknown := [c for c in columns if c not in file.schema_arrow.names]):
            raise SchemaMismatch(artifact.kind, [f"there is no column {', '.join(unknown)}"])
        table = unpacked(file.whole(None if columns is None else list(columns)))
    return table if columns is None else table.select(list(columns))


def read_metadata(artifact: Artifact) -> dict[str, str]:
    """The metadata given to `write_table`; the rows are not read.

    Raises:
        ArtifactMissing, ArtifactCorrupt: as `read_table` without verification.
    """
    with _opened(artifact, verify=False) as file:
        pairs = file.schema_arrow.metadata or {}
    return {k.decode(): v.decode() for k, v in pairs.items() if k != _KIND.encode()}


def column_names(artifact: Artifact) -> list[str]:
    """Of the stored table; the rows are not read.

    Raises:
        ArtifactMissing, ArtifactCorrupt: as `read_table` without verification.
    """
    with _opened(artifact, verify=False) as file:
        return list(file.schema_arrow.names)


def iter_table(artifact: Artifact, size: int = 1 << 14, *, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The stored table, or some columns of it, as tables of `size` rows one after the other; errors as `read_table`."""
    with _opened(artifact, verify=True) as file:
        # A batch may end where a row group does.
        batches = file.iter_batches(batch_size=size, columns=columns)
        yield from regrouped((unpacked(pa.Table.from_batches([batch])) for batch in batches), size)


def kind_of(artifact: Artifact) -> str | None:
    """The kind that `write_table` noted in the file; None in a file of somebody else's.

    Raises:
        ArtifactMissing, ArtifactCorrupt: as `read_table` without verification.
    """
    with _opened(artifact, verify=False) as file:
        kind = (file.schema_arrow.metadata or {}).get(_KIND.encode())
    return None if kind is None else str(kind.decode())


def _home(info: ValidationInfo | SerializationInfo) -> Home:
    home = (info.context or {}).get("home")
    return home if isinstance(home, Home) else Home.from_env()


def _located(uri: str, sha256: str, home: Home) -> str:
    """Where a stored reference points now: of an absolute one into a home that is gone, its place in this one."""
    uri = home.absolute(uri)
    folder, _, name = uri.rpartition("/")
    if home.relative(uri) != uri or name.removesuffix(".parquet") != sha256[:16]:
        return uri
    # Whether another bucket still holds it is not asked: the content here is the same.
    if "://" not in uri and os.path.exists(uri):
        return uri
    here = f"{home.folder(folder.rpartition('/')[2])}/{name}"
    return here if is_there(here) else uri


def _opened(artifact: Artifact, *, verify: bool) -> AbstractContextManager[StoredParquet]:
    return opened_parquet(artifact.uri, artifact.sha256, verify=verify)


def _is_there(artifact: Artifact, *, size: int) -> bool:
    """Whether the same bytes have the name already; remote ones are compared by size, to not download them."""
    if not is_file(artifact.uri):
        return False
    fs, path = resolve(artifact.uri)
    with store_errors(artifact.uri):
        if fs.size(path) != size:
            return False
    local = local_path(artifact.uri)
    return local is None or digest_file(local) == artifact.sha256


def table_at(uri: str, kind: str) -> Artifact:
    """A reference to the stored table at a local path.

    Raises:
        ArtifactMissing: there is no such file, or it is not local.
        WrongKind: it holds another kind of table, or none of ours.
    """
    path = local_path(uri)
    if path is None or not path.is_file():
        raise ArtifactMissing(uri)
    found = Artifact(uri=str(path), sha256=digest_file(path), rows=0, kind=kind)
    try:
        stored = kind_of(found)
    except ArtifactCorrupt as error:
        raise WrongKind(uri, kind, None) from error
    if stored != kind:
        raise WrongKind(uri, kind, stored)
    rows = read_table(found, columns=["query_id"], verify=False).num_rows
    return found.model_copy(update={"rows": rows})
