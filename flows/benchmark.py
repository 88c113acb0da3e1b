"""Flow `benchmark`: every method on recorded outcomes, under one protocol."""

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from routecal.calib.trial.methods import DEFAULT, METHODS
from routecal.flows.param_checks import check
from routecal.flows.run_messages import completed
from routecal.flows.trial import fitted, prepared, scored
from routecal.flows.trial_params import BenchmarkParams
from routecal.tasks import runs
from routecal.tasks.benchmark.benchmark_report import Compared, write_benchmark
from routecal.tasks.benchmark.markdown_tables import benchmark_page
from routecal.tasks.benchmark.results import RAW, TEMPERATURE, set_table, standings


@flow(name="benchmark", flow_run_name="benchmark {params.data}")
def benchmark(params: BenchmarkParams) -> Compared:
    """Split, extract once, fit every method under every seed with both routers, compare, write the tables."""
    check(params)
    run_id = runs.start("benchmark")
    sets, features = prepared(params)
    cells = fitted(params, sets, features, list(METHODS), shifted=params.shifted)
    own = scored(sets, cells, shifted=False)
    other = scored(sets, cells, shifted=True) if params.shifted else []
    tables, ranks, shifted = [set_table(one) for one in own], standings(own), [set_table(one) for one in other]
    title = f"Benchmark: {len(sets)} sets, {params.labels:,} labels, {params.seeds} seeds"
    page = benchmark_page(tables, ranks, shifted, title)
    create_markdown_artifact(page, key="benchmark", description=title)
    compared = write_benchmark(
        run_id,
        page,
        {"params": params, "ranks": ranks, "tables": tables, "shifted": shifted},
        own + other,
        cells,
        references=(DEFAULT, TEMPERATURE, RAW),
    )
    runs.record_run(run_id, features=features, **compared.artifacts, report=compared.report)
    if params.output_dir is not None:
        runs.copy_report(compared.report, params.output_dir)
    return completed(compared, title, report=params.output_dir or compared.report)
