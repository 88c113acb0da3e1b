"""A log in parts: what one SQL file makes of each file of it, worked out once for those that change no more."""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from routecal.storage.query_files import sql_of
from routecal.storage.served.journal import served_files


class FileParts:
    """Of a folder of the log, the rows that a query makes of each file; for one thread.

    A log of millions of rows is thousands of files, of which one or two change. Of the others nothing is kept in memory
    but their part.

    Args:
        folder, schema: of the kind.
        name: of the query in `storage/sql/served`; it reads one table, called as the folder.
        columns: that it reads. No others leave the disk.
    """

    def __init__(self, folder: Path, schema: pa.Schema, name: str, columns: Sequence[str]) -> None:
        self._folder, self._schema, self._columns = folder, schema, columns
        self._sql = sql_of("served", name)
        self.finished: dict[str, pa.Table] = {}

    def read(self) -> pa.Table:
        """The parts of all files that there are now, one after the other."""
        there = {path.stem for path in self._folder.glob("*.parquet")}
        self.finished = {stem: part for stem, part in self.finished.items() if stem in there}
        with database() as con:
            changing = [self._part(con, self._schema.empty_table().select(list(self._columns)))]
            rows = served_files(self._folder, self._schema, columns=self._columns, known=self.finished)
            for stem, table, is_finished in rows:
                part = self._part(con, table)
                if is_finished:
                    self.finished[stem] = part
                else:
                    changing.append(part)
        return pa.concat_tables([*self.finished.values(), *changing])

    def _part(self, con: duckdb.DuckDBPyConnection, table: pa.Table) -> pa.Table:
        con.register(self._folder.name, table)
        return con.sql(self._sql).to_arrow_table()


def database() -> duckdb.DuckDBPyConnection:
    """In memory, in UTC, and on one thread: queries are decided beside it."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'; SET threads = 1; SET enable_progress_bar = false")
    return con
