"""What a server needs: a pool, limits, automations, and the deployments. Safe to repeat.

python -m deployments.setup                                     processes on this machine, as `make serve` does
python -m deployments.setup --pool docker --image routecal:1    containers
"""

import argparse
import os
import subprocess
import sys

from prefect.client.orchestration import get_client

from deployments.automations import automations, renew
from deployments.pools import Pool, make_pool, pool_of
from deployments.surroundings import ROOT, environment
from tasks.oracle.quota import quota_size

FILE = "deployments/prefect.yaml"


def set_up(pool: Pool) -> None:
    """Make or renew everything. Schedules and parameters of deployments become those of the file again."""
    with get_client(sync_client=True) as client:
        make_pool(client, pool)
        quota_size("gemini")
        for automation in automations():
            renew(client, automation)
    deploy(pool)


def deploy(pool: Pool) -> None:
    """Every deployment of the file, to the pool."""
    env = environment() | {"ROUTECAL_POOL": pool.name, "ROUTECAL_ROOT": pool.root}
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--prefect-file", FILE, "--all"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"routecal: deploying failed\n{done.stdout[-4000:]}{done.stderr[-4000:]}")


def main() -> None:
    """Set up the server at PREFECT_API_URL."""
    parser = argparse.ArgumentParser(prog="python -m deployments.setup", description=main.__doc__)
    parser.add_argument("--pool", choices=("process", "docker", "kubernetes"), default="process")
    parser.add_argument("--image", default="routecal:latest", help="with the project in /app (default: %(default)s)")
    parser.add_argument("--data", default="/data", help="folder of the host that containers see as /data")
    parser.add_argument("--namespace", default="default", help="of Kubernetes")
    chosen = parser.parse_args()
    if not os.environ.get("PREFECT_API_URL"):
        parser.error("set PREFECT_API_URL, as http://127.0.0.1:4200/api; `make serve` prints it")
    set_up(pool_of(chosen.pool, root=str(ROOT), image=chosen.image, data=chosen.data, namespace=chosen.namespace))


if __name__ == "__main__":
    main()
