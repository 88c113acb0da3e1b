"""`make bench-label`: what the labelling engine does against its bars, on this machine, in this run.

    python -m tests.bench.label [quota | throughput | kills | plan | memory] …

All but `memory` take about eight minutes on two cores; `memory` labels 100,000 queries and takes as long as the fake
server needs for 200,000 calls. The server runs in a process of its own on the same machine, so it takes its share of
the cores from whoever is measured, engine and bare SDK alike.
"""

import asyncio
import contextlib
import json
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

from tests.bench.bare import calls_per_s
from tests.bench.bars import Bar, report
from tests.bench.workload import JUDGE, LARGE, MEDIUM, ROOT, Server, environment, label_command, server, write_queries

LATENCY = {"latency_s": 0.2, "latency_sd_s": 0.02}


def quota(folder: Path) -> list[Bar]:
    """2,000 queries, 200 ms a call, 600 requests per model and window of 15 s (a minute, four times as fast).

    The lower bound is the busiest model's calls at exactly its quota. The server enforces a sliding window.
    """
    script = {**LATENCY, "rpm": 600, "window_s": 15.0}
    with server(folder, dict.fromkeys((MEDIUM, LARGE, JUDGE), script)) as fake:
        queries = write_queries(folder / "queries.jsonl", 2000)
        took = _engine(folder, queries, fake, "--rpm", "600", "--window-s", "15")
        stats = fake.stats()
    busiest = max(sum(statuses.values()) for statuses in stats["models"].values())
    bound_s = busiest * 15.0 / 600
    print(f"     {took['seconds']:.1f} s for {stats['requests']} calls, bound {bound_s:.1f} s")
    return [
        Bar("quota: wall time over the quota's own lower bound", took["seconds"] / bound_s, 1.10, is_limit=True),
        Bar("quota: 429s per call", stats["statuses"].get("429", 0) / stats["requests"], 0.02, is_limit=True),
    ]


def throughput(folder: Path) -> list[Bar]:
    """Calls per second of the engine over those of the bare SDK, at the same concurrency, without any quota.

    Pairs are measured in turn, so that what else the machine does meets both.
    """
    ratios = []
    with server(folder, {}) as fake:
        for i in range(5):
            place = folder / str(i)
            place.mkdir()
            queries = write_queries(place / "queries.jsonl", 1500)
            bare = asyncio.run(calls_per_s(fake.url, 6000, concurrency=64))
            took = _engine(place, queries, fake)
            ours = took["calls"] / took["seconds"]
            print(f"     engine {ours:.0f} calls/s, bare SDK {bare:.0f} calls/s")
            ratios.append(ours / bare)
    return [Bar("throughput: engine over bare SDK, median of 5", statistics.median(ratios), 0.60)]


def kills(folder: Path) -> list[Bar]:
    """Three kill -9 at random moments of 2,000 queries at concurrency 64; then the run that completes.

    In flight is what the ledger holds as sent and not answered once the process is dead: to the server some of these
    are over, as it has answered and nobody had read it.
    """
    rng = random.Random(0)
    scripts = dict.fromkeys((MEDIUM, LARGE, JUDGE), LATENCY)
    tables, in_flight, reported = {}, 0, 0
    for name in ("undisturbed", "killed"):
        place = folder / name
        place.mkdir()
        with server(place, scripts) as fake:
            queries = write_queries(place / "queries.jsonl", 2000)
            out = place / "labels.parquet"
            for _ in range(3 if name == "killed" else 0):
                with subprocess.Popen(_engine_command(queries, fake), cwd=ROOT, env=environment(place)) as process:
                    before = fake.stats()["requests"]
                    while fake.stats()["requests"] < before + 200:
                        time.sleep(0.02)
                    time.sleep(rng.uniform(0.0, 3.0))
                    process.send_signal(signal.SIGKILL)
                in_flight += _in_flight(place)
            took = _engine(place, queries, fake, "--out", str(out))
            stats = fake.stats()
        tables[name] = pq.read_table(out)
        reported, twice = took["lost"], stats["billed_twice"]
    print(f"     in flight at the kills {in_flight}, reported {reported}, paid twice {twice}")
    same = tables["killed"].sort_by("query_id").equals(tables["undisturbed"].sort_by("query_id"))
    return [
        Bar("kills: labels that differ from an undisturbed run", 0.0 if same else 1.0, 0.0, is_limit=True),
        Bar("kills: calls paid twice per call in flight at the kills", twice / max(in_flight, 1), 1.0, is_limit=True),
        Bar("kills: calls paid twice beyond what the run reports", float(max(0, twice - reported)), 0.0, is_limit=True),
    ]


def _in_flight(folder: Path) -> int:
    with contextlib.closing(sqlite3.connect(folder / "home" / "ledger.sqlite")) as ledger:
        return int(ledger.execute("SELECT COUNT(*) FROM calls WHERE state = 'started'").fetchone()[0])


def plan(folder: Path) -> list[Bar]:
    """A dry run of a million queries, from the command line."""
    queries = write_queries(folder / "queries.jsonl", 1_000_000)
    began = time.perf_counter()
    peak = _peak_mib(label_command(queries, "http://127.0.0.1:9", "--dry-run"), folder)
    print(f"     peak {peak:.0f} MiB")
    return [Bar("plan: seconds for 1,000,000 queries", time.perf_counter() - began, 60.0, is_limit=True)]


def memory(folder: Path) -> list[Bar]:
    """`routecal label` on 100,000 queries whose answers match word for word: two calls each, nothing for a judge."""
    peaks = {}
    with server(folder, {}, unknown="the reference") as fake:
        for n in (10_000, 100_000):
            queries = write_queries(folder / f"{n}.jsonl", n)
            peaks[n] = _peak_mib(label_command(queries, fake.url), folder)
            print(f"     {n} queries: peak {peaks[n]:.0f} MiB")
    return [Bar("memory: MiB at 100,000 queries", peaks[100_000], 400.0, is_limit=True)]


def _engine_command(queries: Path, fake: Server, *options: str) -> list[str]:
    return [sys.executable, "-m", "tests.bench.engine_run", str(queries), fake.url, *options]


def _engine(folder: Path, queries: Path, fake: Server, *options: str) -> dict[str, Any]:
    """One run of the engine without Prefect, to its end."""
    command = _engine_command(queries, fake, *options)
    done = subprocess.run(command, cwd=ROOT, env=environment(folder), stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout))


def _peak_mib(command: list[str], folder: Path) -> float:
    """Highest resident memory of a command's own process, without the temporary Prefect server it starts."""
    peak = 0
    with subprocess.Popen(command, cwd=ROOT, env=environment(folder)) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, watched.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            time.sleep(0.1)
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, command)
    return peak / 2**20


BENCHES: dict[str, Callable[[Path], list[Bar]]] = {
    "quota": quota,
    "throughput": throughput,
    "kills": kills,
    "plan": plan,
    "memory": memory,
}


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; 1 if a bar is missed."""
    missed = 0
    for name in names or list(BENCHES):
        print(f"{name}: {(BENCHES[name].__doc__ or '').splitlines()[0]}", flush=True)
        with tempfile.TemporaryDirectory(prefix="routecal-bench-") as folder:
            missed |= report(BENCHES[name](Path(folder)))
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
