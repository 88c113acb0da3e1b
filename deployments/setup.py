"""What a server needs: a pool, limits, automations, and the deployments. Safe to repeat.

python -m routecal.deployments.setup                                     processes on this machine, as `make serve` does
python -m routecal.deployments.setup --pool docker --image routecal:1    containers
"""

import argparse
import os
import subprocess
import sys
import tempfile

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.utilities.templating import apply_values

from routecal.deployments.automations import automations, renew
from routecal.deployments.environment import ROOT, complaint, environment
from routecal.deployments.pools import Pool, make_pool, pool_of
from routecal.deployments.preserve_ui_edits import kept, remember
from routecal.flows.errors import ServerUnreachable
from routecal.flows.prefect_server import check_given
from routecal.tasks.oracle.concurrency_quota import quota_size

FILE = ROOT / "deployments/prefect.yaml"


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
        yaml.safe_dump(file | {"deployments": kept(client, declared)}, merged)
        merged.flush()
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--prefect-file", merged.name, "--all"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"routecal: deploying failed\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    remember(declared)


def main() -> None:
    """Set up the server at PREFECT_API_URL."""
    parser = argparse.ArgumentParser(prog="python -m routecal.deployments.setup", description=main.__doc__)
    parser.add_argument("--pool", choices=("process", "docker", "kubernetes"), default="process")
    parser.add_argument("--image", default="routecal:latest", help="with the project in /app (default: %(default)s)")
    parser.add_argument("--data", default="/data", help="folder of the host that containers see as /data")
    parser.add_argument("--namespace", default="default", help="of Kubernetes")
    chosen = parser.parse_args()
    if not os.environ.get("PREFECT_API_URL"):
        parser.error("set PREFECT_API_URL, as http://127.0.0.1:4200/api; `make serve` prints it")
    try:
        check_given()
    except ServerUnreachable as error:
        parser.error(str(error))
    if wrong := complaint(environment()):
        parser.error(wrong)
    set_up(pool_of(chosen.pool, root=str(ROOT), image=chosen.image, data=chosen.data, namespace=chosen.namespace))


if __name__ == "__main__":
    main()
