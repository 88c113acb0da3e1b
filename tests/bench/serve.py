"""What server and orchestration do against their bars, on this machine: `python -m tests.bench.serve [ready | …]`.

Real servers on SQLite, each in a folder of its own, and the demo. Takes a quarter of an hour on two free cores. Times
are the clock's, and longer where others use the machine too: what they had of it is printed beside each part.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.bars import Bar, report
from tests.bench.workload import ROOT, environment
from tests.served.conftest import Served, serving
from tests.served.test_bursts import FINAL, N_SHARDS, SEEN_WITHIN_S, burst, trouble


def ready(folder: Path) -> list[Bar]:
    """From a folder that is not there to the address of the UI; and again, with the database in it."""
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        with serving(folder):
            seconds.append(time.perf_counter() - began)
    print(f"     with the database there: {seconds[1]:.1f} s")
    return [Bar("`make serve` ready, from a fresh folder: s", seconds[0], 60, is_limit=True)]


def cached(folder: Path) -> list[Bar]:
    """`demo` as its form stands, when it has run before: from the click to Completed."""
    # After `orchestration` everything is there already, and the first click is a cached run too.
    with serving(folder, ROUTECAL_HOME=str(folder / "home")) as served:
        deployment = served.deployment("demo")
        first, again = clicked(served, deployment), clicked(served, deployment)
    print(f"     the run before: {first:.1f} s")
    return [Bar("`demo`, cached, click to Completed: s", again, 60, is_limit=True)]


def clicked(served: Served, deployment: str) -> float:
    """Seconds from creating a run to its end."""
    began = time.perf_counter()
    state = served.until(served.start(deployment), *FINAL, seconds=900)
    assert state["type"] == "COMPLETED", state["message"]
    return time.perf_counter() - began


def bursts(folder: Path) -> list[Bar]:
    """A thousand tasks in one run, twice in a row."""
    with serving(folder, PREFECT_SERVER_LOGGING_LEVEL="INFO") as served:
        found = [burst(served, folder, first) for first in (0, N_SHARDS)]
    for ran_s, recorded_s in found:
        print(f"     ran {ran_s:.1f} s from the click, all task runs recorded {recorded_s:.1f} s later")
    slowest = max(one.recorded_s for one in found)
    return [
        Bar("1,000 shards twice: all task runs in the UI after the run: s", slowest, SEEN_WITHIN_S, is_limit=True),
        Bar("… answers of 500 and above, locked databases", len(trouble(folder)), 0, is_limit=True),
    ]


def orchestration(folder: Path) -> list[Bar]:
    """What Prefect takes of the demo: its import, its server, and its calls but for the bodies of tasks and flows."""
    notes = folder / "notes.json"
    command = [sys.executable, "-m", "tests.bench.orchestrated", str(notes), "demo"]
    began = time.time()
    subprocess.run(command, cwd=ROOT, env=environment(folder), stdout=subprocess.DEVNULL, check=True)
    ended = time.time()
    spent = json.loads(notes.read_text())
    parts = {
        "import": spent["import"],
        "server": spent["server"],
        f"{spent['tasks, calls']:.0f} tasks": spent["tasks"] - spent["task bodies"],
        f"{spent['flows, calls']:.0f} flows": spent["flows"] - spent["flow bodies"],
        "end": ended - spent["ended_at"],
    }
    print(f"     of {ended - began:.0f} s: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in parts.items()))
    return [Bar("orchestration of the demo, share of its wall time", sum(parts.values()) / (ended - began), 0.05, True)]


PARTS: dict[str, Callable[[Path], list[Bar]]] = {
    "ready": ready,
    "bursts": bursts,
    "orchestration": orchestration,
    "cached": cached,
}


def main(names: list[str]) -> int:
    """Measure the named parts, or all; print the table bar | measured | wanted and return 1 where one is missed."""
    bars: list[Bar] = []
    with tempfile.TemporaryDirectory(prefix="routecal-serve-") as shared:
        for name in names or PARTS:
            # The demo leaves its inputs to those who come after it; all else starts from nothing.
            folder = Path(shared) / ("demo" if name in ("orchestration", "cached") else name)
            folder.mkdir(exist_ok=True)
            print(name, flush=True)
            bars += PARTS[name](folder)
            print(f"     load {os.getloadavg()[0]:.1f}", flush=True)
    return report(bars)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
