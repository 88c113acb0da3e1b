"""What a server is given: pools, limits, automations and deployments, the same however often."""

import asyncio
import importlib
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.server.schemas.schedules import CronSchedule
from prefect.settings import get_current_settings

from routecal.deployments.automations import automations
from routecal.deployments.environment import BATCHES, environment
from routecal.deployments.pools import make_pool, pool_of, template
from routecal.deployments.setup import FILE, set_up
from tests.test_layering import ROOT

DECLARED = yaml.safe_load(FILE.read_text())["deployments"]
NAMES = {
    *("label", "extract", "train", "evaluate", "calibrate", "recalibrate-nightly", "ablate", "demo"),
    *("promote", "decline", "rollback", "demo-night", "threshold"),
}


def pool(kind: Any = "process") -> Any:
    return pool_of(kind, root=str(ROOT), image="routecal:7", data="/srv", namespace="night")


@pytest.fixture
def served(prefect_server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children reach the session's server too."""
    url = get_current_settings().api.url
    assert url is not None
    monkeypatch.setenv("PREFECT_API_URL", url)
    monkeypatch.setenv("ROUTECAL_TIMEZONE", "Europe/Berlin")


# Their forms are filled in by whoever has queries and a router.
TO_FILL_IN = {"calibrate": {"queries", "router_path"}, "recalibrate-nightly": {"inbox", "router_path"}}


def test_every_flow_is_declared_with_parameters_that_its_form_accepts() -> None:
    assert {d["name"] for d in DECLARED} == NAMES
    for declared in DECLARED:
        module, _, name = declared["entrypoint"].rpartition(".")
        flow = getattr(importlib.import_module(module), name)
        model = flow.fn.__annotations__["params"]
        missing = TO_FILL_IN.get(declared["name"], set())
        assert {f for f, info in model.model_fields.items() if info.is_required()} >= missing
        model.model_validate(declared["parameters"]["params"] | dict.fromkeys(missing, "mine"))
        assert declared["description"]
        assert declared["tags"]


def test_tags_tell_daily_work_from_what_changes_the_serving_head() -> None:
    """The list of deployments shows nothing else of them than names and tags."""
    tags = {declared["name"]: declared["tags"] for declared in DECLARED}
    assert [name for name, own in tags.items() if "rare" in own] == ["promote", "decline", "rollback"]
    assert [name for name, own in tags.items() if own == ["try it"]] == ["demo", "demo-night"]
    assert not [name for name, own in tags.items() if name in own]


def test_every_field_of_every_form_says_what_it_is() -> None:
    for declared in DECLARED:
        module, _, name = declared["entrypoint"].rpartition(".")
        flow = getattr(importlib.import_module(module), name)
        fields = flow.fn.__annotations__["params"].model_fields
        assert not [field for field, info in fields.items() if not info.description], declared["name"]


@pytest.mark.parametrize("name", ["calibrate", "label", "extract", "recalibrate-nightly", "ablate"])
def test_forms_begin_with_what_must_be_given(name: str) -> None:
    (declared,) = (d for d in DECLARED if d["name"] == name)
    module, _, flow = declared["entrypoint"].rpartition(".")
    model = getattr(importlib.import_module(module), flow).fn.__annotations__["params"]
    properties = model.model_json_schema()["properties"]
    fields = sorted(properties, key=lambda field: properties[field]["position"])  # the order that the form has
    assert model.model_fields[fields[0]].is_required()
    assert fields.index("router_path" if "router_path" in fields else fields[0]) <= 10


@pytest.mark.served
def test_setting_up_twice_makes_everything_once(served: None) -> None:
    set_up(pool())
    with get_client(sync_client=True) as client:
        known = {a.name: a.id for a in client.read_automations()}
        client.pause_automation(known[automations()[0].name])
        set_up(pool())
        # The same, not others like them: what they heard of runs stays theirs, and what somebody switched off is off.
        assert {a.name: (a.id, a.enabled) for a in client.read_automations()} == {
            name: (id_, name != automations()[0].name) for name, id_ in known.items()
        }
        found = {d.name: d for d in client.read_deployments()}
        assert set(found) >= NAMES
        assert len(client.read_deployments()) == len(found)
        assert client.read_work_pool("local").type == "process"
        assert {automation.name for automation in automations()} <= set(known)
    night = found["recalibrate-nightly"]
    (schedule,) = night.schedules
    assert not schedule.active
    assert schedule.schedule.timezone == "Europe/Berlin"
    # Prefect would kill a night that waits for having lost its slot: one night at a time is the flow's own rule.
    assert night.global_concurrency_limit is None
    assert night.pull_steps == [{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}]
    assert night.work_pool_name == "local"


@pytest.mark.served
def test_what_people_set_in_the_ui_stays_and_all_else_follows_the_file(
    served: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(pool())
    with get_client(sync_client=True) as client:
        found = {d.name: d for d in client.read_deployments()}
        mine = {"params": {"inbox": "/data/inbox", "max_usd": 2}}
        client.update_deployment(found["recalibrate-nightly"].id, DeploymentUpdate(parameters=mine))
        every = IntervalSchedule(interval=timedelta(hours=6), timezone="Asia/Tokyo")
        client.create_deployment_schedules(found["evaluate"].id, [(every, True)])
        monkeypatch.setenv("ROUTECAL_TIMEZONE", "Asia/Kolkata")
        set_up(pool())
        found = {d.name: d for d in client.read_deployments()}
        night = found["recalibrate-nightly"]
        assert night.parameters == mine
        (schedule,) = night.schedules
        assert (schedule.active, schedule.schedule.timezone) == (False, "Asia/Kolkata")
        (added,) = found["evaluate"].schedules
        assert (added.schedule.interval, added.schedule.timezone, added.active) == (every.interval, "Asia/Tokyo", True)

        client.update_deployment_schedule(night.id, schedule.id, active=True)
        monkeypatch.setenv("ROUTECAL_TIMEZONE", "Europe/Berlin")
        set_up(pool())
        night = next(d for d in client.read_deployments() if d.name == "recalibrate-nightly")
        (schedule,) = night.schedules
        assert (schedule.active, schedule.schedule.timezone, schedule.slug) == (True, "Asia/Kolkata", "nightly")
        assert night.parameters == mine


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "UTC"])
@pytest.mark.parametrize("before", [datetime(2026, 3, 6), datetime(2026, 3, 27), datetime(2026, 10, 23)])
def test_every_night_has_its_run_where_clocks_are_changed_too(zone: str, before: datetime) -> None:
    """Where 2:00 does not exist the night begins at 3:00; where it comes twice, one run is enough."""
    (declared,) = next(d for d in DECLARED if d["name"] == "recalibrate-nightly")["schedules"]
    schedule = CronSchedule(cron=declared["cron"], timezone=zone)
    dates = asyncio.run(schedule.get_dates(10, start=before.replace(tzinfo=ZoneInfo(zone))))
    nights = [date.astimezone(ZoneInfo(zone)).date() for date in dates]
    assert [b - a for a, b in pairwise(nights)] == [timedelta(days=1)] * 9


@pytest.mark.served
@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_pools_of_containers_start_the_image_with_the_shared_folder(kind: Any, served: None) -> None:
    defaults = {name: p.get("default") for name, p in template(pool(kind))["variables"]["properties"].items()}
    assert defaults["image"] == "routecal:7"
    assert defaults["env"]["ROUTECAL_HOME"] == "/data/artifacts"
    assert defaults.get("volumes", ["/srv:/data"]) == ["/srv:/data"]
    set_up(pool(kind))
    with get_client(sync_client=True) as client:
        make_pool(client, pool(kind))
        assert client.read_work_pool(kind).type == kind
        deployed = next(d for d in client.read_deployments() if d.name == "calibrate")
    assert deployed.work_pool_name == kind
    assert deployed.pull_steps == [{"prefect.deployments.steps.set_working_directory": {"directory": "/app"}}]


def test_the_surroundings_are_those_of_the_command_line(tmp_path: Path) -> None:
    env = environment({"ROUTECAL_TIMEZONE": "Asia/Kolkata", "PREFECT_SERVER_API_AUTH_STRING": "a:b"})
    assert env["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"
    assert env["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert env["PREFECT_API_AUTH_STRING"] == "a:b"
    assert env["ROUTECAL_TIMEZONE"] == "Asia/Kolkata"
    assert env.items() >= BATCHES.items()
    assert environment({"PREFECT_SERVER_API_PORT": "4321"})["PREFECT_API_URL"] == "http://127.0.0.1:4321/api"
    assert environment({"PREFECT_SERVER_API_HOST": "0.0.0.0"})["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"
