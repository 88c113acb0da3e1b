"""A billion queries on paper: docs/scale.md from docs/benchmarks.json, `make scale`.

What was measured comes from the benchmarks, what was not is assumed and said to be (`ASSUMED`). The plan of the label
stage is `labelling_plan`'s, and its time is checked by simulation.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from routecal.flows.params import ExtractParams
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec
from routecal.tasks.oracle.money.pricing import Prices
from routecal.tasks.oracle.planning.assumptions import SPEND_TIERS
from routecal.tasks.oracle.planning.plan import LabellingPlan, labelling_plan
from tests.bench.label_simulation import simulated_s
from tests.bench.workload import JUDGE, LARGE, MEDIUM

ROOT = Path(__file__).parents[2]
DEFAULT_SHARD = ExtractParams.model_fields["shard_size"].default
RESULTS, PAGE = ROOT / "docs" / "benchmarks.json", ROOT / "docs" / "scale.md"
N = 1_000_000_000
SAMPLE = 10_000
SHARD = 1_000_000
# Of one query: two answers, two judgements.
CALLS = 4
YEAR_S = 365.25 * 24 * 3600
TABLES = ("queries", "labels", "features", "predictions")
STAGES = ("join", "predict", "score")
# Simulated: calls a minute and model, and places, under which the quota decides.
RPM, PLACES, SIMULATED = 1000.0, 64, 20_000


class Assumed(NamedTuple):
    """A number that was not measured here."""

    value: float
    source: str


ASSUMED = {
    "FLOP/s": Assumed(989.4e12, "bfloat16 without sparsity of one H100 SXM, NVIDIA's data sheet"),
    "share": Assumed(0.4, "of it that extraction reaches: a guess, no GPU was measured; two cores reach more"),
    "USD/h": Assumed(3.95, "one H100 on Modal by the second, as reported in June 2026"),
    "USD/TB": Assumed(23.0, "a month of object storage, list price of S3 Standard"),
}


def plan(n: int, *, usd_per_10min: float | None = None, rpm: float | None = None) -> LabellingPlan:
    """Of n questions of forty words, asked online at a spend limit or a quota."""
    query = "Which of the lakes in this country is the deepest one, " * 4
    rows = pa.table({"query": [f"{query}{i}?" for i in range(n)], "ground_truth": ["Lake Baikal"] * n})
    return labelling_plan(
        rows,
        medium=ModelSpec(model=MEDIUM),
        large=ModelSpec(model=LARGE),
        judge=JudgeSpec(first=ModelSpec(model=JUDGE)),
        prices=Prices.load(),
        limits=Pace(job="scale", usd_per_10min=usd_per_10min, rpm=rpm, concurrency=PLACES),
        tier="online",
        at=datetime.now(UTC),
    )


def page(known: dict[str, float]) -> str:
    """The page, from constants that benchmarks kept."""
    flop = N * known["tokens of a prompt"] * known["FLOP of a token"]
    gpu_h = flop / ASSUMED["FLOP/s"].value / ASSUMED["share"].value / 3600
    cores_years = N * known["tokens of a prompt"] / known["tokens/s on two cores"] / YEAR_S
    terabytes = {kind: N * known[f"bytes of a row of {kind}"] / 1e12 for kind in TABLES}
    kept = sum(terabytes.values())
    ledger = CALLS * N * known["bytes of a call in the ledger"] / 1e12
    cpu_h = {stage: N * known[f"CPU s of a query: {stage}"] / 3600 for stage in STAGES}
    import_h = N * known["import_s_per_million"] / 1e6 / 3600
    sample, tier = plan(SAMPLE), SPEND_TIERS[-1]
    all_usd = sample.usd.likely / SAMPLE * N
    all_years = all_usd / tier.usd_per_10min * 600 / YEAR_S
    sample_h = max(sample.usd.likely / tier.usd_per_10min * 600, 0.0) / 3600
    limited = plan(SIMULATED, rpm=RPM)
    planned = limited.time.seconds
    answer_s, judge_s = (limited.stages[k].call_s.likely for k in (0, 2))
    simulated = simulated_s(SIMULATED, rpm=RPM, concurrency=PLACES, answer_s=answer_s, judge_s=judge_s)
    rows = [
        ("import", f"{terabytes['queries']:.2f} TB", f"{import_h:,.0f} hours of one core", ""),
        (
            "label all",
            f"{terabytes['labels']:.2f} TB, and a ledger of {ledger:.1f} TB",
            f"{all_years:,.1f} years at {tier.name}'s {tier.usd_per_10min:g} USD per ten minutes",
            f"{all_usd:,.0f}",
        ),
        (f"label {SAMPLE:,}", "MB", f"{sample_h:.1f} hours at the same", f"{sample.usd.likely:,.0f}"),
        (
            "extract",
            f"{terabytes['features']:.2f} TB",
            f"{flop:.2g} FLOP: {gpu_h:,.0f} GPU-hours, or {cores_years:,.0f} years of two cores",
            f"{gpu_h * ASSUMED['USD/h'].value:,.0f}",
        ),
        *((stage, "", f"{cpu_h[stage]:,.0f} core-hours", "") for stage in STAGES),
        (
            "keep a month",
            f"{kept:.1f} TB",
            "",
            f"{kept * ASSUMED['USD/TB'].value:,.0f}",
        ),
    ]
    table = "\n".join(
        ["| stage | bytes | work | USD |", "|:---|---:|:---|---:|", *(f"| {' | '.join(r)} |" for r in rows)]
    )
    assumed = "\n".join(f"- {name}: {one.value:g}, {one.source}" for name, one in ASSUMED.items())
    return f"""# A billion queries on paper

Written by `make scale` from what `make bench` measured on two cores ([benchmarks](benchmarks.md)); nothing here is
edited by hand, and nothing at this size was run. Every stage is taken to be linear, which was measured from 1 to 100
times 500 queries (below); a table is as large per row as at ten million rows. The router is Gemma-3-270M, prompts have
{known["tokens of a prompt"]:.0f} tokens.

{table}

Assumed, not measured:

{assumed}

The price of labels and their number of calls are those of `routecal label --dry-run`, for questions of forty words.

## What breaks first

1. **Labels.** Nobody labels a billion queries: it would cost {all_usd / 1e6:,.1f} million USD. A head needs about a
   thousand labels and gains little beyond ten thousand ([results](results.md)); the rest is read, not labelled.
2. **One file of features.** {terabytes["features"]:.1f} TB in one Parquet file is more than a disk should hold, and
   `extract` joins its shards to one. At this size read shards apart: each is an artifact of its own, and serving needs
   no table of features at all.
3. **Tasks.** With the default of {DEFAULT_SHARD:,} queries in a shard a run would have {N // DEFAULT_SHARD:,} tasks. At
   {SHARD:,} it has {N // SHARD:,}, which the Prefect UI was tested with, and Prefect takes
   {N // SHARD * known["s of Prefect for a task"]:,.0f} s of it in all.
4. **Two cores.** Extraction alone is {cores_years:,.0f} years of them: this is what `--on modal`, Ray and Dask are for.

## The label stage, simulated

The plan says how long labels take from calls over quota alone. Simulated with the engine's own quota windows,
{SIMULATED:,} queries at {RPM:g} requests per minute and model and {PLACES} places take {simulated / 3600:.2f} hours;
the plan says {planned.likely / 3600:.2f} ({limited.time.binding}), and between {planned.low / 3600:.2f} and
{planned.high / 3600:.2f}. The real engine against a server with a quota is in [benchmarks](benchmarks.md).

## Linear

![CPU of every stage at 1, 10 and 100 times 500 queries, a panel each, beside a straight line](cost.png)
"""


def main() -> int:
    """Write the page; 1 where a benchmark that it needs has not been run."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    known: dict[str, float] = {}
    for one in results.values():
        known |= one.get("constants", {})
    try:
        PAGE.write_text(page(known), encoding="utf-8")
    except KeyError as missing:
        print(f"no benchmark has measured {missing}: run `make bench` first", file=sys.stderr)
        return 1
    print(f"written: {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
