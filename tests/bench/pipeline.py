"""What a whole `routecal calibrate` costs, stage by stage, at 1, 10 and 100 times 500 queries; and what Prefect takes.

    python -m tests.bench.pipeline [linear | orchestration | cached] …

A tiny router of two layers reads, so that what is not the router shows; a real one adds its own time to `extract`
alone. Outcomes are recorded ones; asking models is measured on its own, against a fake Gemini. Costs are seconds of CPU
of the process itself, which other programs hardly change. Draws docs/cost.png. A quarter of an hour on two free cores.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Any

from routecal.calib.plots.style import COLOURS, blank, plain_axes, render
from tests.bench.bars import Bar, constant, report
from tests.bench.workload import ROOT, environment, server, write_queries
from tests.calib.tiny_families import save_wide
from tests.tasks.made import outcome_rows, policies_for, texts, write_jsonl

BASE = 500
TIMES = (1, 10, 100)
API = "label over an API"
# Queries that are labelled over an API at each size: every one is three calls.
ASKED = 60
# What ten times the queries may cost, as a multiple: linear, and a fifth for what is not.
MOST = 12.0
# Cheaper stages are noise.
LEAST_S = 0.5
# Of the picture.
COLUMNS = 4


def linear(folder: Path) -> list[Bar]:
    """CPU seconds of every stage at each size; the largest against the one before it."""
    found: dict[str, list[float]] = {}
    for times in TIMES:
        notes, _ = calibrated(folder, BASE * times)
        for stage, seconds in stages(notes).items():
            found.setdefault(stage, []).append(seconds)
        found.setdefault(API, []).append(labelled(folder, ASKED * times))
    for stage, seconds in found.items():
        print(f"     {stage:<28} " + ", ".join(f"{s:.2f} s" for s in seconds), flush=True)
        constant(f"CPU s of a query: {stage}", seconds[-1] / (ASKED if stage == API else BASE) / TIMES[-1])
    (ROOT / "docs" / "cost.png").write_bytes(drawn(found))
    dear = {stage: seconds for stage, seconds in found.items() if len(seconds) == len(TIMES) and seconds[-1] >= LEAST_S}
    return [
        Bar(f"{stage}: CPU at {TIMES[-1]} × over {TIMES[-2]} ×", seconds[-1] / seconds[-2], MOST, is_limit=True)
        for stage, seconds in sorted(dear.items())
    ]


def orchestration(folder: Path) -> list[Bar]:
    """What Prefect takes of a calibration of 5,000 queries: import, server, and its calls but for what they call."""
    # Makes the database of its server, once for all runs of a home.
    calibrated(folder, BASE)
    notes, seconds = calibrated(folder, 5_000)
    parts = ("import", "server", "tasks", "flows", "end")
    notes["tasks"] -= notes["task bodies"]
    notes["flows"] -= notes["flow bodies"]
    print(f"     of {seconds:.0f} s: " + ", ".join(f"{part} {notes[part]:.1f} s" for part in parts))
    constant("s of Prefect for a task", notes["tasks"] / notes["tasks, calls"])
    share = sum(notes[part] for part in parts) / seconds
    return [Bar("orchestration of 5,000 queries, tiny router: share of wall time", share, 0.05, is_limit=True)]


def cached(folder: Path) -> list[Bar]:
    """The same calibration again, with everything there."""
    calibrated(folder, 5_000)
    _, seconds = calibrated(folder, 5_000)
    return [Bar("`routecal calibrate`, fully cached: s", seconds, 10, is_limit=True)]


def calibrated(folder: Path, n: int) -> tuple[dict[str, float], float]:
    """(what `tests.bench.orchestrated` notes, seconds) of a calibration in a process of its own."""
    notes, inputs = folder / f"notes-{n}.json", made(folder, n)
    options = [f"--{name}={value}" for name, value in {**inputs, "medium-price": 1, "large-price": 20}.items()]
    command = [sys.executable, "-m", "tests.bench.orchestrated", str(notes), "calibrate", *options]
    began = time.time()
    # One thread of torch each, whose CPU is then the task's own.
    env = environment(folder) | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, check=True)
    ended = time.time()
    found: dict[str, float] = json.loads(notes.read_text())
    return {**found, "end": ended - found["ended_at"]}, ended - began


def made(folder: Path, n: int) -> dict[str, Any]:
    """Queries, outcomes and a router, written once."""
    router = folder / "router"
    if not router.is_dir():
        save_wide("gemma3", router, causal=False)
    queries, outcomes = folder / f"q{n}.jsonl", folder / f"o{n}.jsonl"
    if not outcomes.is_file():
        asked = texts(n)
        write_jsonl(queries, [{"query": text} for text in asked])
        write_jsonl(outcomes, outcome_rows(asked, policies_for(asked, router)))
    return {"queries": queries, "outcomes": outcomes, "router-path": router}


def labelled(folder: Path, n: int) -> float:
    """CPU seconds of the labelling engine for n queries of three calls each, start of the process included."""
    queries = write_queries(folder / f"asked-{n}.jsonl", n)
    place = folder / f"labelled-{n}"
    place.mkdir()
    with server(place, {}) as fake:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "tests.bench.engine_run", str(queries), fake.url]
        subprocess.run(command, cwd=ROOT, env=environment(place), stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        n_calls = fake.stats()["requests"]
    constant("bytes of a call in the ledger", sum(f.stat().st_size for f in (place / "home").glob("ledger*")) / n_calls)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def stages(notes: dict[str, float]) -> dict[str, float]:
    """CPU seconds of every task, by its name, and of what the flow does between them."""
    spent = {name.removeprefix("CPU of "): s for name, s in notes.items() if name.startswith("CPU of ")}
    rest = spent.pop("all") - sum(spent.values())
    return {**spent, "import and the rest of the flow": rest}


def drawn(found: dict[str, list[float]]) -> bytes:
    """A panel for each stage that takes time, dearest first, axes logarithmic; grey rises as what is linear does."""
    shown = sorted((one for one in found.items() if one[1][-1] >= LEAST_S), key=lambda stage: -stage[1][-1])
    n_rows = -(-len(shown) // COLUMNS)
    figure = blank(9, 1.8 * n_rows)
    panels = list(figure.subplots(n_rows, COLUMNS, sharex=True, sharey=True, squeeze=False).flat)
    for panel, (stage, seconds) in zip_longest(panels, shown, fillvalue=(None, None)):
        if stage is None:
            panel.set_visible(False)
            continue
        panel.set_title(stage, fontsize="small")
        panel.loglog(TIMES, [seconds[-1] * times / TIMES[-1] for times in TIMES], color="0.75", linewidth=4)
        panel.loglog(TIMES[-len(seconds) :], seconds, color=COLOURS[0], marker="o", markersize=4)
    plain_axes(panels)
    figure.supxlabel(f"times {BASE} queries ({ASKED} over an API)", fontsize="small")
    figure.supylabel("seconds of CPU", fontsize="small")
    return render(figure)


PARTS: dict[str, Callable[[Path], list[Bar]]] = {"linear": linear, "orchestration": orchestration, "cached": cached}


def main(names: list[str]) -> int:
    """Measure the named parts, or all; 1 where a bar is missed."""
    missed = 0
    for name in names or PARTS:
        with tempfile.TemporaryDirectory(prefix="routecal-bench-") as folder:
            print(name, flush=True)
            missed |= report(PARTS[name](Path(folder)))
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
