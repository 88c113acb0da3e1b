"""From the values of a user's file to columns, with everything that is wrong with any row."""

from array import array
from collections.abc import Callable, Iterable

import numpy as np

from routecal.plain_text import plain
from routecal.storage.input_errors import BadRows
from routecal.storage.query_identity import query_id
from routecal.storage.row_files import FileRows
from routecal.storage.value_parsing import is_missing, text

# (line, what is wrong with it)
Faults = list[tuple[int, str]]
# Lines of which an error says what is wrong with them; its sentence names the first few.
_KEPT = 100


def identified(rows: FileRows, faults: Faults) -> tuple[list[str], list[object], list[str]]:
    """(texts, contexts, ids) of all rows; of one without a query they are empty."""
    queries: list[str] = []
    for line, value in zip(rows.lines, rows.column("query"), strict=True):
        if is_missing(value):
            faults.append((line, "the query is blank" if isinstance(value, str) else "the query is missing"))
        elif not isinstance(value, str):
            faults.append((line, f"the query is {shown(value)}, a text was expected"))
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
                faults.append((line, f"{name} is {shown(value)}, {error}"))
        made.append(found)
    return made


def shown(value: object) -> str:
    return plain(repr(value), at_most=80)


class FaultyRows:
    """What is wrong with rows of a file, however many are: all of it for the first lines, of the others their number.

    Attributes:
        lines: of every fault.
    """

    def __init__(self) -> None:
        self.lines = array("q")
        self._first: dict[int, list[tuple[int, str]]] = {}

    def add(self, faults: Iterable[tuple[int, str]], *, place: int = 0) -> None:
        """Take what is wrong with some rows; it is named after what else is wrong with a line at a smaller place."""
        for line, why in faults:
            self.lines.append(line)
            self._first.setdefault(line, []).append((place, why))
            if len(self._first) > 2 * _KEPT:
                self._forget()
        self._forget()

    def _forget(self) -> None:
        for line in sorted(self._first)[_KEPT:]:
            del self._first[line]

    def refuse(self, path: str, n_rows: int, unit: str) -> None:
        """Refuse a file of which rows cannot be used, with all that is wrong with a row in one clause.

        Args:
            path: the file.
            n_rows: rows that it has, these included.
            unit: what `lines` are.

        Raises:
            BadRows: there is a fault.
        """
        if self.lines:
            named = []
            for line, whys in sorted(self._first.items()):
                in_order = (why for _, why in sorted(whys, key=lambda one: one[0]))
                named.append((line, " and ".join(dict.fromkeys(in_order))))
            raise BadRows(path, n_rows, tuple(named), unit, len(np.unique(self.lines)))


def refuse(rows: FileRows, faults: Faults) -> None:
    """Refuse a whole file of which rows cannot be used.

    Raises:
        BadRows: there is a fault.
    """
    faulty = FaultyRows()
    faulty.add(faults)
    faulty.refuse(rows.path, rows.n_read, rows.unit)
