"""routecal on Modal: steps of runs as its functions (`--on modal`), and the night as a job that it starts by itself.

    routecal extract … --on modal                       shards on GPUs, the flow on this machine
    modal deploy -m routecal.deployments.modal_app      the night at 02:00, on no machine of yours

A function does what the step of that name does, by the step's own code. docs/modal.md says what to set up and what it
costs.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import modal
from prefect import Task

import routecal
from routecal.deployments.modal_errors import NightFailed
from routecal.deployments.modal_image import image
from routecal.root_error import RoutecalError
from routecal.storage.layout import Home
from routecal.tasks.benchmark.decision_cells import fit_decisions
from routecal.tasks.benchmark.fit_cells import choose_block, fit_router
from routecal.tasks.benchmark.fit_cells import fit_cell as fit_methods
from routecal.tasks.extract import extract_shard as extract
from routecal.tasks.make_router import train_router
from routecal.tasks.outcome import train_outcome_head
from routecal.tasks.train import recalibrate_head, train_on, train_rl, train_sft
from routecal.tasks.version import commit

# Of the app, its volume and its secret.
NAME = "routecal"
# Where the volume is mounted: artifacts of nights whose home is no URL, copies of routers, options of the night.
MOUNT = "/routecal"
NIGHT = f"{MOUNT}/night.yaml"
# 24 GB, and the lowest price per second of those that compute in bfloat16.
GPU = "L4"
# Of each function at once; a new account of Modal's may have ten GPUs.
MAX_CONTAINERS = 10
SHARD_TIMEOUT_S, HEAD_TIMEOUT_S, NIGHT_TIMEOUT_S = 3600, 3600, 6 * 3600
# A container that dies, or whose object store is away for a moment. What routecal refuses is a result, see `run`.
RETRIES = modal.Retries(max_retries=3, initial_delay=1.0, backoff_coefficient=2.0)


def variables(home: str) -> dict[str, str | None]:
    """The environment of every container.

    Args:
        home: ROUTECAL_HOME of whoever starts the app; a local one is the volume's there.
    """
    return {
        "ROUTECAL_HOME": home if "://" in home else f"{MOUNT}/artifacts",
        "XDG_CACHE_HOME": f"{MOUNT}/cache",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }


# Modal looks for a module below the folders of its package; in a checkout `deployments` lies beside it.
if (ROOM := str(Path(__file__).resolve().parents[1])) not in routecal.__path__:
    routecal.__path__.append(ROOM)

HOME = Home.from_env().root
# In a container this module is imported once more, where no image is built.
app = modal.App(NAME, image=image(HOME, commit()) if modal.is_local() else None, include_source=False)
SHARED: dict[str, Any] = {
    "env": variables(HOME),
    "volumes": {MOUNT: modal.Volume.from_name(NAME, create_if_missing=True)},
    "secrets": [modal.Secret.from_name(NAME)],
}


# Two cores, which tokenise beside the GPU.
@app.function(
    gpu=GPU, cpu=2.0, memory=8192, timeout=SHARD_TIMEOUT_S, retries=RETRIES, max_containers=MAX_CONTAINERS, **SHARED
)
def read_router(step: str, arguments: Mapping[str, Any]) -> Any:
    """A step that reads texts with a router: a shard of extraction, or the training of a routing head."""
    return run(step, arguments)


@app.function(cpu=1.0, memory=4096, timeout=HEAD_TIMEOUT_S, retries=RETRIES, max_containers=MAX_CONTAINERS, **SHARED)
def train_head(step: str, arguments: Mapping[str, Any]) -> Any:
    """A stage of a head's training. One core: heads are too small for two."""
    return run(step, arguments)


@app.function(cpu=1.0, memory=4096, timeout=HEAD_TIMEOUT_S, retries=RETRIES, max_containers=100, **SHARED)
def fit_cell(step: str, arguments: Mapping[str, Any]) -> Any:
    """A cell of `benchmark` or `ablate`."""
    return run(step, arguments)


# CPUs alone: most of a night waits for models that label. A night that fails is not repeated: its money may be spent.
@app.function(
    cpu=4.0, memory=8192, timeout=NIGHT_TIMEOUT_S, max_containers=1, schedule=modal.Cron("0 2 * * *"), **SHARED
)
def recalibrate(*options: str) -> str:
    """One night, in a container of its own; what `routecal recalibrate` prints.

    Args:
        options: of that command; none reads those of the volume's `night.yaml`.

    Raises:
        NightFailed: it ended with another code than 0.
    """
    command = [sys.executable, "-m", "routecal", "recalibrate", *(options or ("--config", NIGHT))]
    folder = MOUNT if os.path.isdir(MOUNT) else None
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    print(done.stderr, done.stdout, sep="", flush=True)
    if done.returncode:
        raise NightFailed(done.returncode, (done.stderr.splitlines() or ["nothing was said"])[-1])
    return done.stdout


FUNCTIONS = {
    read_router: (extract, train_router),
    train_head: (train_sft, train_on, train_rl, recalibrate_head, train_outcome_head),
    fit_cell: (fit_methods, fit_decisions, fit_router, choose_block),
}
TASKS: dict[str, Task[..., Any]] = {task.name: task for tasks in FUNCTIONS.values() for task in tasks}
# The function that does the step of that name.
FUNCTION_OF = {task.name: function for function, tasks in FUNCTIONS.items() for task in tasks}


def run(step: str, arguments: Mapping[str, Any]) -> Any:
    """The result of a step, or what routecal refuses it with, which would be the same however often it is tried."""
    try:
        return TASKS[step].fn(**arguments)
    except RoutecalError as refused:
        return refused
