"""One small set, its features by the tiny model, and a router: read once, no Prefect server."""

from pathlib import Path
from typing import NamedTuple

import pytest

from routecal.calib.settings import Reading
from routecal.storage.artifact import Artifact
from routecal.storage.folder_artifact import folder_at
from routecal.tasks.benchmark.features import extract_sets, headless
from routecal.tasks.benchmark.fit_cells import fit_router
from routecal.tasks.benchmark.outcome_sets import OutcomeSet, import_sets
from routecal.tasks.extract import extract_shard
from tests.tasks.benchmark.made import questions, write_outcomes


class Small(NamedTuple):
    """Two sets that share no question, the smaller first."""

    sets: list[OutcomeSet]
    features: Artifact
    router: Artifact


@pytest.fixture(scope="session")
def small(causal_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """The artifacts are immutable, so tests may share them."""
    folder = tmp_path_factory.mktemp("outcomes")
    write_outcomes(folder / "first.jsonl", questions(360, about="home"), seed=1)
    write_outcomes(folder / "second.jsonl", questions(380, about="work"), seed=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTECAL_HOME", str(tmp_path_factory.mktemp("small")))
        patch.setattr("routecal.tasks.extract.extract_shard", extract_shard.fn)
        sets = import_sets(str(folder))
        backbone = headless.fn(folder_at(str(causal_checkpoint), "models"))
        reading = Reading(layers=(1, -1), poolings=("last", "mean"))
        features = extract_sets(sets, backbone, reading, 200)
        router = fit_router.fn(sets[0].name, "regularised", 0, sets[0].rows, features)
    return Small(sets, features, router)
