"""What a server needs: a pool, limits, automations, and the deployments. Safe to repeat.

routecal deploy                                     runs are processes on this machine, as under `routecal serve`
routecal deploy --pool docker --image routecal:1    runs are containers
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.utilities.templating import apply_values
from prefect.variables import Variable

from routecal.calib.settings import RENAMED
from routecal.deployments.automations import automations, recalibration_on_alarm, renew
from routecal.deployments.environment import complaint, environment
from routecal.deployments.pools import Pool, make_pool, pool_of
from routecal.flows.errors import ServerUnreachable
from routecal.flows.prefect_server import check_given
from routecal.tasks.oracle.concurrency_quota import quota_size

FILE = Path(__file__).with_name("prefect.yaml")
# Deploying replaces a deployment's parameters and schedules, also schedules that somebody added. So this Prefect
# variable keeps what the file said last time: whatever differs from that, a person has set.
VARIABLE = "routecal_declared"
# What people set in the UI, and how a deployment on the server says it in the file's words.
SETTINGS: dict[str, Callable[[DeploymentResponse], Any]] = {
    "parameters": lambda found: renewed(found.parameters),
    "schedules": lambda found: [_declared(schedule) for schedule in found.schedules],
}

HELP = """Create or update the work pool, limits, automations and deployments on the Prefect server at PREFECT_API_URL.

Safe to repeat: parameters and schedules that were changed in the UI stay."""


def set_up(pool: Pool) -> None:
    """Make or renew everything. Parameters and schedules that somebody set in the UI stay."""
    with get_client(sync_client=True) as client:
        make_pool(client, pool)
        quota_size("gemini")
        for automation in automations():
            renew(client, automation)
        deploy(client, pool)
        (nightly,) = (found.id for found in client.read_deployments() if found.name == "recalibrate-nightly")
        renew(client, recalibration_on_alarm(nightly))


def deploy(client: SyncPrefectClient, pool: Pool) -> None:
    """Every deployment of the file, to the pool."""
    os.environ.update(environment() | {"ROUTECAL_POOL": pool.name, "ROUTECAL_ROOT": pool.root})
    file = apply_values(yaml.safe_load(FILE.read_text()), {})
    declared = file["deployments"]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as merged:
        yaml.safe_dump(file | {"deployments": with_ui_edits(client, declared)}, merged)
        merged.flush()
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--prefect-file", merged.name, "--all"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"routecal: deploying failed\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    remember(declared)


def main(argv: Sequence[str]) -> int:
    """`routecal deploy`: set up the server at PREFECT_API_URL; the exit code."""
    parser = argparse.ArgumentParser(prog="routecal deploy", description=HELP)
    parser.add_argument("--pool", choices=("process", "docker", "kubernetes"), default="process")
    parser.add_argument("--image", default="routecal:latest", help="with the project in /app (default: %(default)s)")
    parser.add_argument("--data", default="/data", help="folder of the host that containers see as /data")
    parser.add_argument("--namespace", default="default", help="of Kubernetes")
    chosen = parser.parse_args(argv)
    if not os.environ.get("PREFECT_API_URL"):
        parser.error("set PREFECT_API_URL, as http://127.0.0.1:4200/api; `routecal serve` prints it")
    try:
        check_given()
    except ServerUnreachable as error:
        parser.error(str(error))
    if wrong := complaint(environment()):
        parser.error(wrong)
    set_up(
        pool_of(
            chosen.pool,
            root=os.environ.get("ROUTECAL_ROOT") or os.getcwd(),
            image=chosen.image,
            data=chosen.data,
            namespace=chosen.namespace,
        )
    )
    return 0


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


def renewed(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as they were stored, under the names of now: a server refuses a field that its form does not have.

    >>> renewed({"params": {"inbox": "/data", "margin": 0.02}})
    {'params': {'inbox': '/data', 'at_most': 0.02}}
    """
    own = parameters.get("params")
    if not isinstance(own, Mapping):
        return dict(parameters)
    return {**parameters, "params": {RENAMED.get(name, name): value for name, value in own.items()}}


def _declared(found: DeploymentSchedule) -> dict[str, Any]:
    """A schedule of the server as prefect.yaml writes it."""
    when = found.schedule.model_dump(mode="json", exclude_defaults=True)
    row = when | {"slug": found.slug, "active": found.active, "parameters": renewed(found.parameters)}
    return {name: value for name, value in row.items() if value not in (None, {})}


def _digests(settings: Mapping[str, Any]) -> dict[str, str]:
    """A digest of each setting: a variable holds 5,000 characters."""
    return {
        name: sha256(json.dumps(settings.get(name, []), sort_keys=True).encode()).hexdigest()[:16] for name in SETTINGS
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
