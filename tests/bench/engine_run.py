"""One labelling run without Prefect, in a process that can be killed: engine, gates and ledger as in `routecal label`.

    python -m tests.bench.engine_run QUERIES URL [--window-s S] [--rpm N] [--concurrency N] [--out FILE]

prints JSON: seconds, rows, calls, and those in flight when earlier processes died.
"""

import argparse
import hashlib
import json
import time
from pathlib import Path

import pyarrow.parquet as pq

from routecal.calib.policy import OracleMatrix
from routecal.storage.ingest import read_queries
from routecal.storage.ledger import Ledger
from routecal.tasks.oracle.api_labels import label_queries
from routecal.tasks.oracle.api_oracle import ApiOracle
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.gemini_oracle import ORACLE as GEMINI
from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec
from routecal.tasks.oracle.job_runner import job_runner
from tests.bench.workload import JUDGE, LARGE, MEDIUM


def main() -> None:
    """Label all queries in one shard."""
    parser = argparse.ArgumentParser()
    parser.add_argument("queries")
    parser.add_argument("url")
    parser.add_argument("--window-s", type=float, default=60.0)
    parser.add_argument("--rpm", type=float)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    queries = read_queries(options.queries)
    oracle = ApiOracle(
        kind="gemini",
        provider="gemini",
        medium=ModelSpec(model=MEDIUM),
        large=ModelSpec(model=LARGE),
        judge=JudgeSpec(first=ModelSpec(model=JUDGE)),
    )
    pace = Pace(
        job=hashlib.sha256(Path(options.queries).read_bytes()).hexdigest()[:16],
        base_url=options.url,
        rpm=options.rpm,
        window_s=options.window_s,
        concurrency=options.concurrency,
    )
    with job_runner(pace, GEMINI.api.connect(oracle, pace), queries.num_rows) as runner:
        began = time.perf_counter()
        table = runner.run(label_queries(queries, oracle, OracleMatrix(), runner)).table
        took_s = time.perf_counter() - began
        tally = runner.job.tally
    if options.out is not None:
        pq.write_table(table.drop_columns(["labelled_at"]), options.out)
    with Ledger.open() as ledger:
        lost = ledger.lost(pace.job)
    said = {"seconds": took_s, "rows": table.num_rows, "calls": tally.calls, "lost": lost}
    print(json.dumps(said))


if __name__ == "__main__":
    main()
