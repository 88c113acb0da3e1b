"""Every statistic of `storage/sql` on ten million prediction rows, and ECE in SQL against others: `make bench-stats`.

Ten methods on a million queries, as a run has them; `--methods 1` is one method on ten million queries, which is harder
for what joins or reads texts. Tables have storage's own format and lie in a temporary folder (1 GB); they are written
in row groups, never held whole. Ratios are of the same rows in one run. Takes ten minutes on two free cores.
"""

import argparse
import multiprocessing
import re
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from routecal.calib.metrics import ece
from routecal.storage.artifact import Artifact
from routecal.storage.query import Source, connect, run
from routecal.storage.query_files import header, names
from routecal.storage.row_groups import ROWS_PER_GROUP as GROUP
from routecal.storage.schemas import SCHEMAS
from tests.bench.bars import Bar, constant, report
from tests.bench.metrics import pairs, shown
from tests.bench.timing import Run, in_turn
from tests.calib.metrics.reference_libraries import by_netcal, by_torchmetrics

N_ROWS = 10_000_000
LIMIT_S = 2.0
VALUES = {"method": "method 0", "split": "test", "n_bins": 10, "since": None}
N_BINS = 15

# Of query i: ids as long as ours, a text that one in a hundred repeats but for a mark, splits as often as ours, topics.
_ID = "md5(CAST({i} AS VARCHAR))"
_TEXT = (
    "'What is known about ' || md5(CAST({i} - CAST({i} % 100 = 1 AS BIGINT) AS VARCHAR)) || ', item ' || "
    "{i} // 100 || IF({i} % 100 = 1, '?!', '?')"
)
_SPLIT = "CASE WHEN hash({i}) % 100 < 40 THEN 'train' WHEN hash({i}) % 100 < 70 THEN 'calibration' ELSE 'test' END"
_TOPIC = "IF({i} % 20 = 0, NULL, 'topic ' || {i} % 20)"
_POLICY = "IF({i} % 3 = 0, 'Complex_Query', 'Standard_Query')"
_WHEN = "TIMESTAMPTZ '2026-01-01' + to_seconds({i} {sign} 7)"
_P = "sqrt((hash({i}, {m}) % 1000003) / 1000003)"
_VOTES = (
    '\'[{{"judge": "a-judge-model", "seat": "first", "prompt_version": "judge-3", "grade": "CORRECT", \''
    ' || \'"confidence": 0.9, "raw": "The answer names what the question asks for.", "problem": null}}, \''
    ' || \'{{"judge": "another-model", "seat": "second", "prompt_version": "judge-3", "grade": "\''
    ' || IF({i} % 7 = 0, \'INCORRECT\', \'CORRECT\') || \'", "confidence": 0.8, "raw": "Yes.", "problem": null}}]\''
)
_COLUMNS = {
    "query_id": _ID,
    "query": _TEXT,
    "topic": _TOPIC,
    "split": _SPLIT,
    "router_policy": _POLICY,
    "true_policy": "IF({i} % 4 = 0, 'Complex_Query', 'Standard_Query')",
    "medium_model": "'medium-model'",
    "large_model": "'large-model'",
    "medium_grade": "IF({i} % 4 = 0, 'INCORRECT', 'CORRECT')",
    "large_grade": "IF({i} % 9 = 0, 'INCORRECT', 'CORRECT')",
    "oracle": "'api'",
    "medium_votes": _VOTES,
    "large_votes": _VOTES,
    "medium_tokens_in": "100",
    "medium_tokens_out": "20",
    "medium_cost_usd": "0.0001",
    "large_cost_usd": "IF({i} % 50 = 0, NULL, 0.002)",
    "run_id": "'night ' || {i}",
    "ended_at": _WHEN.format(i="{i}", sign="*"),
    "received_at": _WHEN.format(i="{i}", sign="*"),
    "labelled_at": _WHEN.format(i="{i}", sign="* 7 + hash({i}) % 100000 +"),
    "method": "'method ' || {m}",
    "p": _P,
    "is_correct": "hash({i}, 5) % 1000003 < 1000003 * 0.9 * " + _P.format(i="{i}", m=0),
    "logits": "[0.0, 1.0]",
    "n_tokens": "20",
    "truncated": "FALSE",
}


def write(folder: Path, name: str, kind: str, n: int, n_methods: int = 1) -> Artifact:
    """A table of n queries and their methods, as `write_table` stores it, streamed."""
    schema = SCHEMAS[kind]
    schema = pa.schema([f for f in schema if not pa.types.is_fixed_size_list(f.type)])
    path = str(folder / f"{name}.parquet")
    blank = {pa.string(): "''", pa.float64(): "0", pa.int64(): "0"}
    columns = [
        f"CAST({_COLUMNS.get(f.name, 'NULL' if f.nullable else blank.get(f.type, '0')).format(i='i', m='m')} AS "
        f"{'VARCHAR[]' if f.name == 'aliases' else 'FLOAT[]' if f.name == 'logits' else _TYPES[f.type]}) AS {f.name}"
        for f in schema
    ]
    with duckdb.connect() as con, pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for m in range(n_methods):
            for first in range(0, n, GROUP):
                source = f"FROM (SELECT range AS i, {m} AS m FROM range({first}, {min(first + GROUP, n)}))"
                table = con.sql(f"SELECT {', '.join(columns)} {source}").to_arrow_table()
                writer.write_table(table.cast(schema), row_group_size=GROUP)
    return Artifact(uri=path, sha256=f"{name:0<64}", rows=n * n_methods, kind=kind)


_TYPES = {
    pa.string(): "VARCHAR",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
}


def world(folder: Path, n_methods: int) -> dict[str, Source]:
    """The views of all statistics: ten million predictions of a run, and as many of ten nights."""
    n = N_ROWS // n_methods
    kinds = ("queries", "labels", "features", "examples", "predictions")
    views: dict[str, Source] = {}
    for kind in kinds:
        began = time.perf_counter()
        views[kind] = write(folder, kind, kind, n, n_methods if kind == "predictions" else 1)
        size = (folder / f"{kind}.parquet").stat().st_size
        if kind != "features":
            constant(f"bytes of a row of {kind}", size / views[kind].rows)
        print(f"     {kind}: {size / 1e6:.0f} MB written in {time.perf_counter() - began:.0f} s", flush=True)
    night = write(folder, "night", "predictions", N_ROWS // 10)
    views["night_predictions"] = {f"night {i}": night for i in range(10)}
    views["nights"] = write(folder, "nights", "nights", 1000)
    views["night_examples"] = None
    return views


def measured(name: str, views: dict[str, Source]) -> tuple[Run, float, int]:
    """The best of three runs of one statistic in a process of its own, its peak GB, and the rows of the result."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (name, {v: views[v] for v in (*header(name, "reads"), *header(name, "optional"))}))


def _measure(name: str, views: dict[str, Source]) -> tuple[Run, float, int]:
    params = {param: VALUES[param] for param in header(name, "params")}
    found: list[Any] = []

    def once() -> None:
        with connect(**views) as con:
            found.append(run(con, name, **params))

    best = in_turn({name: once}, n_rounds=3)[name]
    # Of this process alone: what `getrusage` says began with that of its parent.
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return best, int(peak) / 2**20, found[0].num_rows


def statistics(views: dict[str, Source]) -> list[Bar]:
    """Seconds of every statistic, from files to rows."""
    print("     statistic            | rows read | rows | s    | CPU s | others | peak GB", flush=True)
    bars = []
    for name in names():
        sources = [views[view] for view in (*header(name, "reads"), *header(name, "optional"))]
        n_read = sum(s.rows if isinstance(s, Artifact) else sum(a.rows for a in (s or {}).values()) for s in sources)
        (seconds, cpu_s, others), peak, n = measured(name, views)
        times = f"{seconds:.2f} | {cpu_s:5.2f} | {others:6.0%}"
        print(f"     {name:<20} | {n_read:>9} | {n:>4} | {times} | {peak:.2f}", flush=True)
        bars.append(Bar(f"{name}, from files: s", seconds, LIMIT_S, is_limit=True))
    return bars


def ece_of_rows() -> list[Bar]:
    """ECE-15 by `ece.sql` of ten million rows in memory, against libraries that are given the same as arrays."""
    p, y = pairs(N_ROWS)
    same = pa.DictionaryArray.from_arrays(pa.array([0] * GROUP, pa.int8()), pa.array(["test"]))
    whole = pa.concat_arrays([same] * (N_ROWS // GROUP) + [same[: N_ROWS % GROUP]])
    rows = pa.table({"method": whole, "split": whole, "p": p, "is_correct": y.astype(bool)})
    with connect() as con:
        con.from_arrow(rows).create("predictions")
        sql = partial(run, con, "ece", method="test", split="test", n_bins=N_BINS)
        assert abs(sql()["ece"][0].as_py() - ece(p, y, n_bins=N_BINS)) < 1e-12
        works = {"ece.sql": sql}
        works |= {"netcal": partial(by_netcal, p, y, n_bins=N_BINS)}
        works |= {"torchmetrics": partial(by_torchmetrics, p, y, n_bins=N_BINS)}
        works |= {"calib.metrics.ece": partial(ece, p, y, n_bins=N_BINS)}
        times = shown(in_turn(works, n_rounds=3))
    return [
        Bar(f"ECE-15 of 10M rows in memory: {name} over ece.sql", times[name].seconds / times["ece.sql"].seconds, 20)
        for name in ("netcal", "torchmetrics")
    ]


def main() -> int:
    """Print the table and the bars; 1 if one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", type=int, default=10, help="on ten million rows; the queries are the others")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bars = statistics(world(Path(folder), asked.methods))
    bars += ece_of_rows()
    return report(bars)


if __name__ == "__main__":
    sys.exit(main())
