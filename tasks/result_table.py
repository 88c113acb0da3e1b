"""Results that people read as a table."""

from typing import Any, NamedTuple


class Table(NamedTuple):
    """One result: its title, column names and rows."""

    title: str
    columns: list[str]
    rows: list[dict[str, Any]]
