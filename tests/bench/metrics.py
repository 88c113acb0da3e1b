"""What the metrics do against their bars, on this machine, in this run: `python -m tests.bench.metrics [ece | …]`.

Every bar is a ratio of two things done in turn on the same arrays, so that what else the machine does meets both. Takes
about a minute on two free cores and 2 GB.
"""

import sys
from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score

from routecal.calib.metrics import auroc, ece, intervals
from tests.bench.bars import Bar, report
from tests.bench.timing import Run, in_turn, run
from tests.calib.metrics.reference_libraries import by_netcal, by_torchmetrics

N_PAIRS = 10_000_000
N_ROWS = 1_000_000
N_REPLICATES = 1000


def ece_of_pairs() -> list[Bar]:
    """Calibration error of 15 bins; everybody gets float64 and int64, so that nobody has to convert."""
    p, y = pairs(N_PAIRS)
    works: dict[str, Callable[[], object]] = {
        "ours": lambda: ece(p, y, n_bins=15),
        "torchmetrics": lambda: by_torchmetrics(p, y, n_bins=15),
        "netcal": lambda: by_netcal(p, y, n_bins=15),
    }
    values = [work() for work in works.values()]
    assert np.allclose(values, values[0], atol=1e-9, rtol=0)
    times = shown(in_turn(works, n_rounds=5))
    return [
        Bar(f"ECE-15 of 10M pairs: {name} over ours", times[name].seconds / times["ours"].seconds, 10)
        for name in ("torchmetrics", "netcal")
    ]


def auroc_of_pairs() -> list[Bar]:
    """The exact AUROC, of distinct and of tied values."""
    bars = []
    for kind, digits in (("distinct", None), ("rounded to .01", 2)):
        p, y = pairs(N_PAIRS)
        p = p if digits is None else p.round(digits)
        assert abs(auroc(p, y) - roc_auc_score(y, p)) < 1e-12
        times = shown(in_turn({"ours": lambda: auroc(p, y), "scikit-learn": lambda: roc_auc_score(y, p)}, n_rounds=4))  # noqa: B023
        ratio = times["scikit-learn"].seconds / times["ours"].seconds
        bars.append(Bar(f"AUROC of 10M {kind} pairs: scikit-learn over ours", ratio, 5))
    return bars


def interval_of_rows() -> list[Bar]:
    """Intervals of ECE and Brier, against resampling all rows a thousand times, cells of rows known.

    Where many rows are far from calibrated, as here, a percentile bootstrap is right too, and the ends must agree.
    """
    p, y = pairs(N_ROWS)
    found: dict[str, dict[str, tuple[float, float]]] = {}

    def ours() -> None:
        estimates = intervals(p, y, metrics=("ece", "brier"), n_replicates=N_REPLICATES)
        found["ours"] = {name: (e.low, e.high) for name, e in estimates.items() if e is not None}

    def naive() -> None:
        found["naive"] = naive_ends(p, y)

    times = shown(in_turn({"ours": ours}, n_rounds=5) | {"naive": run(naive)})
    ratio = times["naive"].seconds / times["ours"].seconds
    bars = [Bar("ends of ECE and Brier, 1M rows: 1,000 naive replicates over ours", ratio, 300)]
    for name, (low, high) in found["naive"].items():
        ends = found["ours"][name]
        print(f"     {name}: ours {ends[0]:.6f} to {ends[1]:.6f}, naive {low:.6f} to {high:.6f}")
        apart = max(abs(ends[0] - low), abs(ends[1] - high)) / (high - low)
        bars.append(Bar(f"ends of the interval of {name}, apart in widths of it", apart, 0.1, is_limit=True))
    return bars


def naive_ends(p: np.ndarray, y: np.ndarray) -> dict[str, tuple[float, float]]:
    """95% percentile intervals of ECE-10 and Brier; a replicate is n rows drawn, and two passes over them."""
    rng = np.random.default_rng(1)
    n, b = len(p), np.minimum((p * 10).astype(np.int64), 9)
    gap, square = y - p, (p - y) ** 2
    values = np.empty((N_REPLICATES, 2))
    for i in range(N_REPLICATES):
        rows = rng.integers(0, n, n)
        values[i] = np.abs(np.bincount(b[rows], weights=gap[rows])).sum() / n, square[rows].mean()
    low, high = np.quantile(values, [0.025, 0.975], axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(("ece", "brier"))}


def pairs(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Confidence (n,) that is a little too high, and outcomes (n,)."""
    rng = np.random.default_rng(0)
    p = rng.beta(4, 2, n)
    return p, (rng.random(n) < p**1.3).astype(np.int64)


def shown(times: dict[str, Run]) -> dict[str, Run]:
    """The same, printed."""
    for name, (seconds, own_cpu_s, others) in times.items():
        print(
            f"     {name}: {1e3 * seconds:.1f} ms ({1e3 * own_cpu_s:.1f} of CPU), others had {others:.0%} of the cores"
        )
    return times


PARTS: dict[str, Callable[[], list[Bar]]] = {"ece": ece_of_pairs, "auroc": auroc_of_pairs, "interval": interval_of_rows}


def main(names: list[str]) -> int:
    """Measure the named parts, or all; print the table bar | measured | wanted and return 1 where one is missed."""
    return report([bar for name in names or PARTS for bar in PARTS[name]()])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
