"""`make bench-memory`: the memory of an import does not grow with the file.

    python -m tests.bench.memory_import [--before FOLDER] [SIZE …]

Imports generated queries (JSON lines, with ids, truths and topics), cuts them into shards, and reads these with a
stand-in for a router: each size in a process of its own, one after the other. `--before` is another checkout, whose
modules do the same in turn; `make check` there makes the `build/names` that it needs. Without sizes: 10,000, 100,000
and 1,000,000, which takes three minutes, and three more with `--before`.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.bars import Bar, constant, report
from tests.bench.workload import ROOT

SIZES = (10_000, 100_000, 1_000_000)
# What the largest size may have above the one before it.
GROWTH_MIB = 200.0


def write_queries(path: Path, n: int) -> Path:
    """n questions of 12 words with the user's id, a truth of two words and one of 20 topics; one in 100 repeats."""
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijklmnop", k=rng.randrange(2, 10))) for _ in range(5000)]
    with path.open("w", encoding="utf-8") as file:
        for i in range(n):
            # Rows that repeat have no id, which would be of two queries, and a truth of their own.
            text = f"{' '.join(rng.choices(words, k=12))} {i}?" if i % 100 else "Which one is asked every time?"
            row = {"query": text, "ground_truth": " ".join(rng.choices(words, k=2)), "topic": rng.choice(words[:20])}
            file.write(json.dumps(row | ({"id": f"row-{i}"} if i % 100 else {})) + "\n")
    return path


def imported(checkout: Path, file: Path) -> dict[str, Any]:
    """What `import_run` says with the modules of a checkout, in a home of its own."""
    with tempfile.TemporaryDirectory(prefix="routecal-bench-home-") as home:
        own = {"ROUTECAL_HOME": home, "PYTHONPATH": f"{checkout / 'build' / 'names'}:{ROOT}", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "tests.bench.import_run", str(file)]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | own, stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    """Print every run and the bars; 1 where one is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sizes", nargs="*", type=int)
    parser.add_argument("--before", type=Path)
    options = parser.parse_args()
    sizes = sorted(options.sizes or SIZES)
    if len(sizes) < 2:
        parser.error("give two sizes or more")
    checkouts = {"now": ROOT} | ({"before": options.before.resolve()} if options.before else {})
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in checkouts}
    with tempfile.TemporaryDirectory(prefix="routecal-bench-") as folder:
        for n in sizes:
            file = write_queries(Path(folder) / "queries.jsonl", n)
            for name, checkout in checkouts.items():
                took = imported(checkout, file)
                found[name].append(took)
                load = Path("/proc/loadavg").read_text().split()[0]
                said = (
                    f"import {took['import_mib']:.0f} MiB and {took['import_s']:.1f} s",
                    f"with shards {took['all_mib']:.0f} MiB and {took['all_s']:.1f} s",
                    f"before it {took['before_mib']:.0f} MiB, load {load}",
                )
                print(f"     {name}, {n:,} queries: {'; '.join(said)}", flush=True)
            if len({tuple(took[-1]["names"]) for took in found.values()}) > 1:
                print("MISS: the checkouts store other bytes", flush=True)
                return 1
    growth = {name: took[-1]["all_mib"] - took[-2]["all_mib"] for name, took in found.items() if len(took) > 1}
    rows, took = sizes[-1] - sizes[-2], found["now"][-1]
    per_row, per_million_s = growth["now"] * 2**20 / rows, 1e6 / sizes[-1] * took["import_s"]
    print(f"     {per_row:.0f} bytes a row; {per_million_s:.1f} s to import a million")
    constant("import_bytes_per_row", per_row)
    constant("import_s_per_million", per_million_s)
    if options.before:
        ratio = took["import_s"] / found["before"][-1]["import_s"]
        print(f"     before: {growth['before'] * 2**20 / rows:.0f} bytes a row; seconds now over before: {ratio:.2f}")
    what = f"import and shards: MiB more for {sizes[-1]:,} than for {sizes[-2]:,} queries"
    return report([Bar(what, growth["now"], GROWTH_MIB, is_limit=True)])


if __name__ == "__main__":
    sys.exit(main())
