"""Work pools: processes on this machine, containers of Docker, jobs of Kubernetes."""

import asyncio
import json
from typing import Any, Literal

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectAlreadyExists
from prefect.workers.utilities import get_default_base_job_template_for_infrastructure_type
from pydantic import BaseModel, Field

Kind = Literal["process", "docker", "kubernetes"]
# Where an image holds the project.
IN_IMAGE = "/app"


class Pool(BaseModel, frozen=True):
    """A pool, and what its jobs are started with."""

    kind: Kind
    name: str
    root: str = Field(description="folder of the project where the jobs run")
    variables: dict[str, Any] = Field(default={}, description="defaults of its base job template")


def pool_of(kind: Kind, *, root: str, image: str, data: str, namespace: str) -> Pool:
    """The pool of that kind.

    Args:
        kind: process, docker or kubernetes.
        root: the project's folder on this machine, for processes.
        image: with the project in /app and its packages installed.
        data: folder of the host that holds artifacts, results and inbox; /data in a container. On Kubernetes a volume
            has to be added to the pool's job template, since clusters differ.
        namespace: of Kubernetes.
    """
    if kind == "process":
        return Pool(kind=kind, name="local", root=root)
    env = {
        "ROUTECAL_HOME": "/data/artifacts",
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": "/data/artifacts/results",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "HF_HUB_OFFLINE": "1",
    }
    if kind == "docker":
        reached = {"PREFECT_API_URL": "http://host.docker.internal:4200/api"}
        variables = {"image": image, "volumes": [f"{data}:/data"], "auto_remove": True, "env": env | reached}
    else:
        variables = {"image": image, "namespace": namespace, "env": env, "cpu_limit": "2000m", "memory_limit": "8Gi"}
    return Pool(kind=kind, name=kind, root=IN_IMAGE, variables=variables)


def template(pool: Pool) -> dict[str, Any]:
    """The base job template that Prefect has for this kind of pool, with the pool's defaults in it."""
    found = asyncio.run(get_default_base_job_template_for_infrastructure_type(pool.kind))
    assert found is not None  # Prefect ships those of all kinds
    filled: dict[str, Any] = json.loads(json.dumps(found))
    for name, value in pool.variables.items():
        filled["variables"]["properties"][name]["default"] = value
    return filled


def make_pool(client: SyncPrefectClient, pool: Pool) -> None:
    """Create the pool; one that is there takes the defaults anew, and keeps its limit and whether it is paused."""
    whole = template(pool)
    try:
        client.create_work_pool(WorkPoolCreate(name=pool.name, type=pool.kind, base_job_template=whole))
    except ObjectAlreadyExists:
        if pool.variables:
            client.update_work_pool(pool.name, WorkPoolUpdate(base_job_template=whole))
