"""Two workers of Ray or of Dask on this machine, for tests that `make engines` runs."""

from pathlib import Path

import pytest

from routecal.flows.params import ExtractParams
from tests.tasks.made import texts, write_jsonl


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that lies here starts workers."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.served)


@pytest.fixture(params=["ray", "dask"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    return str(request.param)


@pytest.fixture
def alone(router_checkpoint: Path, tmp_path: Path) -> ExtractParams:
    """An extraction in four shards, in this process."""
    queries = write_jsonl(tmp_path / "q.jsonl", [{"query": text} for text in texts(80)])
    return ExtractParams(queries=queries, router_path=str(router_checkpoint), shard_size=20)


@pytest.fixture
def spread(alone: ExtractParams, engine: str) -> ExtractParams:
    """The same on two workers."""
    return alone.model_copy(update={"on": engine, "workers": 2})
