"""Flows `benchmark` and `ablate`: every method, or one choice changed at a time, on recorded outcomes."""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from routecal.calib.router.pooling import DEFAULT as DEFAULT_BLOCK
from routecal.calib.trial.ablation import GROUP, REFERENCE
from routecal.calib.trial.decisions import REGRESSION
from routecal.calib.trial.methods import DEFAULT, METHODS
from routecal.flows.engines import on_engine
from routecal.flows.param_checks import check
from routecal.flows.run_messages import completed
from routecal.flows.trial_params import AblateParams, BenchmarkParams, TrialParams
from routecal.storage.artifact import Artifact
from routecal.tasks import runs
from routecal.tasks.benchmark.ablation_tables import ablation_latex, ablation_page, ablation_plot, effects
from routecal.tasks.benchmark.cell_scores import Scored, read_scored, score_cells
from routecal.tasks.benchmark.decision_bars import bars
from routecal.tasks.benchmark.decision_cells import fit_decisions
from routecal.tasks.benchmark.decision_pages import decisions_page, variants_table
from routecal.tasks.benchmark.decision_results import DecisionsScored, read_decisions_scored, score_decisions
from routecal.tasks.benchmark.decision_tables import decision_differences, decision_scores, decision_tables
from routecal.tasks.benchmark.features import extract_sets, headless
from routecal.tasks.benchmark.fit_cells import choose_block, fit_cell, fit_router
from routecal.tasks.benchmark.markdown_tables import benchmark_page
from routecal.tasks.benchmark.outcome_sets import OutcomeSet, import_sets
from routecal.tasks.benchmark.results import RAW, TEMPERATURE, Compared, set_table, standings, write_benchmark
from routecal.tasks.make_router import convert_gemma, refer_base
from routecal.tasks.side_by_side import results

# Cells by (set, router, division), a cell per group and seed.
Fitted = dict[tuple[str, str, int], list[Artifact]]


@flow(name="benchmark", flow_run_name="benchmark {params.data}")
def benchmark(params: BenchmarkParams) -> Compared:
    """Split, extract once, fit every method under every seed with both routers, compare, write the tables."""
    check(params)
    run_id = runs.start("benchmark")
    sets, backbone = _prepared(params)
    with on_engine(params, backbone):
        features = extract_sets(sets, backbone, params.reading, params.shard_size)
        cells = _cells(params, sets, features)
        fitted = _fitted(params, cells, sets, features, list(METHODS), shifted=params.shifted)
        own = _scored(sets, fitted, shifted=False)
        other = _scored(sets, fitted, shifted=True) if params.shifted else []
        decided = _decided(cells, sets, features, dict.fromkeys([params.labels, *params.curve]))
    tables, ranks, shifted = [set_table(one) for one in own], standings(own), [set_table(one) for one in other]
    rules, held = decision_tables(decided), bars(decided, own)
    title = f"Benchmark: {_protocol(params, sets)}"
    page = benchmark_page(tables, ranks, shifted, title, decisions=decisions_page(decided, rules, held))
    create_markdown_artifact(page, key="benchmark", description=title)
    compared = write_benchmark(
        run_id,
        page,
        {
            "params": params,
            "ranks": [one._asdict() for one in ranks],
            "tables": tables,
            "shifted": shifted,
            "decisions": rules,
            "bars": [bar._asdict() for bar in held],
        },
        own + other,
        fitted,
        references=(DEFAULT, TEMPERATURE, RAW),
        more={"scores": decision_scores(decided), "differences": decision_differences(decided)},
    )
    return _ended(params, features, compared, title)


@flow(name="ablate", flow_run_name="ablate on {params.data}")
def ablate(params: AblateParams) -> Compared:
    """Fit every variant of both heads under every seed with both routers, and compare each with the default."""
    check(params)
    run_id = runs.start("ablate")
    sets, backbone = _prepared(params)
    with on_engine(params, backbone):
        features = extract_sets(sets, backbone, params.reading, params.shard_size)
        cells = _cells(params, sets, features)
        fitted = _fitted(params, cells, sets, features, [GROUP], shifted=False)
        own = _scored(sets, fitted, shifted=False)
        decided = _decided(cells, sets, features, [params.labels], group="outcome variants")
    found = effects(own)
    title = f"Ablation: {_protocol(params, sets)}"
    page = ablation_page(found, own, title, variants_table(decided))
    create_markdown_artifact(page, key="ablation", description=title)
    files = {
        "ablation.tex": ablation_latex(found, title).encode(),
        "forest.png": ablation_plot(found, title),
        "forest.pdf": ablation_plot(found, title, "pdf"),
    }
    results = {"params": params, "effects": found}
    more = {"scores": decision_scores(decided), "differences": decision_differences(decided, [REGRESSION])}
    compared = write_benchmark(run_id, page, results, own, fitted, references=(REFERENCE,), files=files, more=more)
    return _ended(params, features, compared, title)


def _protocol(params: TrialParams, sets: Sequence[OutcomeSet]) -> str:
    """Sets, labels, divisions and seeds, for titles."""
    return f"{len(sets)} sets, {params.labels:,} labels, {params.divisions} divisions, {params.seeds} seeds in each"


def _ended(params: TrialParams, features: Artifact, compared: Compared, title: str) -> Compared:
    """Record the run, copy its report where the user wants it, and end with the title as the message."""
    runs.record_run(compared.run_id, features=features, **compared.artifacts, report=compared.report)
    if params.output_dir is not None:
        runs.copy_report(compared.report, params.output_dir)
    return completed(compared, title, report=params.output_dir or compared.report)


def _prepared(params: TrialParams) -> tuple[list[OutcomeSet], Artifact]:
    """The sets under the protocol, and the backbone that reads their queries."""
    sets = import_sets(params.data, names=params.sets, rows=params.rows, divisions=params.divisions)
    base = convert_gemma() if params.base_model is None else refer_base(params.base_model)
    return sets, headless(base)


class _Cell(NamedTuple):
    """One set, router, division and seed."""

    one: OutcomeSet
    kind: str
    division: int
    seed: int
    router: Artifact

    @property
    def place(self) -> tuple[str, str, int, int]:
        """What names it."""
        return self.one.name, self.kind, self.division, self.seed

    @property
    def rows(self) -> Artifact:
        return self.one.divisions[self.division]


def _cells(params: TrialParams, sets: Sequence[OutcomeSet], features: Artifact) -> list[_Cell]:
    """Every cell of the protocol, with its router."""
    divided = list(product(sets, params.routers, range(params.divisions)))
    calls = [(one.name, kind, division, one.divisions[division], features) for one, kind, division in divided]
    routers = dict(zip([call[:3] for call in calls], results(fit_router, calls, "fit routers"), strict=True))
    return [
        _Cell(one, kind, division, seed, routers[one.name, kind, division])
        for one, kind, division in divided
        for seed in range(params.seeds)
    ]


def _fitted(
    params: TrialParams,
    cells: Sequence[_Cell],
    sets: Sequence[OutcomeSet],
    features: Artifact,
    groups: Sequence[str],
    *,
    shifted: bool,
) -> Fitted:
    """Predictions of every group; with `shifted` those of the first division on the other sets' test rows as well."""
    drawn = [(*cell.place, params.labels, cell.rows, features, cell.router) for cell in cells]
    blocks = results(choose_block, drawn, "choose blocks") if params.block == "chosen" else [DEFAULT_BLOCK] * len(cells)
    calls = []
    for cell, block in zip(cells, blocks, strict=True):
        others = [o for o in sets if shifted and cell.division == 0 and o.family != cell.one.family]
        targets = {cell.one.name: cell.rows} | {o.name: o.rows for o in others}
        rest = (params.labels, cell.rows, targets, features, cell.router, block)
        calls += [(*cell.place, group, *rest) for group in groups]
    found: Fitted = {}
    for (name, kind, division, *_), fitted in zip(calls, results(fit_cell, calls, "fit methods"), strict=True):
        found.setdefault((name, kind, division), []).append(fitted)
    return found


def _scored(sets: Sequence[OutcomeSet], cells: Fitted, *, shifted: bool) -> list[Scored]:
    """Scores of every (set, router) on its own test rows, or on those of each other set that shares no question."""
    work = [
        (name, target, kind)
        for name, kind in dict.fromkeys((name, kind) for name, kind, _ in cells)
        for target in sets
        if (target.family != _family(sets, name) if shifted else target.name == name)
    ]
    calls = [
        (
            name,
            target.name,
            kind,
            [cell for key, own in cells.items() if key[:2] == (name, kind) and key[2] < divisions for cell in own],
            target.family,
            _relatives(sets, target, divisions),
        )
        for name, target, kind in work
        for divisions in [1 if shifted else len(target.divisions)]
    ]
    return list(map(read_scored, results(score_cells, calls, "score under shift" if shifted else "score")))


def _decided(
    cells: Sequence[_Cell],
    sets: Sequence[OutcomeSet],
    features: Artifact,
    asked: Iterable[int],
    group: str = "rules",
) -> list[DecisionsScored]:
    """Scores of every decision rule of the group by set and router, at every number of labels asked for."""
    pairs = list(product(cells, asked))
    calls = [(*cell.place, labels, cell.rows, features, cell.router, group) for cell, labels in pairs]
    found: dict[tuple[str, str, int], list[Artifact]] = {}
    for (cell, labels), decided in zip(pairs, results(fit_decisions, calls, "fit decisions"), strict=True):
        found.setdefault((cell.one.name, cell.kind, labels), []).append(decided)
    named = {one.name: one for one in sets}
    scoring = [
        (name, kind, own, one.divisions, one.family, _relatives(sets, one, len(one.divisions)))
        for (name, kind, _), own in found.items()
        for one in [named[name]]
    ]
    return list(map(read_decisions_scored, results(score_decisions, scoring, "score decisions")))


def _family(sets: Sequence[OutcomeSet], name: str) -> str:
    return next(one.family for one in sets if one.name == name)


def _relatives(sets: Sequence[OutcomeSet], target: OutcomeSet, divisions: int) -> list[list[Artifact]]:
    """Rows of every set of the target's family, by division."""
    return [one.divisions[:divisions] for one in sets if one.family == target.family]
