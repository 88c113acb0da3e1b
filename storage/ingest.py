"""From a user's file to a table of queries, or of outcomes recorded earlier."""

import logging
from collections.abc import Callable, Sequence
from os import PathLike, fspath
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa

from storage.cells import instant, number, spellings, text, whole_number
from storage.errors import BadLine, ConflictingId, UnknownGrade
from storage.identity import query_id
from storage.rows import Rows, read_rows
from storage.schemas import GRADES, SCHEMAS

log = logging.getLogger(__name__)

# The first of these that the file has is the user's own id.
_ID_COLUMNS = ("id", "external_id", "query_id")
_QUERY_COLUMNS = ("query", "ground_truth", "aliases", "topic", "context", "received_at", *_ID_COLUMNS)


def read_queries(path: str | PathLike[str]) -> pa.Table:
    """The queries of a JSONL, CSV or Parquet file, local or at an fsspec URL.

    Columns used: `query` (required); `id` (or `external_id`, `query_id`), `ground_truth`, `aliases` (a list; in CSV a
    JSON list, or texts separated by "|"), `topic`, `context`, `received_at` (ISO 8601; UTC if it names no zone). Others
    are ignored; an empty optional value is an absent one. `source` is the file's name without its folders.

    Texts that are equal once normalised are one query: the first stays. How many rows were dropped is logged and kept
    in the table's metadata as `duplicates`, beside `rows_read`.

    Returns:
        Schema `queries`, in the order of the file. Nothing in it depends on when or where it was read.

    Raises:
        InputMissing, InputEmpty, InputUnreadable, UnknownFormat, MissingColumn: the file as a whole does not serve.
        BadLine: a line cannot be read, its query is blank, or a value is of the wrong type.
        ConflictingId: one id stands for two different texts.
    """
    rows = read_rows(fspath(path), _QUERY_COLUMNS, required=["query"])
    queries, ids = _identified(rows)
    id_column = next((name for name in _ID_COLUMNS if name in rows.columns), _ID_COLUMNS[0])
    external = _converted(rows, id_column, text)
    _check_ids(rows, external, ids)
    kept = _firsts(ids)
    columns: dict[str, list[object]] = {
        "query_id": [*ids],
        "query": [*queries],
        "external_id": external,
        "ground_truth": _converted(rows, "ground_truth", text),
        "aliases": _converted(rows, "aliases", spellings),
        "topic": _converted(rows, "topic", text),
        "context": _converted(rows, "context", text),
        "source": [PurePosixPath(rows.path.replace("\\", "/")).name] * len(rows),
        "received_at": _converted(rows, "received_at", instant),
    }
    return _table(rows, columns, kept, "queries")


def read_outcomes(path: str | PathLike[str]) -> pa.Table:
    """Recorded answers and grades of a medium and a large model, keyed by `query_id` of the query's text.

    Columns: those of the schema `outcomes`, of which `query`, `medium_label` and `large_label` are required; the file's
    own `query_id` is not used. A price or a token count that is absent stays null. Of two rows with one text the first
    stays; the count is logged and kept in the table's metadata as `duplicates`.

    Returns:
        Schema `outcomes`, in the order of the file.

    Raises:
        UnknownGrade: a label is not one of `GRADES`, naming the row and the value.
        InputMissing, InputEmpty, InputUnreadable, UnknownFormat, MissingColumn, BadLine: as `read_queries`.
    """
    schema = SCHEMAS["outcomes"]
    names = [name for name in schema.names if name != "query_id"]
    rows = read_rows(fspath(path), names, required=["query", "medium_label", "large_label"])
    queries, ids = _identified(rows)
    convert: dict[pa.DataType, Callable[[object], object]] = {
        pa.string(): text,
        pa.int64(): whole_number,
        pa.float64(): number,
    }
    columns: dict[str, list[object]] = {"query_id": [*ids], "query": [*queries]}
    for name in names[1:]:
        if name in ("medium_label", "large_label"):
            columns[name] = _grades(rows, name)
        else:
            columns[name] = _converted(rows, name, convert[schema.field(name).type])
    return _table(rows, columns, _firsts(ids), "outcomes")


def read_policies(path: str | PathLike[str], policies: Sequence[str]) -> pa.Table:
    """The true policy of every query of a file, as `export_jsonl` wrote it.

    Args:
        path: JSONL, CSV or Parquet with the columns `query` and `true_policy`.
        policies: the names there are.

    Returns:
        Columns `query_id`, `true_policy`; of two rows with one text the first stays.

    Raises:
        BadLine: a policy is none of `policies`, or as `read_queries`.
        InputMissing, InputEmpty, InputUnreadable, UnknownFormat, MissingColumn: as `read_queries`.
    """
    rows = read_rows(fspath(path), ["query", "true_policy"], required=["query", "true_policy"])
    _, ids = _identified(rows)
    for line, value in zip(rows.lines, rows.column("true_policy"), strict=True):
        if value not in policies:
            raise BadLine(rows.path, line, f"true_policy is {value!r}, one of {', '.join(policies)} was expected")
    table = pa.table({"query_id": ids, "true_policy": pa.array(rows.column("true_policy"), pa.string())})
    return table.take(_firsts(ids))


def _identified(rows: Rows) -> tuple[list[str], list[str]]:
    """The texts of all rows and their ids."""
    queries: list[str] = []
    for line, value in zip(rows.lines, rows.column("query"), strict=True):
        if not isinstance(value, str):
            raise BadLine(rows.path, line, f"the query is {value!r}, a text was expected")
        if not value.strip():
            raise BadLine(rows.path, line, "the query is blank")
        queries.append(value)
    return queries, [query_id(q) for q in queries]


def _converted(rows: Rows, name: str, convert: Callable[[object], object]) -> list[object]:
    """A column with every value converted; a value that cannot be is named with its line."""
    values = rows.column(name)
    try:
        return [None if value is None else convert(value) for value in values]
    except (ValueError, TypeError):
        for line, value in zip(rows.lines, values, strict=True):
            try:
                _ = None if value is None else convert(value)
            except (ValueError, TypeError) as error:
                raise BadLine(rows.path, line, f"{name} is {value!r}, {error}") from error
        raise


def _grades(rows: Rows, name: str) -> list[object]:
    values = rows.column(name)
    for line, value in zip(rows.lines, values, strict=True):
        if value not in GRADES:
            raise UnknownGrade(rows.path, line, value, GRADES)
    return values


def _check_ids(rows: Rows, external: list[object], ids: list[str]) -> None:
    seen: dict[object, int] = {}
    for row, name in enumerate(external):
        if name is not None and ids[first := seen.setdefault(name, row)] != ids[row]:
            raise ConflictingId(rows.path, str(name), rows.lines[first], rows.lines[row])


def _firsts(ids: list[str]) -> list[int]:
    """The first row of every id."""
    first: dict[str, int] = {}
    for row, name in enumerate(ids):
        first.setdefault(name, row)
    return list(first.values())


def _table(rows: Rows, columns: dict[str, list[object]], kept: list[int], kind: str) -> pa.Table:
    table = pa.table(columns, schema=SCHEMAS[kind])
    duplicates = len(rows) - len(kept)
    if duplicates:
        mask = np.zeros(len(rows), dtype=np.bool_)
        mask[kept] = True
        table = table.filter(pa.array(mask))
        log.info(
            "%s: %d of %d rows repeat the text of an earlier one and are left out", rows.path, duplicates, len(rows)
        )
    return table.replace_schema_metadata({"rows_read": str(len(rows)), "duplicates": str(duplicates)})
