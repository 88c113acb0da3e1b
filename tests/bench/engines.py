"""Extraction on two local workers of Ray and of Dask against one, and what a task costs there that does nothing.

    one, two     `routecal extract` of the same prompts on one worker and on two, by turns; a worker has one core
    empty        tasks without a body, a few at once, on two workers: seconds for each more; and in threads, without
                 an engine, where Prefect and its server take what is left

Workers are up and have the model before the clock starts, as in a long run. Prompts and the real Gemma are those of
`tests.bench.extraction`; needs the extras `demo`, `ray` and `dask`. `python -m tests.bench.engines 240 ray` reads 240
of them with Ray alone. Others on the machine spoil it: two cores are one worker each.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings
from prefect.testing.utilities import prefect_test_harness
from transformers import AutoTokenizer

from routecal.calib.router.checkpoint import attach_routing_head
from routecal.calib.settings import Reading
from routecal.flows.engines import on_engine
from routecal.flows.params import ExtractParams
from routecal.storage.artifact import Artifact
from routecal.storage.folder_artifact import folder_at, local_folder
from routecal.tasks.extract import extract_shard
from routecal.tasks.make_router import convert_gemma
from routecal.tasks.queries import queries_of
from routecal.tasks.sharding import shards
from routecal.tasks.side_by_side import results
from tests.bench.bars import Bar, report
from tests.bench.extraction import prompts

N_EMPTY = 50
SHARD = 10


@task(cache_policy=NO_CACHE, persist_result=False)
def empty(number: int) -> int:
    """Nothing."""
    return number


@flow
def measured(engine: str, workers: int, parts: list[Artifact], warm: Artifact, router: Artifact) -> dict[str, float]:
    """Seconds on workers that have read a shard each."""
    reading = Reading()
    with on_engine(ExtractParams(queries="-", router_path="-", on=engine, workers=workers)):
        results(extract_shard, [(warm, router, reading, f"warm {i}") for i in range(4 * workers)], "warm")
        began = time.perf_counter()
        results(extract_shard, [(part, router, reading, f"{workers} {began}") for part in parts], "extract")
        read = time.perf_counter() - began
        results(empty, [(i,) for i in range(20)], "warm")
        began = time.perf_counter()
        results(empty, [(i,) for i in range(N_EMPTY)], "empty")
        return {"read": read, "empty": (time.perf_counter() - began) / N_EMPTY}


@flow
def in_threads() -> float:
    """Seconds of an empty task without an engine: what Prefect itself takes, its server on the same cores."""
    results(empty, [(i,) for i in range(20)], "warm", at_once=4)
    began = time.perf_counter()
    results(empty, [(i,) for i in range(N_EMPTY)], "empty", at_once=4)
    return (time.perf_counter() - began) / N_EMPTY


@contextmanager
def surroundings(folder: Path) -> Iterator[None]:
    """A Prefect server, a home and results of this run alone."""
    with (
        patch.dict("os.environ", {"ROUTECAL_HOME": str(folder / "home")}),
        prefect_test_harness(server_startup_timeout=120),
        temporary_settings({PREFECT_LOCAL_STORAGE_PATH: folder / "results"}),
    ):
        yield


def of_engine(engine: str, parts: list[Artifact], warm: Artifact, router: Artifact, rounds: int) -> list[Bar]:
    """One worker and two by turns, and empty tasks without the engine; of each the fastest."""
    found: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    here = []
    for _ in range(rounds):
        here.append(in_threads())
        for workers, runs in found.items():
            runs.append(measured(engine, workers, parts, warm, router))
            load = Path("/proc/loadavg").read_text().split()[0]
            print(f"{engine}, {workers}: {runs[-1]['read']:.1f} s, {1e3 * runs[-1]['empty']:.0f} ms, load {load}")
    best = {(n, what): min(run[what] for run in runs) for n, runs in found.items() for what in ("read", "empty")}
    return [
        Bar(f"{engine}: two workers, times as fast as one", best[1, "read"] / best[2, "read"], 1.6),
        Bar(f"{engine}: an empty task on two workers, ms", 1e3 * best[2, "empty"], 20, is_limit=True),
        Bar(f"{engine}: ms more than in a thread", 1e3 * (best[2, "empty"] - min(here)), 20, is_limit=True),
    ]


def main(n: int, engines: list[str]) -> int:
    """Print a table; 1 where a bar is missed."""
    with tempfile.TemporaryDirectory() as scratch, surroundings(Path(scratch)):
        base = local_folder(convert_gemma.fn())
        weights = np.random.default_rng(0).normal(size=(3, 640)).astype(np.float32)
        attach_routing_head(base, weights, Path(scratch, "router"))
        texts = prompts(n + 4, AutoTokenizer.from_pretrained(base))
        table = pa.table({"query_id": [f"{i:016x}" for i in range(n + 4)], "query": texts})
        parts, warm = (queries_of(table.slice(*where), "bench") for where in ((0, n), (n, 4)))
        router = folder_at(str(Path(scratch, "router")), "routers")
        bars = [bar for engine in engines for bar in of_engine(engine, shards(parts, SHARD), warm, router, 2)]
        return report(bars)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 120, sys.argv[2:] or ["ray", "dask"]))
