"""From a user's file to a table of queries, or of outcomes recorded earlier."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath

import numpy as np
import pyarrow as pa

from routecal.storage.column_names import QUERY_COLUMNS, Wanted
from routecal.storage.conversion import converted, identified, refuse
from routecal.storage.duplicate_rows import RepeatedRows, duplicate_rows, warn_of_duplicates
from routecal.storage.row_files import FileRows, read_rows
from routecal.storage.schemas import SCHEMAS
from routecal.storage.staged_queries import staged_queries
from routecal.storage.value_parsing import amount, grade, references, text, whole_number

_LABELS = ("medium_label", "large_label")


def read_queries(path: str | PathLike[str], mapping: Mapping[str, str] | None = None) -> pa.Table:
    """All queries of a file as one table; `staged_queries` says of which files, what becomes of them, and raises what.

    Returns:
        Schema `queries`, in the order of the file. Nothing in it depends on when or where it was read. Its metadata
        says how many rows the file has (`rows_read`), and how many of them repeat an earlier one (`duplicates`).
    """
    with staged_queries(path, mapping) as staged:
        table = pa.concat_tables(staged.parts())
        return _noted(table, len(staged.is_kept))


def read_outcomes(path: str | PathLike[str], mapping: Mapping[str, str] | None = None) -> pa.Table:
    """Recorded answers and grades of a medium and a large model, keyed by `query_id` of text and context.

    Columns: those of the schema `outcomes`, of which `query`, `medium_label` and `large_label` are required; the file's
    own `query_id` is not used. A price or a token count that is missing stays null.

    Of rows with one text and one context the first stays: where grades differ, each is one fair draw of what the models
    do, while leaving such queries out would keep only those of which the models are sure. Rows whose ground truths
    differ are of different questions, of which nobody can say which is meant: none of them stays. Both are counted in a
    warning, and in the table's metadata as `duplicates`.

    Args:
        path: the file.
        mapping: as `staged_queries`; what queries have too may also stand under its own name here.

    Returns:
        Schema `outcomes`, in the order of the file.

    Raises:
        BadRows: rows cannot be used, such as those whose grade is missing or not one of `GRADES`.
        InputMissing, InputEmpty, InputUnreadable, UnknownFormat, MissingColumn: as `staged_queries`.
    """
    schema = SCHEMAS["outcomes"]
    names = tuple(name for name in schema.names if name != "query_id")
    own = {ours: theirs for ours, theirs in mapping.items() if ours in names} if mapping is not None else None
    rows = read_rows(Wanted(fspath(path), names, ("query", *_LABELS), own, lenient=QUERY_COLUMNS))
    faults = [*rows.faults]
    queries, contexts, ids = identified(rows, faults)
    convert: dict[pa.DataType, Callable[[object], object]] = {
        pa.string(): text,
        pa.int64(): whole_number,
        pa.float64(): amount,
    }
    columns: dict[str, list[object]] = {"query_id": [*ids]}
    for name in names:
        if name in _LABELS:
            columns[name] = converted(rows, name, grade, faults, missing="a grade is needed")
        elif name == "ground_truth":
            columns[name] = [_first(value) for value in converted(rows, name, references, faults)]
        else:
            columns[name] = converted(rows, name, convert[schema.field(name).type], faults)
    columns |= {"query": [*queries], "context": contexts}
    refuse(rows, faults)
    truths = {"ground_truth": columns["ground_truth"]}
    # A row without a truth contradicts none.
    sure = [ids[row] if truth is not None else row for row, truth in enumerate(columns["ground_truth"])]
    contested = duplicate_rows(sure, truths)
    if len(contested.disagreeing):
        _warn(rows, contested, truths, "as these are different questions, none of their outcomes is used")
    unclear = {ids[row] for row in contested.disagreeing.tolist()}
    grades = {name: columns[name] for name in _LABELS}
    found = duplicate_rows(ids, grades)
    if len(found.disagreeing) or not unclear:
        _warn(rows, found, grades, "the first of each stays")
    kept = [row for row in np.flatnonzero(found.is_first).tolist() if ids[row] not in unclear]
    table = pa.table({name: columns[name] for name in schema.names}, schema=schema)
    return _noted(table.take(pa.array(kept, pa.int64())), len(rows))


def read_policies(path: str | PathLike[str], policies: Sequence[str]) -> pa.Table:
    """The true policy of every query of a file, as `export_jsonl` wrote it.

    Args:
        path: a file with the columns `query` and `true_policy`.
        policies: the names there are.

    Returns:
        Columns `query_id`, `true_policy`; of rows with one text and one context the first stays.

    Raises:
        BadRows: a policy is none of `policies`, or as `staged_queries`.
        InputMissing, InputEmpty, InputUnreadable, UnknownFormat, MissingColumn: as `staged_queries`.
    """
    rows = read_rows(Wanted(fspath(path), ("query", "context", "true_policy"), ("query", "true_policy")))
    faults = [*rows.faults]

    def policy(value: object) -> object:
        if value not in policies:
            raise ValueError(f"one of {', '.join(policies)} was expected")
        return value

    _, _, ids = identified(rows, faults)
    given = converted(rows, "true_policy", policy, faults, missing="a policy is needed")
    refuse(rows, faults)
    policy_of = {"true_policy": given}
    found = duplicate_rows(ids, policy_of)
    if len(found.disagreeing):
        _warn(rows, found, policy_of, "the first of each stays")
    return pa.table({"query_id": ids, "true_policy": pa.array(given, pa.string())}).filter(pa.array(found.is_first))


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) else value


def _warn(rows: FileRows, found: RepeatedRows, columns: Mapping[str, Sequence[object]], becomes: str) -> None:
    def value_of(row: int, column: str) -> tuple[int, object]:
        return rows.lines[row], columns[column][row]

    warn_of_duplicates(rows.path, rows.unit, found, value_of, becomes)


def _noted(table: pa.Table, n_read: int) -> pa.Table:
    said = {"rows_read": n_read, "duplicates": n_read - table.num_rows}
    return table.replace_schema_metadata({name: str(n) for name, n in said.items()})
