"""A run of the deployment `label` that is interrupted, and the check that nothing finished was lost or paid twice."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from routecal.storage.artifact import read_table
from routecal.storage.layout import Home
from routecal.storage.manifest import latest_manifest
from tests.flows.lakes import lakes_file
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import GeminiServer, serving
from tests.served.machine import Machine
from tests.tasks.oracle.labelling import JUDGE, LARGE, MEDIUM, by_number

N, SHARD = 160, 10
# Shards that are finished when something is killed. Four are worked on at once, so all but four of them are finished
# for Prefect too.
ENOUGH = 8


@contextmanager
def slow_gemini() -> Iterator[GeminiServer]:
    """A provider that takes .4 s for an answer, so that calls are in flight when something is killed."""
    with serving(dict.fromkeys((MEDIUM, LARGE, JUDGE), Script(latency_s=0.4)), respond=by_number()) as server:
        yield server


class Labelling:
    """A run of the deployment `label`, and what became of it.

    Attributes:
        run: its id.
        is_interrupted: it has to go on, and did not just complete.
        lost: calls that were in flight when it was interrupted.
    """

    def __init__(self, here: Machine, gemini: GeminiServer, folder: Path, first: int) -> None:
        self._here, self._gemini, self._billed = here, gemini, gemini.stats()
        self._before = self._shards()
        params = {"medium_model": MEDIUM, "large_model": LARGE, "judge_model": JUDGE, "concurrency": 16}
        options = {"oracle": "gemini", "base_url": gemini.url, "shard_size": SHARD, "quota": f"quota-{first}"}
        queries = str(lakes_file(folder, N, first=first))
        deployment = here.served.offer("label", queries=queries, **params, **options)
        self.run = here.served.start(deployment)
        here.wait(lambda: self._shards() >= self._before + ENOUGH)
        self.is_interrupted, self.lost = False, 0

    def interrupted(self) -> None:
        """Note what there is, after the kill."""
        self.is_interrupted = True
        with closing(sqlite3.connect(self._here.folder / "artifacts" / "ledger.sqlite")) as ledger:
            self.lost = ledger.execute("SELECT COUNT(*) FROM calls WHERE state = 'started'").fetchall()[0][0]

    def go_on(self) -> None:
        """The run's own process is alive: it completes by itself, or it gives up and goes on when Retry is pressed."""
        state = self._here.served.until(self.run, "COMPLETED", "CRASHED", "FAILED")
        if state["type"] != "COMPLETED":
            self._here.wait(lambda: not self._here.flow_processes(self.run))
            self.interrupted()
            assert self._here.retry(self.run)["type"] == "COMPLETED"

    def check(self) -> None:
        """The run has completed; what was finished was found, and nothing was paid twice but what was in flight."""
        # The recorder of task runs lags behind.
        expected = ENOUGH - 4 if self.is_interrupted else 0
        self._here.wait(lambda: self._cached() >= expected)
        now = self._gemini.stats()
        assert now["billed_twice"] - self._billed["billed_twice"] <= self.lost
        manifest = latest_manifest(Home(root=str(self._here.folder / "artifacts")), "labels")
        assert manifest is not None
        assert manifest.artifacts["labels"].rows == N
        assert len(set(read_table(manifest.artifacts["labels"])["query_id"].to_pylist())) == N

    def _cached(self) -> int:
        runs = self._here.served.ask("POST", "/task_runs/filter", flow_runs={"id": {"any_": [self.run]}}, limit=200)
        return sum(run["name"].startswith("label ") and run["state_name"] == "Cached" for run in runs)

    def _shards(self) -> int:
        found = (self._here.folder / "artifacts" / "labels").glob("[!.]*.parquet")
        return sum(pq.read_metadata(path).num_rows == SHARD for path in found)
