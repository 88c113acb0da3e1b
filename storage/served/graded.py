"""Served decisions beside what became of their answers."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from routecal.storage.query_files import sql_of
from routecal.storage.served.file_parts import database
from routecal.storage.served.journal import read_served
from routecal.storage.served.tables import DECISIONS, FEEDBACK

_SQL = sql_of("served", "graded")
# All but the text of the query, which is most of a log.
_COLUMNS = [name for name in DECISIONS.names if name != "query"]


def graded(log: Path, *, head: str | None = None, columns: Sequence[str] = _COLUMNS) -> pa.Table:
    """Decisions whose answers somebody graded, oldest grade first: see `storage/sql/served/graded.sql`.

    Args:
        log: folder of the decision log.
        head: version of the head that decided. Default: any.
        columns: of decisions; those that are needed to join come along. Default: all but the query.
    """
    wanted = list(dict.fromkeys(("decision_id", "served", "head", *columns)))
    feedback = read_served(log / "feedback", FEEDBACK)
    ids = feedback["decision_id"].combine_chunks()

    def meant(decisions: pa.Table) -> pa.Table:
        is_meant = pc.is_in(decisions["decision_id"], value_set=ids)
        return decisions.filter(is_meant if head is None else pc.and_(is_meant, pc.equal(decisions["head"], head)))

    decisions = read_served(log / "decisions", DECISIONS, columns=wanted, keep=meant)
    with database() as con:
        con.register("decisions", decisions)
        con.register("feedback", feedback)
        return con.sql(_SQL).to_arrow_table()
