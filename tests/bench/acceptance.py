"""The claims that we hold the default head to, on the numbers of a benchmark that has run.

`python -m tests.bench.acceptance artifacts/reports/benchmark-…/numbers.json` prints claim | asked | found | met and
returns 1 where one is missed.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter

from routecal.calib.baselines import BASELINES
from routecal.calib.comparison import Rank
from routecal.calib.trial.methods import AS_WRITTEN, DEFAULT
from routecal.tasks.benchmark.results import PROBE, RAW, TEMPERATURE, ResultRow, SetTable, is_better


class Bar(BaseModel):
    """One claim."""

    model_config = ConfigDict(frozen=True)

    claim: str
    asked: str
    found: str
    met: bool | None  # None: reported, not held to


def bars(tables: Sequence[SetTable], ranks: Sequence[Rank], shifted: Sequence[SetTable] = ()) -> list[Bar]:
    """What was asked of the default head and what was found; a claim whose methods or routers did not run is left out.

    Args:
        tables: each set on its own test rows, per router.
        ranks: by Brier, over them.
        shifted: each set on another's test rows, per router.
    """
    found = [_in_band(tables), _worse_than_baselines(tables), _below_probe(tables)]
    if overconfident := [table for table in tables if table.router == "overconfident"]:
        found.append(_repaired(overconfident))
    found += [_rank(ranks), _ahead_of_temperature(tables)]
    if all(any(line.method == AS_WRITTEN for line in table.lines) for table in tables):
        found.append(_as_written(tables))
    if shifted:
        found.append(_shifted(shifted))
    return found


def _in_band(tables: Sequence[SetTable]) -> Bar:
    share = float(np.mean([table.line(DEFAULT).in_band for table in tables]))
    return Bar(
        claim="ECE inside its noise band (97.5% of calibrated models), over (set, router, seed)",
        asked="≥ 90%",
        found=f"{share:.0%}",
        met=share >= 0.9,
    )


def _worse_than_baselines(tables: Sequence[SetTable]) -> Bar:
    pairs = [(table, line) for table in tables for line in table.lines if line.method in BASELINES]
    worse = _named(pairs, lambda line: is_better(line.brier_behind))
    seeds = sum(line.worse_seeds for _, line in pairs)
    return Bar(
        claim="Brier significantly worse than a baseline's, per set and router",
        asked="never",
        found=f"{len(worse)} of {len(pairs)} comparisons{_list(worse)}; {seeds} of single seeds",
        met=not worse,
    )


def _below_probe(tables: Sequence[SetTable]) -> Bar:
    pairs = [(table, line) for table in tables for line in table.lines if line.method == PROBE]
    below = _named(pairs, lambda line: is_better(line.auroc_behind, lower=False))
    return Bar(
        claim="AUROC significantly below the logistic probe's",
        asked="never",
        found=f"{len(below)} of {len(pairs)}{_list(below)}",
        met=not below,
    )


def _repaired(tables: Sequence[SetTable]) -> Bar:
    ratios = {table.name: table.line(RAW).ece / max(table.line(DEFAULT).ece, 1e-9) for table in tables}
    return Bar(
        claim="Raw ECE over the head's, overconfident router",
        asked="≥ 3",
        found=", ".join(f"{name} {ratio:.1f}" for name, ratio in ratios.items()),
        met=min(ratios.values()) >= 3,
    )


def _rank(ranks: Sequence[Rank]) -> Bar:
    place = 1 + [one.method for one in ranks].index(DEFAULT)
    own, tie = ranks[place - 1], ""
    if place > 1:
        tie = f"; the first is {ranks[0].method}{', tied with it' if own.is_first else ''}"
    return Bar(
        claim="Mean Brier rank over sets and routers",
        asked="first, or tied with the first by the paired interval",
        found=f"{own.mean_rank:.2f}, place {place} of {len(ranks)}{tie}",
        met=own.is_first,
    )


def _ahead_of_temperature(tables: Sequence[SetTable]) -> Bar:
    lines = [table.line(TEMPERATURE) for table in tables]
    ahead = sum(line.brier_behind is not None and line.brier_behind.low > 0 for line in lines)
    return Bar(
        claim="Brier significantly better than temperature scaling's",
        asked="aim: on most sets",
        found=f"{ahead} of {len(lines)} (set, router)",
        met=None,
    )


def _as_written(tables: Sequence[SetTable]) -> Bar:
    def mean(method: str) -> float:
        return float(np.mean([table.line(method).ece for table in tables]))

    return Bar(
        claim="Mean ECE of METHOD.md as written, beside the default's",
        asked="shown",
        found=f"{mean(AS_WRITTEN):.3f} beside {mean(DEFAULT):.3f}",
        met=None,
    )


def _shifted(tables: Sequence[SetTable]) -> Bar:
    def errors(method: str) -> list[float]:
        return [table.line(method).ece for table in tables]

    own, raw = errors(DEFAULT), errors(RAW)
    no_worse = sum(a <= b for a, b in zip(own, raw, strict=True))
    return Bar(
        claim="ECE on another set no worse than the raw router's",
        asked="aim",
        found=f"{no_worse} of {len(own)} pairs; mean {np.mean(own):.3f} beside {np.mean(raw):.3f}",
        met=None,
    )


def _named(pairs: Sequence[tuple[SetTable, ResultRow]], holds: Callable[[ResultRow], bool]) -> list[str]:
    return [f"{line.method} on {table.name}, {table.router}" for table, line in pairs if holds(line)]


def _list(names: Sequence[str]) -> str:
    return f" ({'; '.join(names)})" if names else ""


def main(numbers: str) -> int:
    """Print the bars of a benchmark's numbers; 1 where one is missed."""
    stored = json.loads(Path(numbers).read_text(encoding="utf-8"))
    tables, shifted = (TypeAdapter(list[SetTable]).validate_python(stored[name]) for name in ("tables", "shifted"))
    found = bars(tables, TypeAdapter(list[Rank]).validate_python(stored["ranks"]), shifted)
    sign = {True: "ok  ", False: "MISS", None: "-   "}
    print("\n".join(f"{sign[bar.met]} | {bar.claim} | {bar.asked} | {bar.found}" for bar in found))
    return int(any(bar.met is False for bar in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
