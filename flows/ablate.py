"""Flow `ablate`: the default head with one choice changed at a time."""

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from routecal.calib.trial.ablation import GROUP, REFERENCE
from routecal.flows.param_checks import check
from routecal.flows.run_messages import completed
from routecal.flows.trial import fitted, prepared, scored
from routecal.flows.trial_params import AblateParams
from routecal.tasks import runs
from routecal.tasks.benchmark.ablation_tables import ablation_latex, ablation_page, ablation_plot, effects
from routecal.tasks.benchmark.benchmark_report import Compared, write_benchmark


@flow(name="ablate", flow_run_name="ablate on {params.data}")
def ablate(params: AblateParams) -> Compared:
    """Fit every variant under every seed with both routers, and compare each with the default."""
    check(params)
    run_id = runs.start("ablate")
    sets, features = prepared(params)
    cells = fitted(params, sets, features, [GROUP], shifted=False)
    own = scored(sets, cells, shifted=False)
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
    runs.record_run(run_id, features=features, **compared.artifacts, report=compared.report)
    if params.output_dir is not None:
        runs.copy_report(compared.report, params.output_dir)
    return completed(compared, title, report=params.output_dir or compared.report)
