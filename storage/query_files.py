"""The SQL files of `storage/sql`: their names, and what their first lines say. Imports nothing that takes long."""

import re
from importlib.resources import files

from routecal.storage.errors import UnknownName

_FOLDER = files("routecal.storage") / "sql"
# Macros that queries use.
FUNCTIONS = (_FOLDER / "functions" / "functions.sql").read_text(encoding="utf-8")


def names() -> tuple[str, ...]:
    """The queries there are, sorted."""
    return tuple(sorted(f.name.removesuffix(".sql") for f in _FOLDER.iterdir() if f.name.endswith(".sql")))


def load_sql(name: str) -> str:
    """The text of one query.

    Raises:
        UnknownName: there is no such file.
    """
    if name not in names():
        raise UnknownName("statistic", name, names())
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def sql_of(folder: str, name: str) -> str:
    """The text of a query in a folder of `storage/sql`, which is no statistic."""
    return (_FOLDER / folder / f"{name}.sql").read_text(encoding="utf-8")


def header(name: str, key: str) -> tuple[str, ...]:
    """The names after `-- key:` at the top of a query; empty if it says none.

    Keys are columns, params, grain (columns that no two rows share), reads (the views it needs: kinds of artifacts, or
    `night_` and the kind for those of many nights) and optional (views that may be empty).

    >>> header("grades", "columns")
    ('medium_grade', 'large_grade', 'n', 'share')
    """
    listed = line(name, key)
    return () if listed in ("", "none") else tuple(part.strip() for part in listed.split(","))


def line(name: str, key: str) -> str:
    """What stands after `-- key:`, "" if nothing: title (parameters in braces), empty (why no row), overview."""
    found = re.search(rf"^-- {key}:(.*)$", load_sql(name), re.MULTILINE)
    return found[1].strip() if found else ""
