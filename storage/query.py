"""The SQL files of `storage/sql`, run by DuckDB over artifacts."""

import re
from importlib.resources import files

import duckdb
import pyarrow as pa

from routecal.storage.artifact import Artifact
from routecal.storage.atomic import local_path, resolve
from routecal.storage.errors import ArtifactMissing, UnknownName

_FOLDER = files("routecal.storage") / "sql"


def names() -> tuple[str, ...]:
    """The queries there are, sorted."""
    return tuple(sorted(f.name.removesuffix(".sql") for f in _FOLDER.iterdir() if f.name.endswith(".sql")))


def load_sql(name: str) -> str:
    """The text of one query.

    Raises:
        UnknownName: there is no such file.
    """
    if name not in names():
        raise UnknownName("query", name, names())
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def header(name: str, key: str) -> tuple[str, ...]:
    """The names after `-- key:` at the top of a query: columns, params, grain (columns that no two rows share), reads
    (kinds of artifacts, which are its views); empty if it says none.

    >>> header("grades", "columns")
    ('medium_grade', 'large_grade', 'n', 'share')
    """
    line = re.search(rf"^-- {key}:(.*)$", load_sql(name), re.MULTILINE)
    listed = line[1].strip() if line else ""
    return () if listed in ("", "none") else tuple(part.strip() for part in listed.split(","))


def title(name: str) -> str:
    """What a query is called where people read its result; parameters stand in braces."""
    line = re.search(r"^-- title: (.*)$", load_sql(name), re.MULTILINE)
    return line[1] if line else name


def connect(**views: Artifact) -> duckdb.DuckDBPyConnection:
    """A database in memory with one view per artifact, named by the keyword; close it, or use it in `with`.

    Raises:
        ArtifactMissing: the file of one of them is gone.
    """
    con = duckdb.connect()
    registered: list[object] = []
    for name, artifact in views.items():
        fs, path = resolve(artifact.uri)
        if not fs.isfile(path):
            con.close()
            raise ArtifactMissing(artifact.uri)
        # fsspec gives one object per file system, and DuckDB takes each only once.
        if local_path(artifact.uri) is None and fs not in registered:
            con.register_filesystem(fs)
            registered.append(fs)
        # DuckDB takes paths for patterns; a bracket in a folder's name must stand for itself.
        con.read_parquet(re.sub(r"([*?[])", r"[\1]", artifact.uri)).create_view(name)
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
