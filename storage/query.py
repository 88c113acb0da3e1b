"""The SQL files of `storage/sql`, run by DuckDB over artifacts."""

import re
from collections.abc import Mapping
from functools import partial

import duckdb
import pyarrow as pa
from fsspec import AbstractFileSystem

from routecal.storage.artifact import Artifact, column_names
from routecal.storage.atomic import local_path
from routecal.storage.errors import ArtifactMissing
from routecal.storage.query_files import FUNCTIONS, header, load_sql
from routecal.storage.remote import is_file, is_store, resolve
from routecal.storage.schemas import SCHEMAS

# What a view is of: one artifact; those of several runs by their ids, which become its first column; or nothing, for an
# empty view of the kind that its name ends in.
Source = Artifact | Mapping[str, Artifact] | None


def connect(**views: Source) -> duckdb.DuckDBPyConnection:
    """A database in memory with a view per keyword, named by it; close it, or use it in `with`.

    Columns of the kind that a file lacks, as an earlier version wrote it, are there and NULL.

    Raises:
        ArtifactMissing, ArtifactCorrupt: the file of one of them is gone, or cut short.
    """
    con = duckdb.connect()
    try:
        con.execute("SET enable_progress_bar = false")
        # Bits of a key that is grouped by without being hashed: those of `bin_of`, and one for NULL.
        con.execute("SET perfect_ht_threshold = 17")
        con.execute(FUNCTIONS)
        for name, source in views.items():
            _relation(con, name, source).create_view(name)
    except BaseException:
        con.close()
        raise
    return con


def run(con: duckdb.DuckDBPyConnection, name: str, /, **params: object) -> pa.Table:
    """The rows of one query; its file says what they are.

    Raises:
        UnknownName: there is no such query.
        TypeError: `params` are not exactly those of the file's header.
    """
    if (want := set(header(name, "params"))) != set(params):
        raise TypeError(f"{name}.sql takes {sorted(want)}, got {sorted(params)}")
    return con.sql(load_sql(name), params=params).to_arrow_table()


def _relation(con: duckdb.DuckDBPyConnection, name: str, source: Source) -> duckdb.DuckDBPyRelation:
    """The columns of the kind in its order, after the id of the run where there are several."""
    several = {"": source} if isinstance(source, Artifact) else dict(source or {})
    is_many = not isinstance(source, Artifact) and name.startswith("night_")
    kind = next((artifact.kind for artifact in several.values()), name.removeprefix("night_"))
    # DuckDB knows no half floats from Arrow, and no query reads vectors.
    fields = [field for field in SCHEMAS[kind] if not pa.types.is_fixed_size_list(field.type)]
    wanted = con.from_arrow(pa.schema(([pa.field("run_id", pa.string())] if is_many else []) + fields).empty_table())
    if not several:
        return wanted
    # A file that several runs recorded is read once, and is of each of them. Its name, which follows from its content,
    # is all that DuckDB leaves of some URLs.
    names = {run_id: artifact.uri.rpartition("/")[2] for run_id, artifact in several.items()}
    files = {names[run_id]: _opened(con, artifact) for run_id, artifact in several.items()}
    try:
        rows = con.read_parquet(list(files.values()), union_by_name=True, filename=is_many)
    except duckdb.Error:
        for artifact in several.values():
            column_names(artifact)
        raise
    if is_many:
        runs = pa.table({"name": list(names.values()), "run_id": list(names)})
        name_of = duckdb.FunctionExpression("parse_filename", duckdb.ColumnExpression("filename")).alias("name")
        rows = rows.select(duckdb.StarExpression(exclude=["filename"]), name_of).join(con.from_arrow(runs), "name")
    return rows.select(
        *(
            duckdb.ColumnExpression(column)
            if column in rows.columns
            else duckdb.ConstantExpression(None).cast(of_kind).alias(column)
            for column, of_kind in zip(wanted.columns, wanted.types, strict=True)
        )
    )


def _opened(con: duckdb.DuckDBPyConnection, artifact: Artifact) -> str:
    """How DuckDB is to be told of the file.

    Raises:
        ArtifactMissing: it is gone.
    """
    if not is_file(artifact.uri):
        raise ArtifactMissing(artifact.uri)
    fs, _ = resolve(artifact.uri)
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    # DuckDB takes each only once.
    if local_path(artifact.uri) is None and not protocols & set(con.list_filesystems()):
        con.register_filesystem(_without_reading_ahead(fs) if is_store(artifact.uri) else fs)
    # DuckDB takes paths for patterns; a bracket in a folder's name must stand for itself.
    return re.sub(r"([*?[])", r"[\1]", artifact.uri)


def _without_reading_ahead(fs: AbstractFileSystem) -> AbstractFileSystem:
    """The same client, with files that fetch what DuckDB asks for, and nothing after it.

    DuckDB knows which ranges it needs; what caches of fsspec read ahead was 2.5 times a whole file of vectors.
    """
    # Its connections too: a client of its own would take a second of CPU.
    own = object.__new__(type(fs))
    own.__dict__ |= fs.__dict__
    own.open = partial(fs.open, cache_type="none")
    return own
