"""The columns of every kind of table, in order. `write_table` refuses anything else, and nulls where none may be."""

import re
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from routecal.storage.benchmark_schemas import BENCHMARK
from routecal.storage.errors import SchemaMismatch, UnknownName

GRADES = ("CORRECT", "INCORRECT", "NOT_ATTEMPTED")

_TEXT, _COUNT, _USD, _REAL = pa.string(), pa.int64(), pa.float64(), pa.float64()
_TIME = pa.timestamp("us", tz="UTC")
_LOGITS = pa.list_(pa.float32())
# The width of a hidden state belongs to the router; the schema leaves it open.
_HIDDEN = pa.list_(pa.float16(), 1)


def _schema(**columns: pa.DataType | tuple[pa.DataType]) -> pa.Schema:
    """A 1-tuple marks a column that may hold nulls."""
    return pa.schema(
        [
            pa.field(name, kind[0], nullable=True) if isinstance(kind, tuple) else pa.field(name, kind, nullable=False)
            for name, kind in columns.items()
        ]
    )


SCHEMAS: dict[str, pa.Schema] = {
    # one query
    "queries": _schema(
        query_id=_TEXT,
        query=_TEXT,
        external_id=(_TEXT,),
        ground_truth=(_TEXT,),
        aliases=(pa.list_(_TEXT),),
        topic=(_TEXT,),
        context=(_TEXT,),  # what an open-book model may read
        source=_TEXT,
        received_at=(_TIME,),
    ),
    # one query, as a medium and a large model answered it once before
    "outcomes": _schema(
        query_id=_TEXT,
        query=_TEXT,
        context=(_TEXT,),
        ground_truth=(_TEXT,),
        topic=(_TEXT,),
        medium_model=(_TEXT,),
        large_model=(_TEXT,),
        medium_answer=(_TEXT,),
        large_answer=(_TEXT,),
        medium_label=_TEXT,
        large_label=_TEXT,
        medium_tokens_in=(_COUNT,),
        medium_tokens_out=(_COUNT,),
        large_tokens_in=(_COUNT,),
        large_tokens_out=(_COUNT,),
        medium_cost_usd=(_USD,),
        large_cost_usd=(_USD,),
        label_source=(_TEXT,),
    ),
    # query x oracle
    "labels": _schema(
        query_id=_TEXT,
        oracle=_TEXT,
        medium_model=_TEXT,
        large_model=_TEXT,
        medium_model_version=(_TEXT,),
        large_model_version=(_TEXT,),
        medium_answer=(_TEXT,),
        large_answer=(_TEXT,),
        medium_grade=(_TEXT,),  # null where only the policy is known
        large_grade=(_TEXT,),
        medium_reason=(_TEXT,),  # why a grade is what it is, where no judge read an answer or not all agreed
        large_reason=(_TEXT,),
        true_policy=_TEXT,
        judge=_TEXT,
        judge_confidence=(_REAL,),
        medium_votes=(_TEXT,),  # JSON: a list with one object per judgement that was asked for
        large_votes=(_TEXT,),
        prompt_version=(_TEXT,),
        medium_tokens_in=(_COUNT,),
        medium_tokens_out=(_COUNT,),
        large_tokens_in=(_COUNT,),
        large_tokens_out=(_COUNT,),
        judge_tokens_in=(_COUNT,),
        judge_tokens_out=(_COUNT,),
        medium_cost_usd=(_USD,),
        large_cost_usd=(_USD,),
        judge_cost_usd=(_USD,),
        labelled_at=_TIME,
    ),
    # query x router; `hidden` is the last layer's state at the last token. Optional columns: `verbal`, the router's
    # own P(True) on its decision, and `hidden_L12_mean` and the like, other layers under other poolings
    "features": _schema(
        query_id=_TEXT,
        router_policy=_TEXT,
        logits=_LOGITS,
        hidden=_HIDDEN,
        n_tokens=pa.int32(),
        truncated=pa.bool_(),
    ),
    # one query under one oracle and one router; the vectors stay in features
    "examples": _schema(
        query_id=_TEXT,
        query=_TEXT,
        topic=(_TEXT,),
        router_policy=_TEXT,
        true_policy=_TEXT,
        medium_grade=(_TEXT,),
        large_grade=(_TEXT,),
        medium_cost_usd=(_USD,),
        large_cost_usd=(_USD,),
        is_correct=pa.bool_(),
        split=_TEXT,
        logits=_LOGITS,
        n_tokens=pa.int32(),
        truncated=pa.bool_(),
    ),
    # query x method x split
    "predictions": _schema(query_id=_TEXT, method=_TEXT, split=_TEXT, p=_REAL, is_correct=pa.bool_()),
    # query x split, by the outcome head: labelled rows by the regressions that left them out
    "outcome_predictions": _schema(
        query_id=_TEXT, split=_TEXT, gain=_REAL, medium_right=_REAL, large_right=_REAL, confidence=_REAL
    ),
    # one night of recalibration
    "nights": _schema(
        run_id=_TEXT,
        ended_at=_TIME,
        action=_TEXT,  # quiet, promoted, refused or waiting
        n_new=_COUNT,  # queries without a label that the inbox held
        n_labelled=_COUNT,
        cost_usd=(_USD,),
        n_window=_COUNT,  # held-out rows the heads were judged on
        champion_ece=(_REAL,),
        champion_ece_high=(_REAL,),
        champion_brier=(_REAL,),
        candidate_ece=(_REAL,),
        candidate_ece_high=(_REAL,),
        candidate_brier=(_REAL,),
        brier_difference_low=(_REAL,),
        brier_difference_high=(_REAL,),
        escalated=(_REAL,),  # share of those rows below the threshold of the head that serves afterwards
        drift_p_value=(_REAL,),
    ),
    **{kind: _schema(**columns) for kind, columns in BENCHMARK.items()},
}

# Columns that a table of a kind may have after its own, by the pattern of their names; nulls only where marked.
_OPTIONAL: dict[str, dict[str, pa.Field]] = {
    "features": {
        r"verbal": pa.field("", pa.float32(), nullable=True),
        r"hidden_L\d+_[a-z]+": pa.field("", _HIDDEN, nullable=False),
    }
}


def _fields(kind: str, names: Sequence[str]) -> list[pa.Field]:
    """The columns of a kind, and those of its optional ones that are there, in the order they are in."""
    patterns = _OPTIONAL.get(kind, {})
    more = [
        next((f.with_name(name) for pattern, f in patterns.items() if re.fullmatch(pattern, name)), None)
        for name in names
    ]
    return [*SCHEMAS[kind], *(field for field in more if field is not None)]


def conform(table: pa.Table, kind: str) -> pa.Table:
    """The table under the exact schema of its kind, without metadata; no value is changed.

    Raises:
        UnknownName: there is no such kind.
        SchemaMismatch: a column is missing, extra, misplaced or of another type, or has nulls where none may be. All
            that is wrong is named at once.
    """
    if kind not in SCHEMAS:
        raise UnknownName("kind of table", kind, SCHEMAS)
    want = _fields(kind, table.column_names)
    if table.column_names != (names := [field.name for field in want]):
        raise SchemaMismatch(kind, _name_problems(table.column_names, names))
    if problems := [p for field in want for p in _column_problems(table[field.name], field)]:
        raise SchemaMismatch(kind, problems)
    # List types differ in the name of their inner field alone; casting them makes equal tables equal bytes.
    fields = [
        field
        if not pa.types.is_fixed_size_list(field.type)
        else field.with_type(_widened(field.type, table[field.name]))
        for field in want
    ]
    return table.replace_schema_metadata(None).cast(pa.schema(fields))


def _name_problems(names: list[str], want: list[str]) -> list[str]:
    missing = [n for n in want if n not in names]
    extra = [n for n in names if n not in want]
    problems = [f"missing {', '.join(missing)}"] if missing else []
    problems += [f"unknown {', '.join(extra)}"] if extra else []
    return problems or [f"the order is {', '.join(names)}, it should be {', '.join(want)}"]


def _column_problems(column: pa.ChunkedArray, field: pa.Field) -> Iterator[str]:
    if not _same_type(column.type, field.type):
        yield f"{field.name} is {column.type}, it should be {field.type}"
    elif not field.nullable and column.null_count:
        first = pc.index(column.is_null(), True).as_py()
        yield f"{field.name} has {column.null_count} nulls (first in row {first}), none are allowed"
    elif _is_any_list(field.type) and (inner := pc.list_flatten(column).null_count):
        yield f"{field.name} has {inner} nulls inside its lists, none are allowed"


def _is_any_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind))


def _same_type(found: pa.DataType, want: pa.DataType) -> bool:
    for is_list in (pa.types.is_list, pa.types.is_fixed_size_list):
        if is_list(want):
            return bool(is_list(found) and found.value_type == want.value_type)
    return bool(found == want)


def _widened(want: pa.DataType, column: pa.ChunkedArray) -> pa.DataType:
    return pa.list_(want.value_type, column.type.list_size)
