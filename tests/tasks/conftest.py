"""One small set of real artifacts, read off the tiny router once; no Prefect server: these tests call `task.fn`."""

from pathlib import Path

import pytest

from routecal.calib.settings import Reading
from routecal.storage.folder_artifact import folder_at
from routecal.tasks.extract import extract_shard
from routecal.tasks.load_examples import join
from tests.tasks.made import Made, policies_for, store_labels, store_queries, texts


@pytest.fixture(scope="session")
def made(router_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """200 queries with labels, features and examples; the artifacts are immutable, so tests may share them."""
    asked = texts(200)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTECAL_HOME", str(tmp_path_factory.mktemp("made")))
        router, queries = folder_at(str(router_checkpoint), "routers"), store_queries(asked)
        labels = store_labels(asked, policies_for(asked, router_checkpoint))
        features = extract_shard.fn(queries, router, Reading()).features
        return Made(router, queries, labels, features, join.fn(queries, labels, features))
