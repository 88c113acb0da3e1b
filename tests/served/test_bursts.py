"""A thousand tasks in one run, twice in a row, on SQLite: nobody is turned away, and the UI shows every one."""

import re
import time
from pathlib import Path
from typing import NamedTuple

from tests.served.conftest import Served, serving
from tests.tasks.made import outcome_rows, texts, write_jsonl

N_SHARDS = 1000
SEEN_WITHIN_S = 30
FINAL = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]
ANSWER = re.compile(r'"(?:GET|POST|PUT|PATCH|DELETE) \S+ HTTP/1\.1" (\d{3})')


class Burst(NamedTuple):
    """What one run took, in seconds: from click to its end, and from there until every task run was recorded."""

    ran_s: float
    recorded_s: float


def burst(served: Served, folder: Path, first: int) -> Burst:
    """Label 1,000 queries that nobody asked before, one a task."""
    asked = texts(first + N_SHARDS)[first:]
    queries = write_jsonl(folder / f"q{first}.jsonl", [{"query": text} for text in asked])
    outcomes = write_jsonl(folder / f"o{first}.jsonl", outcome_rows(asked, ["Standard_Query"] * N_SHARDS))
    deployment = served.offer("label", queries=queries, outcomes=outcomes, oracle="replay", shard_size=1)
    began = time.monotonic()
    run = served.start(deployment)
    state = served.until(run, *FINAL, seconds=600)
    assert state["type"] == "COMPLETED", state["message"]
    ended = time.monotonic()
    while final_tasks(served, run) < N_SHARDS:
        assert time.monotonic() - ended < 300, f"{final_tasks(served, run)} of {N_SHARDS} task runs are there"
        time.sleep(0.25)
    return Burst(ended - began, time.monotonic() - ended)


def final_tasks(served: Served, run: str) -> int:
    """Task runs of the run that the UI shows in a final state."""
    ended = {"state": {"type": {"any_": FINAL}}}
    return int(served.ask("POST", "/task_runs/count", flow_runs={"id": {"any_": [run]}}, task_runs=ended))


def trouble(folder: Path) -> list[str]:
    """Lines of the logs that tell of an answer of 500 or above, or of a database that was locked."""
    logs = [(folder / ".prefect" / f"{name}.log").read_text(errors="replace") for name in ("server", "worker")]
    lines = [line for log in logs for line in log.splitlines()]
    refused = [line for line in lines if (found := ANSWER.search(line)) and found[1] >= "500"]
    return refused + [line for line in lines if "database is locked" in line]


def test_a_thousand_shards_twice(tmp_path: Path) -> None:
    # At this level the server's log has a line for every answer.
    with serving(tmp_path, PREFECT_SERVER_LOGGING_LEVEL="INFO") as served:
        bursts = [burst(served, tmp_path, first) for first in (0, N_SHARDS)]
    for i, (ran_s, recorded_s) in enumerate(bursts, start=1):
        print(f"burst {i}: ran {ran_s:.1f} s, all {N_SHARDS} task runs recorded {recorded_s:.1f} s later")
    assert max(b.recorded_s for b in bursts) <= SEEN_WITHIN_S
    assert len(ANSWER.findall((tmp_path / ".prefect/server.log").read_text(errors="replace"))) > 100
    assert trouble(tmp_path) == []
