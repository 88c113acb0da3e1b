"""How often each interval that the product prints holds the truth: `python -m tests.bench.coverage [draws [n …]]`.

Rows are drawn from worlds in which the truth is known (computed on a million rows), an interval is made of each draw,
and the share that holds the truth is printed, with how often the truth lay below and above. The bar: .93 from 300 rows
on. With 1,000 draws a share of .95 has a standard error of .007. All of it takes an hour on two free cores.
"""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from typing import NamedTuple

from tests.bench.coverage_worlds import ERRS, PRICES, SHAPES, Seen, audits, metrics, savings, seeds

SIZES = (100, 300, 1000)
BAR, BAR_FROM = 0.93, 300


class Case(NamedTuple):
    """One interval in one world: how often the truth was missed."""

    interval: str
    world: str
    n: int
    draws: int
    below: int
    above: int

    @property
    def share(self) -> float:
        """Of the intervals, those that hold the truth."""
        return (self.draws - self.below - self.above) / self.draws


def counted(work: Callable[[int, int], Iterator[Seen]], world: str, n: int, draws: int) -> list[Case]:
    """Cases of one world at one size."""
    tally = Counter[tuple[str, str]]()
    for name, found, truth in work(n, draws):
        if found is not None:
            tally[name, "draws"] += 1
            tally[name, "below"] += int(truth < found.low - 1e-9)
            tally[name, "above"] += int(truth > found.high + 1e-9)
    names = dict.fromkeys(name for name, _ in tally)
    return [Case(name, world, n, *(tally[name, k] for k in ("draws", "below", "above"))) for name in names]


def main(draws: int = 1000, *sizes: int) -> int:
    """Print the table interval | world | rows | coverage | truth below | above; 1 if an interval misses the bar."""
    worlds: list[tuple[Callable[[int, int], Iterator[Seen]], str]] = []
    for shape, off in product(SHAPES, (False, True)):
        title = f"{shape}, {'off' if off else 'calibrated'}"
        worlds += [(partial(metrics, shape, not off), title), (partial(seeds, shape, not off), title)]
    worlds += [
        (partial(savings, prices, kept), f"{prices}, {kept:.0%} kept")
        for prices, kept in product(PRICES, (0.03, 0.2, 0.6))
    ]
    worlds += [(partial(audits, errs), f"errs {errs}") for errs in ERRS]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(counted, work, title, n, draws) for (work, title), n in product(worlds, sizes or SIZES)]
        found = sorted(case for job in jobs for case in job.result())
    print("| interval | world | rows | coverage | truth below | above |\n|---|---|--:|--:|--:|--:|")
    missed = 0
    for case in found:
        is_missed = case.n >= BAR_FROM and case.share < BAR
        missed += is_missed
        ends = f"{case.below / case.draws:.3f} | {case.above / case.draws:.3f}"
        print(f"| {case.interval} | {case.world} | {case.n} | {case.share:.3f}{' MISS' * is_missed} | {ends} |")
    print(f"{missed} of {sum(case.n >= BAR_FROM for case in found)} from {BAR_FROM} rows on are below {BAR}")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
