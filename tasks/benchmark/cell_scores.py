"""Scores of one set's methods on one test set: cells in, one folder of numbers out."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from routecal.calib.comparison import Resampled, paired_counts
from routecal.calib.comparison.scores import MethodScore, SeedScore, score_methods
from routecal.storage.artifact import Artifact, read_metadata, read_table
from routecal.storage.folder_artifact import local_folder, write_folder
from routecal.storage.layout import Home
from routecal.tasks.cache import step


class Scored(NamedTuple):
    """Every method of one set and router on one target's test rows.

    Attributes:
        name, target, kind: of the set, of the set whose rows these are, and of the router.
        n, n_labelled: test rows, and labelled rows (mean over seeds).
        accuracy: share of the test rows on which the router was right.
        methods: score by method, in the order of the groups.
    """

    name: str
    target: str
    kind: str
    n: int
    n_labelled: float
    accuracy: float
    methods: dict[str, MethodScore]


@step("score", "score {name} → {target}, {kind} router", on=("calib.comparison", "calib.metrics"))
def score_cells(
    name: str, target: str, kind: str, cells: list[Artifact], family: str, relatives: list[Artifact]
) -> Artifact:
    """Scores of every method in `cells` on the target's rows.

    Args:
        name, target, kind: see `Scored`.
        cells: all groups and seeds of this set and router.
        family: of the target.
        relatives: rows of every set of that family: what they share is resampled alike.
    """
    p, y, ids, n_labelled = _read(cells, target)
    counts = list(paired_counts(_strata(ids, target, family, relatives)))
    found = {method: score_methods(seeds, y, counts) for method, seeds in p.items()}
    facts = {
        "name": name,
        "target": target,
        "kind": kind,
        "n": len(y),
        "n_labelled": n_labelled,
        "accuracy": float(y.mean()),
        "methods": {method: [one.model_dump() for one in s.seeds] for method, s in found.items()},
        "metrics": list(next(iter(found.values())).resampled),
    }

    def build(folder: Path) -> None:
        (folder / "facts.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
        for field in ("value", "drawn"):
            arrays = [[getattr(r, field) for r in s.resampled.values()] for s in found.values()]
            np.save(folder / f"{field}.npy", np.array(arrays, np.float64))

    return write_folder("benchmark_scored", build, home=Home.from_env())


def read_scored(artifact: Artifact) -> Scored:
    """What `score_cells` wrote."""
    folder = local_folder(artifact)
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    value, drawn = np.load(folder / "value.npy"), np.load(folder / "drawn.npy")
    methods = {
        method: MethodScore(
            tuple(SeedScore(**one) for one in seeds),
            {metric: Resampled(value[i, j], drawn[i, j]) for j, metric in enumerate(facts["metrics"])},
        )
        for i, (method, seeds) in enumerate(facts["methods"].items())
    }
    return Scored(**{name: facts[name] for name in Scored._fields if name != "methods"}, methods=methods)


def _read(
    cells: Sequence[Artifact], target: str
) -> tuple[dict[str, list[NDArray[np.float64]]], NDArray[np.float64], list[str], float]:
    """p by method, one array per seed in the order of seeds; y; ids, ascending; labelled rows."""
    p: dict[str, dict[int, NDArray[np.float64]]] = {}
    y, ids, labelled = np.empty(0), [], []
    for cell in cells:
        facts = read_metadata(cell)
        labelled.append(int(facts["labels"]))
        table = read_table(cell).filter(pa.compute.field("target") == target)
        methods = np.array(table["method"].to_pylist())
        for method in dict.fromkeys(methods.tolist()):
            own = table.filter(pa.array(methods == method)).sort_by("query_id")
            p.setdefault(method, {})[int(facts["seed"])] = own["p"].to_numpy()
            y, ids = own["is_correct"].to_numpy(zero_copy_only=False).astype(np.float64), own["query_id"].to_pylist()
    return {m: [by_seed[s] for s in sorted(by_seed)] for m, by_seed in p.items()}, y, ids, float(np.mean(labelled))


def _strata(
    ids: Sequence[str], target: str, family: str, relatives: Sequence[Artifact]
) -> list[tuple[NDArray[np.int64], int]]:
    """(rows that every set of the family tests on, its seed), (the others, the target's own seed)."""
    tested = [
        set(table.filter(pa.compute.field("part") == "test")["query_id"].to_pylist())
        for table in (read_table(rows, columns=["query_id", "part"]) for rows in relatives)
    ]
    shared = set.intersection(*tested)
    here = np.array([query_id in shared for query_id in ids])
    return [(np.flatnonzero(here), seed_of(family)), (np.flatnonzero(~here), seed_of(target))]


def seed_of(name: str) -> int:
    """A generator's seed that follows from a set's name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
