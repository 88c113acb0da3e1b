"""From the values of a user's file to columns, with everything that is wrong with any row."""

from collections import Counter
from collections.abc import Callable

from routecal.plain_text import plain
from routecal.storage.input_errors import BadRows
from routecal.storage.query_identity import query_id
from routecal.storage.row_files import FileRows
from routecal.storage.value_parsing import is_missing, text

# (line, what is wrong with it)
Faults = list[tuple[int, str]]


def identified(rows: FileRows, faults: Faults) -> tuple[list[str], list[object], list[str]]:
    """(texts, contexts, ids) of all rows; of one without a query they are empty."""
    queries: list[str] = []
    for line, value in zip(rows.lines, rows.column("query"), strict=True):
        if is_missing(value):
            faults.append((line, "the query is blank" if isinstance(value, str) else "the query is missing"))
        elif not isinstance(value, str):
            faults.append((line, f"the query is {_shown(value)}, a text was expected"))
        queries.append(value if isinstance(value, str) else "")
    contexts = converted(rows, "context", text, faults)
    # A converted context is a text or None.
    return queries, contexts, [query_id(q, c) for q, c in zip(queries, contexts, strict=True)]  # type: ignore[arg-type]


def converted(
    rows: FileRows, name: str, convert: Callable[[object], object], faults: Faults, *, missing: str = ""
) -> list[object]:
    """A column with every value converted; those that cannot be are named among the faults.

    Args:
        rows: the file.
        name: of the column.
        convert: raises ValueError with the end of a sentence.
        faults: takes what is wrong.
        missing: what to say of a missing value; it is one like any other where this is empty.
    """
    values = rows.column(name)
    if not missing:
        try:
            return [None if value is None else convert(value) for value in values]
        except (ValueError, TypeError):
            pass
    made: list[object] = []
    for line, value in zip(rows.lines, values, strict=True):
        found = None
        if missing and is_missing(value):
            faults.append((line, f"{name} is missing, {missing}"))
        elif value is not None:
            try:
                found = convert(value)
            except (ValueError, TypeError) as error:
                faults.append((line, f"{name} is {_shown(value)}, {error}"))
        made.append(found)
    return made


def _shown(value: object) -> str:
    return plain(repr(value), at_most=80)


def check_ids(rows: FileRows, external: list[object], ids: list[str], faults: Faults) -> None:
    """Name the rows whose own id an earlier row gave to another query."""
    seen: dict[object, int] = {}
    for row, name in enumerate(external):
        if name is not None and ids[first := seen.setdefault(name, row)] != ids[row]:
            line = rows.lines[first]
            faults.append((rows.lines[row], f"the id {_shown(name)} is that of another query on {rows.unit} {line}"))


def refuse(rows: FileRows, faults: Faults) -> None:
    """Refuse a file of which rows cannot be used, with all that is wrong with a row in one clause.

    Raises:
        BadRows: there is a fault.
    """
    if faults:
        by_line: dict[int, list[str]] = {}
        for line, why in sorted(faults, key=lambda fault: fault[0]):
            by_line.setdefault(line, []).append(why)
        named = [(line, " and ".join(dict.fromkeys(whys))) for line, whys in by_line.items()]
        raise BadRows(rows.path, len(rows) + len(Counter(line for line, _ in rows.faults)), tuple(named), rows.unit)
