"""Scores as a folder: facts in JSON, and what every metric of every method came to on resamples as two arrays."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from routecal.calib.comparison import Resampled
from routecal.storage.artifact import Artifact
from routecal.storage.folder_artifact import local_folder, write_folder
from routecal.storage.layout import Home

_ARRAYS = ("value", "drawn")


def write_scores(kind: str, facts: Mapping[str, Any], resampled: Mapping[str, Mapping[str, Resampled]]) -> Artifact:
    """Store a folder of this kind.

    Args:
        kind: of the artifact.
        facts: JSON, with the number of `divisions`.
        resampled: by method, which all have the same metrics, by metric.
    """
    metrics = list(next(iter(resampled.values())))
    text = json.dumps({**facts, "methods": list(resampled), "metrics": metrics}, indent=1)

    def build(folder: Path) -> None:
        (folder / "facts.json").write_text(text, encoding="utf-8")
        for field in _ARRAYS:
            arrays = [[getattr(one, field) for one in own.values()] for own in resampled.values()]
            np.save(folder / f"{field}.npy", np.array(arrays, np.float64))

    return write_folder(kind, build, home=Home.from_env())


def read_scores(artifact: Artifact) -> tuple[dict[str, Any], dict[str, dict[str, Resampled]]]:
    """(facts, resampled) as they were given to `write_scores`."""
    folder = local_folder(artifact)
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    value, drawn = (np.load(folder / f"{field}.npy") for field in _ARRAYS)
    methods, metrics = facts.pop("methods"), facts.pop("metrics")
    resampled = {
        method: {m: Resampled(value[i, j], drawn[i, j], facts["divisions"]) for j, m in enumerate(metrics)}
        for i, method in enumerate(methods)
    }
    return facts, resampled
