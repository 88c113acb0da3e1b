"""The whole job from the Prefect UI, in a browser: start, look, break, retry, schedule, approve."""

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from routecal.storage.head_registry import history
from routecal.storage.layout import Home
from tests.served.conftest import Served

SMALL = {"epochs": 2, "hidden_units": 8, "medium_price": 1, "large_price": 20}


def submit(served: Served, page: Any, deployment: str) -> str:
    """Open the form, press Submit; the run's id."""
    page.goto(f"{served.ui}/deployments/deployment/{deployment}/run")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url(lambda url: not url.endswith("/run"))
    return served.newest(deployment)


def test_calibrate_by_pressing_submit_and_see_the_diagram(served: Served, page: Any, world: dict[str, str]) -> None:
    deployment = served.offer("calibrate", **world, **SMALL)
    run = submit(served, page, deployment)
    state = served.until(run, "COMPLETED", "FAILED", "CRASHED")
    assert state["type"] == "COMPLETED", state["message"]
    assert served.ask("GET", f"/flow_runs/{run}")["name"] == f"calibrate {world['queries']} by replay"

    page.goto(f"{served.ui}/artifacts/artifact/{served.artifact('evaluation-calibrate-%')}")
    pictures = page.locator('img[src^="data:image/png;base64,"]')
    pictures.first.wait_for()
    assert pictures.count() == 2
    assert pictures.first.evaluate("picture => picture.naturalWidth") > 300
    assert page.get_by_text("SFT + RL + recalibration").first.is_visible()
    assert pictures.first.get_attribute("alt").startswith("Quality against cost")

    # The link opens the report, whose heading is the message of the run's state; it fits a phone.
    path = page.get_by_role("link", name="Open the full report").get_attribute("href")
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(served.ui + path)
    assert page.locator("h1").inner_text() == state["message"]
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator("img").first.evaluate("picture => picture.naturalWidth") > 300


def test_what_is_missing_is_said_in_the_state_and_what_to_do(served: Served, world: dict[str, str]) -> None:
    missing = {
        "there is no file /no/such/file.jsonl; check the spelling": {"queries": "/no/such/file.jsonl"},
        "set GEMINI_API_KEY": {"oracle": "gemini", "outcomes": None},
        "/no/such/router": {"router_path": "/no/such/router"},
        "no-such-model": {"oracle": "local", "outcomes": None, "local_model": "no-such-model"},
    }
    runs = {}
    for said, other in missing.items():
        runs[said] = served.start(served.offer("calibrate", **{**world, **other}, **SMALL))
    for said, run in runs.items():
        state = served.until(run, "FAILED", "COMPLETED", "CRASHED")
        assert state["type"] == "FAILED"
        assert said in state["message"]
        # In the log it is one sentence, and no traceback.
        (error,) = served.errors(run)
        assert said in error
        assert "Traceback" not in error
        begun = served.ask("POST", "/task_runs/filter", flow_runs={"id": {"any_": [run]}})
        assert not [task for task in begun if task["name"].startswith(("label", "extract"))]


@pytest.mark.parametrize(("field", "wrong"), [("night_queries", 0), ("oracle", "horacle"), ("target_ece", "low")])
def test_wrong_values_are_refused_before_anything_runs(served: Served, field: str, wrong: object) -> None:
    deployment = served.deployment("recalibrate-nightly")
    params = {"inbox": "inbox", "router_path": "router", field: wrong}
    with pytest.raises(httpx.HTTPStatusError) as refused:
        served.ask("POST", f"/deployments/{deployment}/create_flow_run", parameters={"params": params})
    assert refused.value.response.status_code == 409
    assert field in refused.value.response.text


def test_break_press_retry_and_go_on(served: Served, page: Any, world: dict[str, str]) -> None:
    heads = served.folder / "artifacts" / "heads"
    if heads.exists():
        heads.rename(heads.with_name("heads-aside"))
    heads.write_text("a file where a folder belongs")
    deployment = served.offer("calibrate", **world, **SMALL, seed=7)
    run = served.start(deployment)
    state = served.until(run, "FAILED", "COMPLETED", "CRASHED")
    assert state["type"] == "FAILED", state
    heads.unlink()
    if (aside := heads.with_name("heads-aside")).exists():
        aside.rename(heads)

    page.goto(f"{served.ui}/runs/flow-run/{run}")
    page.get_by_role("button", name="Retry").first.click()
    page.get_by_role("button", name="Retry").last.click()
    for _ in range(120):
        if served.state(run)["type"] not in ("FAILED",):
            break
        time.sleep(0.5)
    assert served.until(run, "COMPLETED", "FAILED", "CRASHED")["type"] == "COMPLETED"
    states = served.tasks(run)
    assert ("label", "Cached") in states
    assert ("extract", "Cached") in states


def test_the_night_s_schedule_is_switched_on_in_the_ui(served: Served, page: Any) -> None:
    deployment = served.deployment("recalibrate-nightly")
    page.goto(f"{served.ui}/deployments/deployment/{deployment}")
    page.get_by_role("switch").click()
    for _ in range(60):
        (schedule,) = served.ask("GET", f"/deployments/{deployment}")["schedules"]
        if schedule["active"]:
            break
        time.sleep(0.5)
    assert schedule["active"]
    assert schedule["schedule"]["cron"] == "0 2 * * *"
    served.ask("PATCH", f"/deployments/{deployment}/schedules/{schedule['id']}", active=False)


def test_a_promotion_waits_until_somebody_resumes_the_run(served: Served, page: Any, world: dict[str, str]) -> None:
    inbox = served.folder / "inbox"
    inbox.mkdir()
    (inbox / "q.jsonl").write_bytes(Path(world["queries"]).read_bytes())
    known = {name: world[name] for name in ("outcomes", "router_path")}
    night = {"inbox": str(inbox), "require_approval": True, "target_ece": 0.5, "epochs": 8, "hidden_units": 8}
    deployment = served.offer("recalibrate-nightly", **known, **night, medium_price=1, large_price=20)
    run = served.start(deployment)
    state = served.until(run, "PAUSED", "COMPLETED", "FAILED", "CRASHED")
    assert state["type"] == "PAUSED", state
    home = Home(root=str(served.folder / "artifacts"))
    assert [entry.action for entry in history(home)] == ["waiting"]

    page.goto(f"{served.ui}/runs/flow-run/{run}")
    page.get_by_role("button", name="Resume").first.click()
    page.get_by_text("A new head waits for approval").wait_for()
    page.get_by_role("button", name="Submit").or_(page.get_by_role("button", name="Resume")).last.click()
    assert served.until(run, "COMPLETED", "FAILED", "CRASHED")["type"] == "COMPLETED"
    _, entry = history(home)
    assert entry.action == "promoted"
    assert entry.reasons[0].startswith("approved in the UI")
    page.goto(f"{served.ui}/artifacts/artifact/{served.artifact('night-%')}")
    page.locator('img[src^="data:image/png;base64,"]').first.wait_for()
