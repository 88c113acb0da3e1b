"""What a benchmark found: tables per set and router, ranks over sets, calibration under shift; and how it is stored."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field, TypeAdapter

from routecal.calib import metrics
from routecal.calib.comparison import COMPARED, Rank, Resampled, mean_over, minus, over_seeds, rank, tied_methods
from routecal.calib.comparison.scores import MethodScore
from routecal.calib.metrics import Estimate
from routecal.calib.trial.methods import DEFAULT
from routecal.storage.artifact import Artifact, read_metadata, read_table, write_table
from routecal.storage.atomic import write_files
from routecal.storage.layout import Home
from routecal.storage.schemas import SCHEMAS
from routecal.tasks.benchmark.cell_scores import Scored
from routecal.tasks.benchmark.question_counts import seed_of

METRICS = {name: metrics.get_metric(name).lower_is_better for name in COMPARED}

# Methods that differences are taken to, and that the tables of shift show.
RAW, PROBE, TEMPERATURE = "max_prob", "probe", "temperature"

# What a row of a table says of division and seed where it is over all of them.
OVER_ALL: dict[str, int | None] = {"division": None, "seed": None}


class ResultRow(BaseModel, frozen=True):
    """One method in a table; means over divisions and seeds, intervals over test queries as well."""

    method: str
    ece: float = Field(description="10 equal-width bins; no interval, see `calib.metrics.intervals`")
    noise_mean: float = Field(description="mean ECE of a perfectly calibrated model with the same confidences")
    noise_high: float = Field(description="such a model stays at or below this ECE on 97.5% of test sets")
    in_band: float = Field(description="share of seeds whose ECE is at most noise_high")
    brier: Estimate | None
    log_loss: float
    auroc: Estimate | None
    aurc: Estimate | None
    brier_behind: Estimate | None = Field(description="Brier minus that of the default head, paired")
    auroc_behind: Estimate | None = Field(description="AUROC minus that of the default head, paired")
    worse_seeds: int = Field(description="seeds under which the default head's Brier is significantly worse")


class SetTable(BaseModel, frozen=True):
    """All methods on one set under one router."""

    name: str
    target: str
    router: str
    n: int = Field(description="test rows, mean over divisions")
    n_labelled: float = Field(description="labelled rows, mean over divisions and seeds")
    accuracy: float = Field(description="share of the test rows on which the router was right")
    lines: list[ResultRow]

    def line(self, method: str) -> ResultRow:
        """The line of that method."""
        return next(line for line in self.lines if line.method == method)


def set_table(scored: Scored, *, reference: str = DEFAULT) -> SetTable:
    """The table of one set and router, in the order of its methods."""
    seed = seed_of(scored.name)
    base = scored.methods[reference]
    return SetTable(
        name=scored.name,
        target=scored.target,
        router=scored.kind,
        n=scored.n,
        n_labelled=scored.n_labelled,
        accuracy=scored.accuracy,
        lines=[_line(method, found, base, seed) for method, found in scored.methods.items()],
    )


def standings(scored: Sequence[Scored], *, metric: str = "brier") -> list[Rank]:
    """Methods over all sets and routers, the best mean rank first; only methods that every one of them has."""
    common = [m for m in scored[0].methods if all(m in one.methods for one in scored)]
    found = {method: [one.methods[method].resampled[metric] for one in scored] for method in common}
    seeds = [seed_of(one.name) for one in scored]
    return rank(found, seeds=seeds, lower_is_better=METRICS[metric])


def pooled_difference(scored: Sequence[Scored], method: str, reference: str, metric: str) -> Estimate | None:
    """Mean over sets and routers of a metric of `method` minus that of `reference`, paired."""
    pairs = [(one.methods[method].resampled[metric], one.methods[reference].resampled[metric]) for one in scored]
    return mean_over([minus(a, b) for a, b in pairs], seeds=[seed_of(one.name) for one in scored])


def differences(scored: Sequence[Scored], *, references: Sequence[str]) -> list[dict[str, object]]:
    """Rows of kind `benchmark_differences`: every method minus each reference, per set, router, division and seed."""
    rows: list[dict[str, object]] = []
    for one in scored:
        place = {"set": one.name, "target": one.target, "router": one.kind, "labels": round(one.n_labelled)}
        for reference in references:
            for method, found in one.methods.items():
                for metric in METRICS:
                    difference = minus(found.resampled[metric], one.methods[reference].resampled[metric])
                    estimates = [over_seeds(difference, seed=seed_of(one.name)), *by_seed(difference)]
                    rows += [
                        {"metric": metric, "method": method, "reference": reference, **place, **when, **flat(e)}
                        for when, e in zip([OVER_ALL, *pairs_of(difference)], estimates, strict=True)
                    ]
    return rows


def scores(scored: Sequence[Scored]) -> list[dict[str, object]]:
    """Rows of kind `benchmark_scores`."""
    rows: list[dict[str, object]] = []
    for one in scored:
        place = {"set": one.name, "target": one.target, "router": one.kind, "labels": round(one.n_labelled)}
        for method, found in one.methods.items():
            known = {**place, "method": method}
            pairs = pairs_of(next(iter(found.resampled.values())))
            for when, alone in zip(pairs, found.seeds, strict=True):
                rows += [
                    {"metric": metric, **known, **when, "value": None if v is None else float(v)}
                    for metric, v in alone.model_dump().items()
                ]
            for metric, resampled in found.resampled.items():
                pooled = over_seeds(resampled, seed=seed_of(one.name))
                rows.append({"metric": metric, **known, **OVER_ALL, **flat(pooled)})
    return rows


def pairs_of(found: Resampled) -> list[dict[str, int | None]]:
    """Division and seed of every value, in their order."""
    seeds = len(found.value) // found.divisions
    return [{"division": i // seeds, "seed": i % seeds} for i in range(len(found.value))]


def by_seed(found: Resampled) -> list[Estimate | None]:
    """The estimate of every division and seed alone, over queries."""
    return [over_seeds(Resampled(found.value[i : i + 1], found.drawn[i : i + 1])) for i in range(len(found.value))]


def is_better(difference: Estimate | None, *, lower: bool = True) -> bool:
    """Whether the difference to another method is significant, and in favour."""
    return difference is not None and not tied_methods(difference) and (difference.value < 0) == lower


def _line(method: str, found: MethodScore, base: MethodScore, seed: int) -> ResultRow:
    pooled = {metric: over_seeds(resampled, seed=seed) for metric, resampled in found.resampled.items()}
    behind = {m: minus(found.resampled[m], base.resampled[m]) for m in ("brier", "auroc")}
    return ResultRow(
        method=method,
        ece=_mean(found, "ece"),
        noise_mean=_mean(found, "noise_mean"),
        noise_high=_mean(found, "noise_high"),
        in_band=_mean(found, "in_band"),
        log_loss=_mean(found, "log_loss"),
        **pooled,
        brier_behind=over_seeds(behind["brier"], seed=seed),
        auroc_behind=over_seeds(behind["auroc"], seed=seed),
        worse_seeds=sum(is_better(estimate) for estimate in by_seed(behind["brier"])),
    )


def _mean(found: MethodScore, field: str) -> float:
    return float(np.mean([getattr(one, field) for one in found.seeds]))


def flat(estimate: Estimate | None) -> dict[str, float | None]:
    """Value and interval as columns."""
    return dict.fromkeys(("value", "low", "high")) if estimate is None else estimate.model_dump()


class Compared(BaseModel, frozen=True):
    """What a benchmark or an ablation ends with."""

    run_id: str
    report: str = Field(description="path or URL of the folder with the page, the JSON and the plots")
    page: str = Field(description="the page itself, Markdown")
    artifacts: dict[str, Artifact] = Field(description="predictions, scores and differences")


def write_benchmark(
    run_id: str,
    page: str,
    results: Mapping[str, Any],
    scored: Sequence[Scored],
    cells: Mapping[tuple[str, str, int], Sequence[Artifact]],
    *,
    references: Sequence[str],
    more: Mapping[str, Sequence[Mapping[str, object]]] = {},
    files: Mapping[str, bytes] = {},
) -> Compared:
    """Store predictions, scores and differences as tables, and the page with everything else beside it.

    Args:
        run_id: names the folder.
        page: Markdown.
        results: models, and lists of them, by name; the JSON.
        scored: whatever was scored.
        cells: predictions by (set, router, division).
        references: methods that differences are taken to.
        more: further rows of scores and of differences, by the name of the artifact.
        files: further files of the folder by name.
    """
    home = Home.from_env()
    artifacts = {
        "predictions": _joined_cells([cell for own in cells.values() for cell in own], home),
        "scores": _table([*scores(scored), *more.get("scores", ())], "benchmark_scores", home),
        "differences": _table(
            [*differences(scored, references=references), *more.get("differences", ())], "benchmark_differences", home
        ),
    }
    plain = {name: TypeAdapter(type(value)).dump_python(value, mode="json") for name, value in results.items()}
    numbers = {"run_id": run_id, **plain, "artifacts": {name: a.model_dump() for name, a in artifacts.items()}}
    folder = f"{home.folder('reports')}/{run_id}"
    whole = {"page.md": page.encode(), "numbers.json": (json.dumps(numbers, indent=1) + "\n").encode(), **files}
    write_files(folder, whole)
    return Compared(run_id=run_id, report=folder, page=page, artifacts=artifacts)


def _table(rows: Sequence[Mapping[str, object]], kind: str, home: Home) -> Artifact:
    return write_table(pa.Table.from_pylist(list(rows), schema=SCHEMAS[kind]), kind, home=home)


def _joined_cells(cells: Sequence[Artifact], home: Home) -> Artifact:
    """Kind `benchmark_predictions`: the cells, with their metadata as columns."""
    schema = SCHEMAS["benchmark_predictions"]
    tables = []
    for cell in cells:
        table, facts = read_table(cell), read_metadata(cell)
        repeated = {
            "set": pa.repeat(facts["set"], table.num_rows),
            "router": pa.repeat(facts["router"], table.num_rows),
            **{
                name: pa.repeat(pa.scalar(int(facts[name]), pa.int64()), table.num_rows)
                for name in ("division", "seed")
            },
        }
        columns = [repeated[name] if name in repeated else table[name] for name in schema.names]
        tables.append(pa.table(columns, schema=schema))
    return write_table(pa.concat_tables(tables), "benchmark_predictions", home=home)
