"""Scores of one set's methods on one test set: cells in, one folder of numbers out."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from routecal.calib.comparison.scores import MethodScore, SeedScore, joined, score_methods
from routecal.storage.artifact import Artifact, read_metadata, read_table
from routecal.tasks.benchmark.question_counts import counts_by_division
from routecal.tasks.benchmark.scored_folder import read_scores, write_scores
from routecal.tasks.cache import step


class Scored(NamedTuple):
    """Every method of one set and router on one target's test rows.

    Attributes:
        name, target, kind: of the set, of the set whose rows these are, and of the router.
        n, n_labelled: test rows and labelled rows, means over divisions and seeds.
        accuracy: share of the test rows on which the router was right, mean over divisions.
        divisions: how many there are.
        methods: score by method, in the order of the groups.
    """

    name: str
    target: str
    kind: str
    n: int
    n_labelled: float
    accuracy: float
    divisions: int
    methods: dict[str, MethodScore]


@step(
    "score",
    "score {name} → {target}, {kind} router",
    on=("tasks.benchmark.question_counts", "tasks.benchmark.scored_folder", "calib.comparison", "calib.metrics"),
)
def score_cells(
    name: str, target: str, kind: str, cells: list[Artifact], family: str, relatives: list[list[Artifact]]
) -> Artifact:
    """Scores of every method in `cells` on the target's rows.

    Args:
        name, target, kind: see `Scored`.
        cells: all groups, divisions and seeds of this set and router.
        family: of the target.
        relatives: rows of every set of that family by division: what they share is resampled alike.
    """
    divisions, n_labelled = _read(cells, target)
    counts = counts_by_division([one.ids for one in divisions], target, family, relatives)
    scored = [
        {method: score_methods(p, one.y, own) for method, p in one.p.items()}
        for one, own in zip(divisions, counts, strict=True)
    ]
    found = {method: joined([one[method] for one in scored]) for method in scored[0]}
    facts = {
        "name": name,
        "target": target,
        "kind": kind,
        "n": round(float(np.mean([len(one.y) for one in divisions]))),
        "n_labelled": n_labelled,
        "accuracy": float(np.mean([one.y.mean() for one in divisions])),
        "divisions": len(divisions),
        "seeds": {method: [one.model_dump() for one in s.seeds] for method, s in found.items()},
    }
    return write_scores("benchmark_scored", facts, {method: s.resampled for method, s in found.items()})


def read_scored(artifact: Artifact) -> Scored:
    """What `score_cells` wrote."""
    facts, resampled = read_scores(artifact)
    methods = {
        method: MethodScore(tuple(SeedScore(**one) for one in seeds), resampled[method])
        for method, seeds in facts.pop("seeds").items()
    }
    return Scored(**facts, methods=methods)


class _Division(NamedTuple):
    """p by method, an array per seed in the order of seeds; y; ids, ascending."""

    p: dict[str, list[NDArray[np.float64]]]
    y: NDArray[np.float64]
    ids: list[str]


def _read(cells: Sequence[Artifact], target: str) -> tuple[list[_Division], float]:
    """What the cells say of the target's rows, by division, and the mean number of labelled rows."""
    p: dict[int, dict[str, dict[int, NDArray[np.float64]]]] = {}
    rows: dict[int, tuple[NDArray[np.float64], list[str]]] = {}
    labelled = []
    for cell in cells:
        facts = read_metadata(cell)
        labelled.append(int(facts["labels"]))
        division, seed = int(facts["division"]), int(facts["seed"])
        table = read_table(cell).filter(pa.compute.field("target") == target)
        methods = np.array(table["method"].to_pylist())
        for method in dict.fromkeys(methods.tolist()):
            own = table.filter(pa.array(methods == method)).sort_by("query_id")
            p.setdefault(division, {}).setdefault(method, {})[seed] = own["p"].to_numpy()
            y = own["is_correct"].to_numpy(zero_copy_only=False).astype(np.float64)
            rows[division] = y, own["query_id"].to_pylist()
    found = [
        _Division({m: [by_seed[s] for s in sorted(by_seed)] for m, by_seed in p[division].items()}, *rows[division])
        for division in sorted(p)
    ]
    return found, float(np.mean(labelled))
