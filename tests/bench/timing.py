"""Seconds on a machine that others use too: what they took is measured with every run, and the quietest runs count."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

# Of all cores; a run in which others took more is left out where there is one in which they did not.
QUIET = 0.05


class Run(NamedTuple):
    """One run: how long it took, on the clock and on all cores together, and what share of the cores others had."""

    seconds: float
    own_cpu_s: float
    others: float


def run(work: Callable[[], object]) -> Run:
    """Do `work` once."""
    busy, own, began = _busy_s(), time.process_time(), time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    own = time.process_time() - own
    others = max(_busy_s() - busy - own, 0.0)
    return Run(seconds, own, others / seconds / (os.cpu_count() or 1))


def in_turn(works: dict[str, Callable[[], object]], *, n_rounds: int) -> dict[str, Run]:
    """Do all of `works` in turn, `n_rounds` times; of each, the fastest quiet run, or the fastest if none was quiet."""
    runs: dict[str, list[Run]] = {name: [] for name in works}
    for _ in range(n_rounds):
        for name, work in works.items():
            runs[name].append(run(work))
    return {name: min([r for r in found if r.others <= QUIET] or found) for name, found in runs.items()}


def _busy_s() -> float:
    """Seconds that all cores together were not idle, since boot: user, nice, system, irq, softirq, steal."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
