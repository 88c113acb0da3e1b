"""What a server needs: a pool, limits, automations, and the deployments. Safe to repeat.

routecal deploy                                     runs are processes on this machine, as under `routecal serve`
routecal deploy --pool docker --image routecal:1    runs are containers
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.utilities.templating import apply_values

from routecal.deployments.automations import automations, renew
from routecal.deployments.environment import complaint, environment
from routecal.deployments.pools import Pool, make_pool, pool_of
from routecal.deployments.preserve_ui_edits import remember, with_ui_edits
from routecal.flows.errors import ServerUnreachable
from routecal.flows.prefect_server import check_given
from routecal.tasks.oracle.concurrency_quota import quota_size

FILE = Path(__file__).with_name("prefect.yaml")


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
