"""Long work of a flow run is followed in the UI; short work leaves nothing there."""

import logging

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import Artifact

from routecal.tasks import progress
from routecal.tasks.progress import track

pytestmark = pytest.mark.usefixtures("_own_results")


@flow
def work(what: str) -> list[int]:
    return list(track(range(4), what))


def published(key: str) -> list[Artifact]:
    with get_client(sync_client=True) as client:
        return client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))


def test_long_work_has_one_progress_artifact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN", 0.0)
    # A name that no flow has: the tests of a session share one server.
    assert work("long work of a test") == [0, 1, 2, 3]
    (found,) = published("long-work-of-a-test-progress")
    assert (found.type, float(str(found.data)), found.description) == ("progress", 100.0, "4 of 4")
    assert found.flow_run_id is not None


def test_short_work_has_none() -> None:
    work("short work of a test")
    assert published("short-work-of-a-test-progress") == []


def test_work_outside_a_run_is_only_work() -> None:
    assert list(track(range(4), "outside of a test")) == [0, 1, 2, 3]
    assert published("outside-of-a-test-progress") == []


def test_a_server_that_is_away_stops_no_work(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def gone(*_arguments: object, **_more: object) -> None:
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(progress, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(progress, "create_progress_artifact", gone)
    with caplog.at_level(logging.WARNING, "routecal.tasks.progress"):
        assert work("away") == [0, 1, 2, 3]
    assert "nobody answers" in caplog.text
