"""Every benchmark in turn, each in a process of its own; what was measured goes to docs/benchmarks.json and .md.

    python -m tests.bench [NAME …]

Results of a benchmark that is not named stay, with the machine and the day they are of. Numbers are worth keeping only
from cores that nothing else uses: how busy they were when a benchmark began is kept with it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.bars import VARIABLE, Bar
from tests.bench.machine import described

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "benchmarks.json"
PAGE = ROOT / "docs" / "benchmarks.md"
# Name -> (arguments of `python -m`, what it is, in a line).
BENCHES = {
    "metrics": (["tests.bench.metrics"], "Metrics and their intervals against libraries, on the same arrays"),
    "training": (["tests.bench.training"], "Training of the confidence head and the outcome head"),
    "extraction": (["tests.bench.extraction"], "Extraction by the real Gemma-3-270M against the obvious ways"),
    "stats": (["tests.bench.stats"], "Every statistic of `routecal stats` on ten million prediction rows, from files"),
    "vectors": (["tests.bench.vectors"], "A million vectors of features: as bytes and as lists, compressed and not"),
    "import": (["tests.bench.import_logs"], "A million samples of two evaluation logs become recorded outcomes"),
    "memory": (["tests.bench.memory_import"], "Memory of an import, its shards and a stand-in for reading them"),
    "label": (["tests.bench.label", "quota", "throughput", "kills", "plan"], "Labelling against a fake Gemini"),
    "engines": (["tests.bench.engines"], "Extraction on two local workers of Ray and of Dask against one"),
    "router": (["tests.bench.router"], "What `routecal serve-router` adds to the router that decides"),
    "pipeline": (
        ["tests.bench.pipeline"],
        "A whole calibration: CPU of every stage as queries grow, Prefect's share",
    ),
}


def main() -> int:
    """Run and write; 1 if a bar is missed or a benchmark failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; all if none is named")
    names = parser.parse_args().names or list(BENCHES)
    if unknown := sorted(set(names) - set(BENCHES)):
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    failed = False
    for name in names:
        print(f"\n{name}: {BENCHES[name][1]}", flush=True)
        found, code = measured(name)
        failed |= code != 0
        if found["bars"]:
            results[name] = found
            RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            PAGE.write_text(page(results), encoding="utf-8")
    return int(failed)


def measured(name: str) -> tuple[dict[str, Any], int]:
    """(what one benchmark found, how its process ended)."""
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "bars"
        lines.touch()
        load, began, day = os.getloadavg()[0], time.perf_counter(), datetime.now(UTC).date().isoformat()
        command = [sys.executable, "-m", *BENCHES[name][0]]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | {VARIABLE: str(lines)}, check=False)
        kept = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
        seconds = round(time.perf_counter() - began)
    found = {
        "day": day,
        "machine": described(),
        "load_before": round(load, 2),
        "seconds": seconds,
        "bars": [line for line in kept if "what" in line],
        "constants": {line["constant"]: line["value"] for line in kept if "constant" in line},
    }
    return found, done.returncode


def page(results: dict[str, Any]) -> str:
    """The page of all results."""
    parts = [
        "# Benchmarks",
        "Written by `make bench` from what it measured (`benchmarks.json` beside this page); nothing here is edited by "
        "hand. Ratios are of the same work in one run. A bar that is missed says so: the numbers are of two cores "
        "without a GPU, and how busy these were with other things when a benchmark began is the load. What each "
        "benchmark does is said at the head of its module in `tests/bench`.",
    ]
    for name, (_, title) in BENCHES.items():
        if found := results.get(name):
            rows = [Bar(**bar) for bar in found["bars"]]
            machine = ", ".join(f"{key} {value}" for key, value in found["machine"].items())
            parts += [
                f"## {title}",
                f"`python -m {' '.join(BENCHES[name][0])}`, {found['day']}, {found['seconds']} s, load before "
                f"{found['load_before']}. Machine: {machine}.",
                "\n".join(
                    [
                        "| what | measured | asked | |",
                        "|:---|---:|---:|:---|",
                        *(
                            f"| {b.what} | {b.measured:.4g} | {b.asked} | {'' if b.is_met else 'missed'} |"
                            for b in rows
                        ),
                    ]
                ),
            ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
