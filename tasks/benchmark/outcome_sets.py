"""The sets of a benchmark: outcomes files, each row with its true policy and the part of the protocol it belongs to."""

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, Field

from routecal.calib.policy import OracleMatrix
from routecal.calib.trial.protocol import part_of
from routecal.plain_text import plain
from routecal.storage.artifact import Artifact, write_table
from routecal.storage.ingest import read_outcomes
from routecal.storage.input_errors import MissingColumn
from routecal.storage.layout import Home
from routecal.storage.query_identity import query_id, share_of, signature
from routecal.storage.row_files import files_in
from routecal.storage.schemas import SCHEMAS
from routecal.tasks.errors import NoOutcomes, UnknownSet

logger = logging.getLogger(__name__)

FORMATS = (".parquet", ".jsonl", ".csv")
# What a prompt adds below a question to be answered. Files that share questions differ in it.
_CUE = re.compile(r"\s*\n\s*answer\s*:\s*\Z", re.IGNORECASE)


class OutcomeSet(BaseModel, frozen=True):
    """One outcomes file under the protocol."""

    name: str = Field(description="the file's name without folder and ending")
    divisions: list[Artifact] = Field(description="kind benchmark_rows: the same rows, divided into parts anew in each")
    family: str = Field(description="the first set that shares questions with it, or itself: such sets are one sample")

    @property
    def rows(self) -> Artifact:
        """Division 0, whose test part is the test split of every other command."""
        return self.divisions[0]


def import_sets(
    folder: str, *, names: Sequence[str] = (), rows: int | None = None, divisions: int = 1
) -> list[OutcomeSet]:
    """Every outcomes file of a folder, the smallest first; a file of another schema is passed over with a warning.

    Args:
        folder: local path or fsspec URL.
        names: only these sets; all when empty.
        rows: at most this many rows of each, drawn by a hash of their text, so that sets that share questions still do.
        divisions: how often the rows are divided into router, labelled and test part.

    Raises:
        NoOutcomes: there is no outcomes file.
        UnknownSet: a name is of no file there.
        StorageError: a file that was named cannot be read.
    """
    paths = {PurePosixPath(path).name.partition(".")[0]: path for path in files_in(folder, FORMATS)}
    for name in names:
        if name not in paths:
            raise UnknownSet(name, folder, tuple(paths))
    tables: dict[str, pa.Table] = {}
    for name, path in paths.items():
        if names and name not in names:
            continue
        try:
            tables[name] = _protocol_rows(path, rows)
        except MissingColumn as error:
            if names:
                raise
            logger.warning("%s holds no outcomes and is passed over: %s", plain(path), error)
    if not tables:
        raise NoOutcomes(folder)
    ordered = sorted(tables, key=lambda name: (tables[name].num_rows, name))
    families = _families({name: tables[name] for name in ordered})
    return [
        OutcomeSet(name=name, divisions=_divided(tables[name], divisions), family=families[name]) for name in ordered
    ]


def question_of(text: str) -> str:
    """The query without a last line that only says "Answer:", so that it is one question in every file that asks it.

    >>> question_of("2 + 2?\\nA. 3\\nB. 4\\nAnswer:")
    '2 + 2?\\nA. 3\\nB. 4'
    """
    return _CUE.sub("", text) or text


def _protocol_rows(path: str, limit: int | None) -> pa.Table:
    """Kind `benchmark_rows` but for the part, one row per question, in the order of query_id."""
    table, matrix = read_outcomes(path), OracleMatrix()
    read = ["query", "context", "topic", "medium_label", "large_label", "medium_cost_usd", "large_cost_usd"]
    rows: dict[str, dict[str, Any]] = {}
    for row in table.select(read).to_pylist():
        text = question_of(row["query"])
        known = {
            "query_id": query_id(text, row["context"]),
            "query": text,
            "topic": row["topic"],
            "true_policy": matrix.true_policy(row["medium_label"], row["large_label"]).value,
            "medium_grade": row["medium_label"],
            "large_grade": row["large_label"],
            "medium_cost_usd": row["medium_cost_usd"],
            "large_cost_usd": row["large_cost_usd"],
            "cluster": hashlib.sha256(signature(text).encode()).hexdigest()[:16],
        }
        rows.setdefault(known["query_id"], known)
    drawn = sorted(rows.values(), key=lambda row: share_of(row["query"], "limit"))[:limit]
    schema = SCHEMAS["benchmark_rows"]
    return pa.Table.from_pylist(
        sorted(drawn, key=lambda row: row["query_id"]), schema=schema.remove(schema.get_field_index("part"))
    )


def _divided(table: pa.Table, divisions: int) -> list[Artifact]:
    """The rows of a set, once for every division."""
    texts, home, schema = table["query"].to_pylist(), Home.from_env(), SCHEMAS["benchmark_rows"]
    found = []
    for division in range(divisions):
        # The salt of division 0 is that of `split_of`: its test part is the test split of every other command.
        salt = "split" if division == 0 else f"split {division}"
        part = pa.array(part_of([share_of(text, salt) for text in texts]).tolist())
        whole = table.add_column(schema.get_field_index("part"), schema.field("part"), part)
        found.append(write_table(whole, "benchmark_rows", home=home))
    return found


def _families(tables: Mapping[str, pa.Table]) -> dict[str, str]:
    """The first set of those that hold a question in common, directly or through a third, by set."""
    questions = {name: set(table["cluster"].to_pylist()) for name, table in tables.items()}
    family: dict[str, str] = {}
    for name, own in questions.items():
        related = {family[other] for other in family if own & questions[other]}
        first = next((f for f in family.values() if f in related), name)
        family = {other: first if f in related else f for other, f in family.items()} | {name: first}
    return family
