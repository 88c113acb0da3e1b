"""The flow `label` on an API, under a real Prefect server: what it records, publishes, shares and schedules."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import Artifact as Published
from prefect.client.schemas.sorting import ArtifactSort
from prefect.flow_engine import run_flow

from routecal.flows import cli
from routecal.flows.label import label
from routecal.storage.artifact import read_table
from routecal.tasks import runs
from routecal.tasks.oracle import labelling_run
from routecal.tasks.oracle.engine.stop_reasons import LabellingStopped
from tests.flows.lakes import lakes_file, params_for
from tests.flows.refusal import Capture
from tests.gemini_server import scripts
from tests.gemini_server.refusals import DAY, quota
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import GeminiServer, serving
from tests.tasks.oracle.labelling import JUDGE, KEY, LARGE, MEDIUM, Bill, by_number, paid_once

pytestmark = pytest.mark.usefixtures("_own_results")

N = 24


@pytest.fixture
def bill() -> Bill:
    return Bill(by_number())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, bill: Bill) -> Iterator[GeminiServer]:
    """Its days have no half minute before the probe."""

    def sooner(*ids: str, retry_s: float, value: int) -> Any:
        return quota(*ids, retry_s=0.05 if DAY in ids else retry_s, value=value)

    monkeypatch.setattr(scripts, "quota", sooner)
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    with serving(respond=bill) as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return lakes_file(tmp_path, N)


def published(key: str) -> Published | None:
    """The newest artifact under a key. Prefect's own `Artifact.get` leaves a connection open."""
    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC, limit=1)
    return found[0] if found else None


def table(key: str) -> list[dict[str, Any]]:
    """The newest table under a key."""
    found = published(key)
    assert found is not None
    return list(json.loads(str(found.data)))


# ---- a run that meets no trouble


def test_the_labels_are_recorded_and_published(server: GeminiServer, bill: Bill, file: Path) -> None:
    labels = label(params_for(file, server, shard_size=10))
    assert labels.rows == N
    assert runs.newest_artifact("labels") == labels
    paid_once(server, bill.calls)

    # Numbers in the queries: even ones the medium model knows, every third the large one.
    assert table("label-grades") == [
        {"medium": "CORRECT", "CORRECT": 4, "INCORRECT": 8, "NOT_ATTEMPTED": 0},
        {"medium": "INCORRECT", "CORRECT": 4, "INCORRECT": 8, "NOT_ATTEMPTED": 0},
        {"medium": "NOT_ATTEMPTED", "CORRECT": 0, "INCORRECT": 0, "NOT_ATTEMPTED": 0},
    ]
    summary = {row["what"]: row for row in table("label-summary")}
    assert summary["calls answered in this run"]["n"] == bill.calls
    assert summary["calls answered in this run"]["usd"] == pytest.approx(bill.usd, abs=1e-5)
    of_labels = sum(summary[f"cost of {stage}"]["usd"] for stage in ("medium", "large", "judge"))
    assert of_labels == pytest.approx(bill.usd, abs=1e-5)
    progress = published("label-progress")
    assert progress is not None
    assert float(str(progress.data)) == 100.0
    assert f"{N} of {N}: " in (progress.description or "")

    # Shards that are done are found by Prefect, and what they asked by the ledger.
    assert label(params_for(file, server, shard_size=10)).sha256 == labels.sha256
    assert label(params_for(file, server, shard_size=7)).rows == N
    assert server.requests() == bill.calls


def test_trouble_is_in_the_summary(server: GeminiServer, file: Path) -> None:
    server.script({MEDIUM: Script(steps=("503", "safety", "400-argument")), JUDGE: Script()})
    labels = label(params_for(file, server, concurrency=1))
    assert labels.rows == N - 1
    summary = {row["what"]: row["n"] for row in table("label-summary")}
    assert summary["retries: transient"] == summary["retries: row"] == 1
    assert summary["answers: blocked:SAFETY"] == 1
    assert summary["no label: refused"] == 1


# ---- a run that ends before its queries do


def test_a_day_quota_ends_in_code_75_and_the_rest_of_the_pipeline_can_run(
    server: GeminiServer, file: Path, capsys: Capture
) -> None:
    server.script({LARGE: Script(rpd=11, latency_s=0.01)})
    argv = ["label", "--queries", str(file), "--oracle", "gemini", "--base-url", server.url, "--concurrency", "4"]
    argv += ["--medium-model", MEDIUM, "--large-model", LARGE, "--judge-model", JUDGE, "--shard-size", "6"]
    assert cli.main(argv) == 75
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"routecal: the project's quota of {LARGE} for today is used up")
    assert "resume after " in said
    partial = runs.newest_artifact("labels")
    assert f"({partial.rows} of {N} queries are labelled and can be used as they are)" in said
    assert 0 < partial.rows <= 11
    assert read_table(partial)["large_grade"].null_count == 0

    before = server.requests()
    assert cli.main(["stats"]) == 0
    assert cli.main([*argv, "--finished-only"]) == 0
    assert runs.newest_artifact("labels").rows == partial.rows
    assert server.requests() == before

    server.script({LARGE: Script()})
    assert cli.main(argv) == 0
    assert runs.newest_artifact("labels").rows == N
    assert server.stats()["billed_twice"] == 0


def test_a_drift_leaves_what_is_sound(server: GeminiServer, file: Path, capsys: Capture) -> None:
    server.script({MEDIUM: Script(steps=("ok",) * 12, then="wrong-version", latency_s=0.02)})
    with pytest.raises(LabellingStopped, match=r"gemini-2\.0-flash-lite answered") as stopped:
        label(params_for(file, server, concurrency=3))
    assert stopped.value.cause == "ModelDrift"
    assert 0 < stopped.value.labelled == runs.newest_artifact("labels").rows <= 12
    before = server.requests()
    label(params_for(file, server, allow_versions=["gemini-2.0-flash-lite"]))
    assert server.stats()["billed_twice"] == 0
    assert server.requests() > before


def test_a_refused_key_is_one_request_and_one_sentence(
    server: GeminiServer, file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.keys = frozenset({"another"})
    argv = ["label", "--queries", str(file), "--oracle", "gemini", "--base-url", server.url]
    assert cli.main(argv) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"routecal: {MEDIUM} refuses: API key not valid. Please pass a valid API key; "
        "put a valid key into GEMINI_API_KEY"
    )
    assert server.requests() == 1
    # Nothing was labelled, so there is nothing for later commands to find.
    with pytest.raises(Exception, match="routecal label"):
        runs.newest_artifact("labels")


def test_waiting_for_the_reset_goes_on_in_the_same_run(
    server: GeminiServer, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slept: list[float] = []

    class Clock:
        """A night that is over at once."""

        @staticmethod
        def sleep(seconds: float) -> None:
            slept.append(seconds)
            server.script({LARGE: Script()})

    monkeypatch.setattr(labelling_run, "time", Clock)
    server.script({LARGE: Script(rpd=5)})
    with caplog.at_level(logging.WARNING):
        assert label(params_for(file, server, on_day_quota="wait")).rows == N
    assert "waiting until then" in caplog.text
    assert len(slept) == 1
    assert 0 < slept[0] <= 25 * 3600
    assert server.stats()["billed_twice"] == 0


def test_a_day_quota_schedules_a_run_of_the_deployment_once(server: GeminiServer, file: Path) -> None:
    server.script({LARGE: Script(rpd=5)})
    params = params_for(file, server, on_day_quota="schedule")
    given = {"params": params.model_dump(mode="json")}
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(label)
        deployment = client.create_deployment(flow_id, "night", parameters=given)
        flow_run = client.create_flow_run_from_deployment(deployment, parameters=given)
        with pytest.raises(LabellingStopped) as stopped:
            run_flow(label, flow_run=flow_run, parameters={"params": params})
        assert stopped.value.resume_at is not None
        resume_at = datetime.fromisoformat(stopped.value.resume_at)
        mine = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment]))
        [scheduled] = [r for r in client.read_flow_runs(flow_run_filter=mine) if r.id != flow_run.id]
    assert scheduled.state is not None
    assert scheduled.state.is_scheduled()
    assert scheduled.state.state_details.scheduled_time == resume_at.astimezone(UTC)
    assert scheduled.parameters == given


def test_without_a_deployment_it_is_said_that_nothing_is_scheduled(
    server: GeminiServer, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.script({LARGE: Script(rpd=5)})
    with caplog.at_level(logging.WARNING), pytest.raises(LabellingStopped):
        label(params_for(file, server, on_day_quota="schedule"))
    assert "this run has no deployment that could be scheduled" in caplog.text
