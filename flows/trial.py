"""What `benchmark` and `ablate` share: sets, features, routers, and every group of methods fitted under every seed."""

from collections.abc import Sequence

from routecal.calib.router.pooling import DEFAULT
from routecal.flows.trial_params import TrialParams
from routecal.storage.artifact import Artifact
from routecal.tasks.benchmark.cell_scores import Scored, read_scored, score_cells
from routecal.tasks.benchmark.features import extract_sets, headless
from routecal.tasks.benchmark.fit_cells import choose_block, fit_cell, fit_router
from routecal.tasks.benchmark.outcome_sets import OutcomeSet, import_sets
from routecal.tasks.gemma import convert_gemma
from routecal.tasks.make_router import refer_checkpoint
from routecal.tasks.progress import track


def prepared(params: TrialParams) -> tuple[list[OutcomeSet], Artifact]:
    """The sets under the protocol, and the features of all their queries."""
    sets = import_sets(params.data, names=params.sets, rows=params.rows)
    base = convert_gemma() if params.base_model is None else refer_checkpoint(params.base_model, kind="models")
    return sets, extract_sets(sets, headless(base), params.reading, params.shard_size)


def fitted(
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
        block = choose_block(*drawn) if params.block == "chosen" else DEFAULT
        found.setdefault((one.name, kind), []).extend(
            fit_cell(one.name, kind, seed, group, params.labels, one.rows, targets, features, router, block)
            for group in groups
        )
    return found


def scored(sets: Sequence[OutcomeSet], cells: dict[tuple[str, str], list[Artifact]], *, shifted: bool) -> list[Scored]:
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
