"""Results that people read as a table."""

from typing import Any, NamedTuple


class Table(NamedTuple):
    """One result.

    Attributes:
        title: what it is, and whose.
        columns: their names.
        rows: values by column.
        empty: why there may be no rows.
    """

    title: str
    columns: list[str]
    rows: list[dict[str, Any]]
    empty: str = ""
