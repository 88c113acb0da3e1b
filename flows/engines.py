"""Engines: the task runners of Ray, Dask and Modal for the steps of a flow that compute, here or elsewhere.

Tasks stay what they are, Prefect's: their states, caches and results are those of a run without an engine. A worker
that dies takes nothing with it that was finished, and the engine gives its task to another.
"""

import logging
import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.metadata import version
from typing import Any, NamedTuple

from prefect.context import FlowRunContext, SettingsContext, get_settings_context
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.task_runners import TaskRunner

from routecal.flows.engine_params import MODAL, Engine, EngineParams, engine_of
from routecal.flows.errors import ClusterUnusable, WorkersLost
from routecal.flows.prefect_server import api_url
from routecal.plain_text import plain
from routecal.root_error import RoutecalError
from routecal.storage.artifact import Artifact
from routecal.storage.atomic import write_chunks
from routecal.storage.layout import VARIABLE, Home
from routecal.storage.remote import resolve
from routecal.tasks.engine_worker import look, prepare
from routecal.tasks.side_by_side import tasks_at_once

logger = logging.getLogger(__name__)

ANSWERS_WITHIN_S = 60.0
# Of Ray's store of objects: what tasks take and return are references of a few hundred bytes.
STORE_BYTES = 128 * 1024**2
# Tasks for each worker: the one that it is at, and the next.
PER_WORKER = 2
# What Ray and Dask raise once they have given up on a task that its worker did not survive.
DEATHS = {"KilledWorker", "WorkerCrashedError", "OutOfMemoryError", "NodeDiedError", "OwnerDiedError"}


class _Settings(SettingsContext):
    """Goes to workers as it is. Prefect takes it apart for them, and each task there would put it together again, with
    a look into environment and files for every group of settings: 80 ms of the 100 that an empty task took there.
    """

    def serialize(self, include_secrets: bool = True) -> dict[str, Any]:
        """Profile and settings as they are; they can be pickled."""
        return {"profile": self.profile, "settings": self.settings}


class Workers(NamedTuple):
    """Workers that are up.

    Attributes:
        runner: hands them tasks.
        n: how many tasks they work at together.
        call: calls a function on one of them: (function, *arguments).
    """

    runner: TaskRunner[Any]
    n: int
    call: Callable[..., Any]


@contextmanager
def on_engine(params: EngineParams, *needed: Artifact) -> Iterator[None]:
    """Have what the block submits run on the workers that `--on` names; without it, nothing changes.

    Args:
        params: of the flow.
        needed: artifacts that tasks read; a cluster whose workers do not see them is refused.

    Raises:
        ClusterUnusable: it cannot be reached, or its workers have not what the tasks need, or cannot run one.
        WorkersLost: they died again and again over one task.
    """
    flow = FlowRunContext.get()
    if params.on is None or flow is None:
        yield
        return
    engine = engine_of(params.on)
    # A temporary server is in no setting, and workers would start one each.
    with temporary_settings({PREFECT_API_URL: api_url()}), ExitStack() as stack:
        now = get_settings_context()
        stack.enter_context(_Settings(profile=now.profile, settings=now.settings))
        try:
            start = {"ray": _start_ray, "dask": _start_dask, "modal": _start_modal}[engine.name]
            workers = start(engine, params.workers, stack)
            if engine.host is not None:
                _check_sight(engine, workers.call, [one.uri for one in needed])
        except RoutecalError:
            raise
        except Exception as error:
            raise _unusable(engine, f"{type(error).__name__}: {error}", "see what its own log says") from error
        logger.info("%d workers of %s compute", workers.n, engine.name)
        stack.enter_context(flow.model_copy(update={"task_runner": workers.runner}))
        stack.enter_context(tasks_at_once(PER_WORKER * workers.n))
        try:
            yield
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in ("ray", "distributed"):
                raise
            what = f"{type(error).__name__}: {error}"
            if type(error).__name__ in DEATHS:
                raise WorkersLost(engine.name, plain(what, at_most=200)) from error
            remedy = "install the same packages on all of them, and repeat the command: what is finished is kept"
            raise _unusable(engine, f"a task could not run on its workers ({what})", remedy) from error


def _start_modal(engine: Engine, n: int | None, stack: ExitStack) -> Workers:
    runner = stack.enter_context(import_module(MODAL).ModalTaskRunner(engine.gpu, n))
    # Its containers see no more than the home, where it stores what tasks need; threads wait for them.
    return Workers(runner, runner.n_workers, lambda function, *arguments: function(*arguments))


def _start_ray(engine: Engine, n: int | None, stack: ExitStack) -> Workers:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from prefect_ray import RayTaskRunner

    more: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    more["runtime_env"] = {"env_vars": _variables()}
    if engine.host is None:
        more |= {"num_cpus": n or _n_cores(), "include_dashboard": False, "object_store_memory": STORE_BYTES}
    else:
        _take_ray_s_token_along()
    # Without an address Ray takes a cluster that runs on this machine, if there is one.
    with _own_signals():
        runner = stack.enter_context(
            RayTaskRunner(address="local" if engine.host is None else engine.address, init_kwargs=more)
        )
    there = ray.cluster_resources()

    def call(function: Callable[..., Any], *arguments: Any) -> Any:
        return ray.get(ray.remote(function).remote(*arguments), timeout=ANSWERS_WITHIN_S)

    if n_gpus := int(there.get("GPU", 0)):
        # Ray shows a task the GPUs that it asks for, and no others.
        from prefect_ray.context import remote_options

        stack.enter_context(remote_options(num_gpus=1))
    return Workers(runner, n_gpus or int(there.get("CPU", 1)), call)


def _take_ray_s_token_along() -> None:
    """Show a cluster the token that lies on this machine, if one does. Ray makes one with the first cluster that it
    starts by itself, every cluster that is started later asks for it, and its client shows none unless it is told to.
    """
    from ray._private.authentication import authentication_token_setup

    logging.getLogger(authentication_token_setup.__name__).setLevel(logging.ERROR)
    authentication_token_setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def _start_dask(engine: Engine, n: int | None, stack: ExitStack) -> Workers:
    from distributed import WorkerPlugin
    from prefect_dask import DaskTaskRunner

    class Prepare(WorkerPlugin):  # type: ignore[misc]
        """Every worker, whenever it starts, has our home, and the threads that it was given for its matrix products."""

        def __init__(self, variables: dict[str, str]) -> None:
            self.variables = variables

        def setup(self, worker: Any) -> None:
            prepare(self.variables, worker.state.nthreads)

    local: dict[str, Any] = {"n_workers": n or _n_cores(), "threads_per_worker": 1, "memory_limit": 0}
    local |= {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": logging.ERROR}
    runner = stack.enter_context(
        DaskTaskRunner(cluster_kwargs=local) if engine.host is None else DaskTaskRunner(address=engine.address)
    )
    client = runner.client
    client.register_plugin(Prepare(_variables()))

    def call(function: Callable[..., Any], *arguments: Any) -> Any:
        return client.submit(function, *arguments, pure=False).result(timeout=ANSWERS_WITHIN_S)

    return Workers(runner, sum(client.nthreads().values()), call)


def _n_cores() -> int:
    return len(os.sched_getaffinity(0))


def _variables() -> dict[str, str]:
    """What a worker's environment has to say; a relative home would be another one where the worker runs."""
    return {VARIABLE: Home.from_env().root}


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep our handler of SIGTERM, by which Prefect cancels a run: Ray puts its own there."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def _check_sight(engine: Engine, call: Callable[..., Any], needed: list[str]) -> None:
    """Refuse a cluster whose workers have another routecal, or do not see home, artifacts or server."""
    home = Home.from_env()
    marker = f"{home.root}/.probe-{uuid.uuid4().hex}"
    write_chunks(marker, [b"routecal"])
    try:
        sight = call(look, [marker, *needed], api_url())
    finally:
        fs, path = resolve(marker)
        fs.rm_file(path)
    if sight.version != version("routecal"):
        what = f"its workers have routecal {sight.version}, and this is {version('routecal')}"
        raise _unusable(engine, what, "install the same version on all of them")
    if marker in sight.missing:
        remedy = f"set {VARIABLE} to a URL (s3://…), or to a folder that every machine has at the same place"
        raise _unusable(engine, f"its workers do not see the artifacts in {home.root}", remedy)
    if sight.missing:
        what = f"its workers do not see {sight.missing[0]}"
        raise _unusable(engine, what, "put it where every machine has it at the same place")
    if not sight.has_server:
        what = f"its workers cannot reach the Prefect server at {api_url()}"
        raise _unusable(engine, what, "set PREFECT_API_URL to one that they can reach")


def _unusable(engine: Engine, reason: str, remedy: str) -> ClusterUnusable:
    where = engine.address if engine.host is not None else "on this machine"
    return ClusterUnusable(engine.name, where, plain(reason, at_most=300), remedy)
