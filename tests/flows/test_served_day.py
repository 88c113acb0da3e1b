"""A day: a head serves 500 queries, answers are graded, a night learns from the log, and its head serves at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from routecal.deployments.router_service.service_settings import ServiceSettings
from routecal.flows.night_params import RecalibrateParams
from routecal.flows.recalibrate import recalibrate
from routecal.storage.head_registry import champion, history
from routecal.storage.layout import Home
from routecal.tasks.night import manual_decisions
from tests.deployments.router_service.raw_upstream import raw_upstream
from tests.deployments.router_service.running import Running, run_service
from tests.tasks.made import outcome_rows

pytestmark = pytest.mark.usefixtures("plain_report", "states")
N = 500


def serve(running: Running, queries: list[str]) -> list[httpx.Response]:
    """Chat completions, eight at a time."""
    with httpx.Client(base_url=running.url, timeout=120) as client, ThreadPoolExecutor(8) as pool:

        def one(query: str) -> httpx.Response:
            said: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": query}]}
            return client.post("/v1/chat/completions", json=said)

        return list(pool.map(one, queries))


def grade(running: Running, right: dict[tuple[str, str], bool]) -> None:
    """What became of every answer that was served."""
    with httpx.Client(base_url=running.url, timeout=120) as client:
        for row in running.rows("decisions"):
            said = {"decision_id": row["decision_id"], "correct": right[row["query"], row["served"]]}
            assert client.post("/v1/feedback", json=said).json()["duplicate"] is False


def test_serve_grade_learn_swap_and_put_back(
    first_night: RecalibrateParams, night_world: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    home, asked = Home.from_env(), night_world[0]
    right = {
        (row["query"], model): row[f"{model}_label"] == "CORRECT"
        for row in outcome_rows(*night_world)
        for model in ("medium", "large")
    }
    first_night = first_night.model_copy(update={"at_most": 0.1})
    assert recalibrate(first_night).action == "promoted"
    log = tmp_path / "served"
    with raw_upstream() as medium, raw_upstream() as large:
        said = {
            "medium": {"base_url": medium.url, "model": "flash"},
            "large": {"base_url": large.url, "model": "pro"},
            "log": log,
            "explore": 0.2,
        }
        with run_service(ServiceSettings.model_validate(said), medium, large) as running:
            first = running.service.head
            answers = serve(running, asked[400 : 400 + N])
            assert {answer.status_code for answer in answers} == {200}
            assert {answer.headers["x-routecal-head"] for answer in answers} == {first}
            grade(running, right)
            # A head that is as good as it says raises no alarm.
            running.service.watcher.look()
            assert running.service.watcher.watch.of_medium.n > N / 20
            assert running.service.watcher.findings == ()

            night = recalibrate(first_night.model_copy(update={"inbox": str(log), "renew_nights": 1}))
            assert (night.action, night.n_new, night.n_labelled) == ("promoted", N, 400)
            assert night.served[0].startswith(f"{N} decisions are logged")
            assert all("95% interval" in sentence for sentence in night.served[1:])
            assert len(night.served) == 4

            decider = running.service.decider
            assert decider.champion is not None
            decider.champion.look()
            second = running.service.head
            assert second != first
            assert {one.headers["x-routecal-head"] for one in serve(running, asked[900:920])} == {second}
            running.service.watcher.look()
            assert running.service.watcher.watch.of_medium.n == 0

            manual_decisions.roll_back()
            decider.champion.look()
            assert {one.headers["x-routecal-head"] for one in serve(running, asked[920:940])} == {first}
            rows = running.rows("decisions")
    assert [entry.action for entry in history(home)] == ["promoted", "promoted", "rolled back"]
    assert champion(home) == history(home)[0].champion
    assert len(rows) == N + 40
    assert {row["status"] for row in rows} <= {"ok", "unlike"}
    assert {row["propensity"] for row in rows if row["status"] == "ok"} == {0.9, 0.1}
