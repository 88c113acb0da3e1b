"""From a user's file to a table of queries, or of outcomes recorded earlier."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import PurePosixPath

import pyarrow as pa

from routecal.storage.column_names import QUERY_COLUMNS, Wanted
from routecal.storage.conversion import check_ids, converted, identified, refuse
from routecal.storage.duplicate_rows import RepeatedRows, duplicate_rows, warn_of_duplicates
from routecal.storage.row_files import FileRows, read_rows
from routecal.storage.schemas import SCHEMAS
from routecal.storage.value_parsing import amount, grade, instant, references, spellings, text, whole_number

# The first of these that the file has is the user's own id.
_ID_COLUMNS = ("id", "external_id", "query_id")
_LABELS = ("medium_label", "large_label")


def read_queries(path: str | PathLike[str], mapping: Mapping[str, str] | None = None) -> pa.Table:
    """The queries of a JSON, CSV, Parquet or Arrow file, local or at an fsspec URL.

    Columns used: `query` (required); `id` (or `external_id`, `query_id`), `ground_truth` (a text, a number, or a list
    of which the first is the reference and all are aliases), `aliases` (a list; in CSV a JSON list, or texts separated
    by "|"; without a ground truth the first of them is it), `topic`, `context`, `received_at` (ISO 8601; UTC if it
    names no zone). Others are ignored; what `value_parsing` calls missing is absent. `source` is the file's name
    without its folders.

    Of rows with one text and one context the first stays. How many others there were is logged, as a warning where
    their truth is another, and kept in the table's metadata as `duplicates`, beside `rows_read`.

    Args:
        path: the file.
        mapping: our name of a column -> the file's; None where users can give none.

    Returns:
        Schema `queries`, in the order of the file. Nothing in it depends on when or where it was read.

    Raises:
        InputMissing, InputEmpty, InputUnreadable, UnknownFormat, MissingColumn: the file as a whole does not serve.
        BadRows: rows cannot be read, their query is blank, a value is of the wrong type, or one id stands for two
            queries; names the first five.
    """
    own = {ours: theirs for ours, theirs in mapping.items() if ours in QUERY_COLUMNS} if mapping is not None else None
    rows = read_rows(Wanted(fspath(path), QUERY_COLUMNS, ("query",), own))
    faults = [*rows.faults]
    queries, contexts, ids = identified(rows, faults)
    # The first column that the file has, or that the user says is the id.
    id_column = next((name for name in _ID_COLUMNS if name in (own or {})), None) or next(
        (name for name in _ID_COLUMNS if name in rows.columns), _ID_COLUMNS[0]
    )
    external = converted(rows, id_column, text, faults)
    truths = converted(rows, "ground_truth", references, faults)
    aliases = converted(rows, "aliases", spellings, faults)
    check_ids(rows, external, ids, faults)
    _set_references(truths, aliases)
    columns: dict[str, list[object]] = {
        "query_id": [*ids],
        "query": [*queries],
        "external_id": external,
        "ground_truth": truths,
        "aliases": aliases,
        "topic": converted(rows, "topic", text, faults),
        "context": contexts,
        "source": [PurePosixPath(rows.path.replace("\\", "/")).name] * len(rows),
        "received_at": converted(rows, "received_at", instant, faults),
    }
    refuse(rows, faults)
    compared = {name: columns[name] for name in ("ground_truth", "aliases")}
    found = duplicate_rows(ids, compared)
    warn_of_duplicates(rows, found, compared, "the first of each stays")
    return _table(rows, columns, found, "queries")


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
        mapping: as `read_queries`; what queries have too may also stand under its own name here.

    Returns:
        Schema `outcomes`, in the order of the file.

    Raises:
        BadRows: rows cannot be used, such as those whose grade is missing or not one of `GRADES`.
        InputMissing, InputEmpty, InputUnreadable, UnknownFormat, MissingColumn: as `read_queries`.
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
    if contested.pairs:
        warn_of_duplicates(rows, contested, truths, "as these are different questions, none of their outcomes is used")
    unclear = {ids[row] for pairs in contested.pairs.values() for row, _ in pairs}
    grades = {name: columns[name] for name in _LABELS}
    found = duplicate_rows(ids, grades)
    if found.pairs or not contested.pairs:
        warn_of_duplicates(rows, found, grades, "the first of each stays")
    kept = [row for row in found.kept if ids[row] not in unclear]
    return _table(rows, columns, found._replace(kept=kept), "outcomes")


def read_policies(path: str | PathLike[str], policies: Sequence[str]) -> pa.Table:
    """The true policy of every query of a file, as `export_jsonl` wrote it.

    Args:
        path: a file with the columns `query` and `true_policy`.
        policies: the names there are.

    Returns:
        Columns `query_id`, `true_policy`; of rows with one text and one context the first stays.

    Raises:
        BadRows: a policy is none of `policies`, or as `read_queries`.
        InputMissing, InputEmpty, InputUnreadable, UnknownFormat, MissingColumn: as `read_queries`.
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
    found = duplicate_rows(ids, {"true_policy": given})
    if found.pairs:
        warn_of_duplicates(rows, found, {"true_policy": given}, "the first of each stays")
    return pa.table({"query_id": ids, "true_policy": pa.array(given, pa.string())}).take(found.kept)


def _set_references(truths: list[object], aliases: list[object]) -> None:
    """Make each truth one text, and aliases of the others: of a list, or of the aliases alone, the first is it."""
    for row, (truth, more) in enumerate(zip(truths, aliases, strict=True)):
        if isinstance(truth, list):
            truths[row] = truth[0]
            aliases[row] = list(dict.fromkeys([*truth, *(more or ())]))  # type: ignore[misc]
        elif truth is None and more:
            truths[row] = _first(more)


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) else value


def _table(rows: FileRows, columns: dict[str, list[object]], found: RepeatedRows, kind: str) -> pa.Table:
    schema = SCHEMAS[kind]
    table = pa.table({name: columns[name] for name in schema.names}, schema=schema)
    if len(found.kept) < len(rows):
        table = table.take(pa.array(found.kept, pa.int64()))
    said = {"rows_read": len(rows), "duplicates": len(rows) - len(found.kept)}
    return table.replace_schema_metadata({name: str(n) for name, n in said.items()})
