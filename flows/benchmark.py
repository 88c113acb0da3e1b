"""Flows `benchmark` and `ablate`: every method, or one choice changed at a time, on recorded outcomes."""

from collections.abc import Sequence

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from routecal.calib.router.pooling import DEFAULT as DEFAULT_BLOCK
from routecal.calib.trial.ablation import GROUP, REFERENCE
from routecal.calib.trial.methods import DEFAULT, METHODS
from routecal.flows.param_checks import check
from routecal.flows.run_messages import completed
from routecal.flows.trial_params import AblateParams, BenchmarkParams, TrialParams
from routecal.storage.artifact import Artifact
from routecal.tasks import runs
from routecal.tasks.benchmark.ablation_tables import ablation_latex, ablation_page, ablation_plot, effects
from routecal.tasks.benchmark.cell_scores import Scored, read_scored, score_cells
from routecal.tasks.benchmark.features import extract_sets, headless
from routecal.tasks.benchmark.fit_cells import choose_block, fit_cell, fit_router
from routecal.tasks.benchmark.markdown_tables import benchmark_page
from routecal.tasks.benchmark.outcome_sets import OutcomeSet, import_sets
from routecal.tasks.benchmark.results import RAW, TEMPERATURE, Compared, set_table, standings, write_benchmark
from routecal.tasks.make_router import convert_gemma, refer_checkpoint
from routecal.tasks.progress import track


@flow(name="benchmark", flow_run_name="benchmark {params.data}")
def benchmark(params: BenchmarkParams) -> Compared:
    """Split, extract once, fit every method under every seed with both routers, compare, write the tables."""
    check(params)
    run_id = runs.start("benchmark")
    sets, features = _prepared(params)
    cells = _fitted(params, sets, features, list(METHODS), shifted=params.shifted)
    own = _scored(sets, cells, shifted=False)
    other = _scored(sets, cells, shifted=True) if params.shifted else []
    tables, ranks, shifted = [set_table(one) for one in own], standings(own), [set_table(one) for one in other]
    title = f"Benchmark: {len(sets)} sets, {params.labels:,} labels, {params.seeds} seeds"
    page = benchmark_page(tables, ranks, shifted, title)
    create_markdown_artifact(page, key="benchmark", description=title)
    compared = write_benchmark(
        run_id,
        page,
        {"params": params, "ranks": [one._asdict() for one in ranks], "tables": tables, "shifted": shifted},
        own + other,
        cells,
        references=(DEFAULT, TEMPERATURE, RAW),
    )
    return _ended(params, features, compared, title)


@flow(name="ablate", flow_run_name="ablate on {params.data}")
def ablate(params: AblateParams) -> Compared:
    """Fit every variant under every seed with both routers, and compare each with the default."""
    check(params)
    run_id = runs.start("ablate")
    sets, features = _prepared(params)
    cells = _fitted(params, sets, features, [GROUP], shifted=False)
    own = _scored(sets, cells, shifted=False)
    found = effects(own)
    title = f"Ablation: {len(sets)} sets, {params.labels:,} labels, {params.seeds} seeds"
    page = ablation_page(found, own, title)
    create_markdown_artifact(page, key="ablation", description=title)
    files = {
        "ablation.tex": ablation_latex(found, title).encode(),
        "forest.png": ablation_plot(found, title),
        "forest.pdf": ablation_plot(found, title, "pdf"),
    }
    results = {"params": params, "effects": found}
    compared = write_benchmark(run_id, page, results, own, cells, references=(REFERENCE,), files=files)
    return _ended(params, features, compared, title)


def _ended(params: TrialParams, features: Artifact, compared: Compared, title: str) -> Compared:
    """Record the run, copy its report where the user wants it, and end with the title as the message."""
    runs.record_run(compared.run_id, features=features, **compared.artifacts, report=compared.report)
    if params.output_dir is not None:
        runs.copy_report(compared.report, params.output_dir)
    return completed(compared, title, report=params.output_dir or compared.report)


def _prepared(params: TrialParams) -> tuple[list[OutcomeSet], Artifact]:
    """The sets under the protocol, and the features of all their queries."""
    sets = import_sets(params.data, names=params.sets, rows=params.rows)
    base = convert_gemma() if params.base_model is None else refer_checkpoint(params.base_model, kind="models")
    return sets, extract_sets(sets, headless(base), params.reading, params.shard_size)


def _fitted(
    params: TrialParams, sets: Sequence[OutcomeSet], features: Artifact, groups: Sequence[str], *, shifted: bool
) -> dict[tuple[str, str], list[Artifact]]:
    """Predictions by (set, router), a cell per group and seed; with `shifted` on the other sets' test rows as well."""
    found: dict[tuple[str, str], list[Artifact]] = {}
    routers = {
        (one.name, kind): fit_router(one.name, kind, one.rows, features)
        for one, kind in track([(one, kind) for one in sets for kind in params.routers], "fit routers")
    }
    work = [(one, kind, seed) for one in sets for kind in params.routers for seed in range(params.seeds)]
    for one, kind, seed in track(work, "fit methods"):
        targets = {o.name: o.rows for o in sets if o.name == one.name or (shifted and o.family != one.family)}
        router = routers[one.name, kind]
        drawn = (one.name, kind, seed, params.labels, one.rows, features, router)
        block = choose_block(*drawn) if params.block == "chosen" else DEFAULT_BLOCK
        found.setdefault((one.name, kind), []).extend(
            fit_cell(one.name, kind, seed, group, params.labels, one.rows, targets, features, router, block)
            for group in groups
        )
    return found


def _scored(sets: Sequence[OutcomeSet], cells: dict[tuple[str, str], list[Artifact]], *, shifted: bool) -> list[Scored]:
    """Scores of every (set, router) on its own test rows, or on those of each other set that shares no question."""
    families = {one.name: one.family for one in sets}
    relatives = {f: [one.rows for one in sets if one.family == f] for f in families.values()}
    work = [
        (name, target, kind)
        for name, kind in cells
        for target, family in families.items()
        if (family != families[name] if shifted else target == name)
    ]
    return [
        read_scored(score_cells(name, target, kind, cells[name, kind], families[target], relatives[families[target]]))
        for name, target, kind in track(work, "score under shift" if shifted else "score")
    ]
