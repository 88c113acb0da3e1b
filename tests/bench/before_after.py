"""Draw the first picture of the documentation from what `routecal benchmark` stored; nothing in it is set by hand.

    routecal benchmark --data FOLDER --sets simpleqa_gpt4o --routers overconfident --no-shifted
    python -m tests.bench.before_after docs/before-after.png

Takes the newest benchmark run of ROUTECAL_HOME, and of its seeds the first.
"""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from routecal.calib.checks import FloatArray
from routecal.calib.metrics import brier, ece, noise_floor
from routecal.calib.plots import before_after, render
from routecal.calib.trial.methods import DEFAULT
from routecal.storage.artifact import read_table
from routecal.storage.layout import Home
from routecal.storage.manifest import newest_first

SET, ROUTER, RAW = "simpleqa_gpt4o", "overconfident", "max_prob"


def rows(table: pa.Table, method: str) -> tuple[FloatArray, FloatArray]:
    """(p, y) of the set's own test queries under one method, first seed."""
    wanted = {
        "set": SET,
        "target": SET,
        "router": ROUTER,
        "method": method,
        "division": 0,
        "seed": pc.min(table["seed"]).as_py(),
    }
    for column, value in wanted.items():
        table = table.filter(pc.equal(table[column], value))
    if not len(table):
        raise SystemExit(f"the newest benchmark run has no rows of {wanted}; run the command above first")
    return table["p"].to_numpy(), table["is_correct"].to_numpy(zero_copy_only=False).astype(float)


def main(target: str) -> None:
    """Write the picture and print its numbers."""
    stored = [a for run in newest_first(Home.from_env()) for a in run.of_kind("benchmark_predictions")]
    if not stored:
        raise SystemExit("no benchmark run in ROUTECAL_HOME; run the command above first")
    table = read_table(stored[0])
    before, after = rows(table, RAW), rows(table, DEFAULT)
    for name, (p, y) in (("router", before), ("head", after)):
        noise = noise_floor(p, n_bins=10).high
        print(f"{name}: n {len(p)}, right {y.mean():.3f}, ECE-10 {ece(p, y, n_bins=10):.3f} (noise <= {noise:.3f}), "
              f"Brier {brier(p, y):.3f}")  # fmt: skip
    names = ("the router's own probability", "routecal's confidence")
    Path(target).write_bytes(render(before_after(before, after, names=names)))


if __name__ == "__main__":
    main(sys.argv[1])
