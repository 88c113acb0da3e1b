"""What people set in the UI stays when the file is deployed again; all else follows the file.

Deploying replaces a deployment's parameters and schedules, schedules that somebody added too. So a Prefect variable
keeps what the file said last time: whatever differs from that, a person has set.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.variables import Variable

VARIABLE = "routecal_declared"
# What people set in the UI, and how a deployment on the server says it in the file's words.
SETTINGS: dict[str, Callable[[DeploymentResponse], Any]] = {
    "parameters": lambda found: found.parameters,
    "schedules": lambda found: [_declared(schedule) for schedule in found.schedules],
}


def with_ui_edits(client: SyncPrefectClient, declared: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The declared deployments, with the settings that people made in place of the file's."""
    last: dict[str, dict[str, str]] = Variable.get(VARIABLE, default={})
    found = {deployment.name: deployment for deployment in client.read_deployments()}
    return [_merged(one, found.get(one["name"]), last.get(one["name"], {})) for one in declared]


def remember(declared: Sequence[dict[str, Any]]) -> None:
    """Keep what the file says, for the next time."""
    Variable.set(VARIABLE, {one["name"]: _digests(one) for one in declared}, overwrite=True)


def _merged(declared: dict[str, Any], found: DeploymentResponse | None, last: Mapping[str, str]) -> dict[str, Any]:
    if found is None:
        return declared
    there = {name: setting(found) for name, setting in SETTINGS.items()}
    digests = _digests(there)
    return declared | {name: there[name] for name in SETTINGS if digests[name] != last.get(name)}


def _declared(found: DeploymentSchedule) -> dict[str, Any]:
    """A schedule of the server as prefect.yaml writes it."""
    when = found.schedule.model_dump(mode="json", exclude_defaults=True)
    row = when | {"slug": found.slug, "active": found.active, "parameters": found.parameters}
    return {name: value for name, value in row.items() if value not in (None, {})}


def _digests(settings: Mapping[str, Any]) -> dict[str, str]:
    """A digest of each setting: a variable holds 5,000 characters."""
    return {
        name: sha256(json.dumps(settings.get(name, []), sort_keys=True).encode()).hexdigest()[:16] for name in SETTINGS
    }
