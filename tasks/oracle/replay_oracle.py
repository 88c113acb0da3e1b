"""The `replay` oracle: answers and grades that were recorded before."""

import json
import logging
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import Field

from routecal.calib.policy import OracleMatrix
from routecal.storage.input_errors import MissingColumn
from routecal.storage.layout import Home
from routecal.storage.query_identity import query_id
from routecal.tasks.oracle.oracle_spec import Artifact, Oracle, OracleSpec

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

# In the metadata of queries: texts of which only some rows were drawn, so that others of the file had them too.
CUT = "texts_cut"

# Columns that a label takes from its outcome as they are.
_SAME = (
    "medium_answer",
    "large_answer",
    "medium_tokens_in",
    "medium_tokens_out",
    "large_tokens_in",
    "large_tokens_out",
    "medium_cost_usd",
    "large_cost_usd",
)


class ReplayOracle(OracleSpec):
    """Recorded outcomes of a medium and a large model."""

    kind: str = "replay"
    outcomes: Artifact = Field(description="table of kind `outcomes`")
    medium_model: str = Field(description="as recorded")
    large_model: str = Field(description="as recorded")

    @property
    def facts(self) -> dict[str, str]:
        """What a reader of the labels must know."""
        return {
            "Medium model": f"{self.medium_model} (recorded outcomes)",
            "Large model": f"{self.large_model} (recorded outcomes)",
            "Judge": "as recorded",
        }


def import_outcomes(path: str, *, columns: str | None = None) -> ReplayOracle:
    """The oracle over the recorded outcomes of a file; `columns` as `tasks.queries.import_queries`."""
    from routecal.storage.artifact import write_table
    from routecal.storage.column_names import mapping_of
    from routecal.storage.ingest import read_outcomes

    table = read_outcomes(path, mapping_of(columns))
    medium, large = (
        ", ".join(sorted(set(table[f"{who}_model"].drop_null().to_pylist()))) for who in ("medium", "large")
    )
    stored = write_table(table, "outcomes", home=Home.from_env())
    return ReplayOracle(outcomes=stored, medium_model=medium or "unnamed", large_model=large or "unnamed")


def matched(oracle: ReplayOracle, queries: Artifact) -> ReplayOracle:
    """The same oracle, its outcomes under the ids of the queries that they are of.

    Where no outcome of a file has a context, the file does not say which one a query was asked with: an outcome is then
    that of the query with the same text, provided that there is only one.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from routecal.storage.artifact import read_metadata, read_table, write_table

    outcomes = read_table(oracle.outcomes)
    table = read_table(queries, columns=["query_id", "query", "context"])
    # As nearly all files are: the ids say it all.
    if outcomes["context"].null_count < outcomes.num_rows or table["context"].null_count == table.num_rows:
        return oracle
    by_text: dict[str, set[str]] = {}
    for name, text in zip(table["query_id"].to_pylist(), table["query"].to_pylist(), strict=True):
        by_text.setdefault(query_id(text), set()).add(name)
    for text in json.loads(read_metadata(queries).get(CUT, "[]")):
        by_text.get(query_id(text), set()).add("a query that was not drawn")
    of_one = {text: next(iter(names)) for text, names in by_text.items() if len(names) == 1}
    known = outcomes["query_id"].to_pylist()
    if unclear := sum(len(by_text.get(name, ())) > 1 for name in known):
        logger.warning(
            "%d recorded outcomes have no context, but the text of several queries that have one, and are not used; "
            "add the column context to the outcomes",
            unclear,
        )
    # One whose text several queries have is of none of them, not even of one without a context.
    ids = [of_one.get(name, name if name not in by_text else "") for name in known]
    ids_column = pa.array(ids, pa.string())
    place = outcomes.schema.get_field_index("query_id")
    renamed = outcomes.set_column(place, outcomes.schema.field(place), ids_column).filter(pc.not_equal(ids_column, ""))
    return oracle.model_copy(update={"outcomes": write_table(renamed, "outcomes", home=Home.from_env())})


def label(queries: "pa.Table", oracle: ReplayOracle, matrix: OracleMatrix) -> "pa.Table":
    """One row of `labels` for every query that has a recorded outcome; the others get none.

    Outcomes are found by `query_id`; `matched` gives those that were recorded without a context the ids of the queries.
    """
    import numpy as np
    import pyarrow as pa

    from routecal.storage.schemas import SCHEMAS

    recorded, ids, order = _by_id(oracle.outcomes)
    wanted = np.array(queries["query_id"].to_pylist(), "S")
    place = np.searchsorted(ids, wanted, side="right") - 1
    found = place[(place >= 0) & (ids[place] == wanted)] if len(ids) else place[:0]
    now = datetime.now(UTC)
    rows = [
        {
            "query_id": row["query_id"],
            "oracle": "replay",
            "medium_model": row["medium_model"] or "unknown",
            "large_model": row["large_model"] or "unknown",
            "medium_grade": row["medium_label"],
            "large_grade": row["large_label"],
            "true_policy": matrix.true_policy(row["medium_label"], row["large_label"]).value,
            "judge": row["label_source"] or "recorded",
            "labelled_at": now,
            **{name: row[name] for name in _SAME},
        }
        for row in recorded.take(order[found]).to_pylist()
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMAS["labels"])


# Once for all shards of a run: else labelling takes time with the square of the queries.
@lru_cache(maxsize=1)
def _by_id(outcomes: Artifact) -> "tuple[pa.Table, NDArray[np.bytes_], NDArray[np.int64]]":
    """The outcomes, their ids sorted, and the row of each of these."""
    import numpy as np

    from routecal.storage.artifact import read_table

    table = read_table(outcomes)
    ids = np.array(table["query_id"].to_pylist(), "S")
    order = np.argsort(ids, kind="stable")
    return table, ids[order], order


def _resolve(params: Any, queries: str) -> ReplayOracle:
    try:
        return import_outcomes(params.outcomes or queries, columns=params.columns)
    except MissingColumn as error:
        if params.outcomes is None and error.column in ("medium_label", "large_label"):
            raise MissingColumn(error.path, error.column, error.present, advice="--outcomes FILE") from error
        raise


ORACLE = Oracle(name="replay", does="reads recorded outcomes", resolve=_resolve, label=label, reads=("outcomes",))
