"""A log's graded samples in a temporary Parquet file, some thousand at a time, however many there are."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from routecal.storage.eval_logs.errors import NothingGraded, SampleUnusable
from routecal.storage.eval_logs.grades import grade_of
from routecal.storage.eval_logs.sample import EvalLog, Sample
from routecal.storage.value_parsing import amount, is_blank, text, whole_number

AT_A_TIME = 8192
_TEXT, _COUNT = pa.string(), pa.int64()
STAGED = pa.schema(
    {
        "position": _COUNT,
        "id": _TEXT,
        "query": _TEXT,
        "grade": _TEXT,
        "repeat": _COUNT,
        "target": _TEXT,
        "topic": _TEXT,
        "answer": _TEXT,
        "tokens_in": _COUNT,
        "tokens_out": _COUNT,
        "cost_usd": pa.float64(),
    }
)
# Of a sample's fields, those that are taken as they are; in the order of the schema.
_CONVERTED: dict[str, Callable[[object], object]] = {
    "repeat": whole_number,
    "target": text,
    "topic": text,
    "answer": text,
    "tokens_in": whole_number,
    "tokens_out": whole_number,
    "cost_usd": amount,
}


@dataclass(frozen=True)
class StagedLog:
    """A log as it waits to be joined.

    Attributes:
        log: what it says of itself; its samples are read.
        file: schema `STAGED`; only samples that have a grade.
        n: samples that it has.
        n_errors: of these, how many ended in an error.
        n_unscored: of these, how many have no score.
    """

    log: EvalLog
    file: Path
    n: int
    n_errors: int
    n_unscored: int


def stage(log: EvalLog, file: Path, right_at: float | None, note: Callable[[int], None]) -> StagedLog:
    """Read and grade every sample.

    Args:
        log: whose.
        file: to write.
        right_at: as of `grade_of`.
        note: is called with how many samples were read, now and then.

    Raises:
        SampleUnusable, RuleNeeded: a score or a text cannot be used; nothing is left out because of it.
        NothingGraded: no sample has a grade.
    """
    samples, n, n_errors, n_unscored = log.samples, 0, 0, 0
    with pq.ParquetWriter(file, STAGED, compression="zstd") as writer:
        while some := list(islice(samples, AT_A_TIME)):
            rows = []
            for position, one in enumerate(some, n):
                if one.error is not None:
                    n_errors += 1
                elif one.score is None:
                    n_unscored += 1
                else:
                    rows.append(_row(log.path, position, one, right_at))
            columns = zip(*rows, strict=True) if rows else [()] * len(STAGED)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, STAGED, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=STAGED))
            n += len(some)
            note(n)
    if n == n_errors + n_unscored:
        raise NothingGraded(log.path, n, n_errors)
    return StagedLog(log, file, n, n_errors, n_unscored)


def _row(path: str, position: int, one: Sample, right_at: float | None) -> tuple[object, ...]:
    if is_blank(one.query):
        raise SampleUnusable(path, one.place, "it has no question")
    more = (_value(path, one, name, convert) for name, convert in _CONVERTED.items())
    return position, one.id, one.query.strip(), grade_of(path, one, right_at), *more


def _value(path: str, sample: Sample, name: str, convert: Callable[[object], object]) -> object:
    value = getattr(sample, name)
    try:
        return None if value is None else convert(value)
    except ValueError as error:
        raise SampleUnusable(path, sample.place, f"{name} is {repr(value)[:60]}, {error}") from None
