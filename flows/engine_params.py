"""Where the steps that compute run: `--on`, what it says, and what is refused before anything starts."""

import socket
from importlib import import_module
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field

from routecal.flows.errors import ClusterUnusable, OptionsConflict, WrongValues
from routecal.flows.form import Params
from routecal.tasks.extras import require

CONNECTS_WITHIN_S = 5.0
MODAL = "routecal.deployments.modal_engine"
EXAMPLES = {"ray": "ray://10.0.0.5:10001", "dask": "dask://10.0.0.5:8786"}
START = {
    "ray": "start one with `ray start --head --ray-client-server-port=10001`",
    "dask": "start one with `dask scheduler` and `dask worker`",
}


class EngineParams(Params):
    """Whether this process computes, or workers that an engine runs."""

    GROUP: ClassVar[str] = "workers"

    on: str | None = Field(
        default=None,
        pattern=r"^(ray|dask|modal)(:.+)?$",
        description="Engine whose workers compute: ray or dask starts them on this machine, ray://HOST:PORT or "
        "dask://HOST:PORT uses a cluster that runs, modal or modal:GPU takes Modal's machines. Default: this process.",
    )
    workers: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Number of workers that --on starts; each holds the model in memory. Default: one per core of this "
        "machine, or ten containers of Modal's.",
    )


class Engine(NamedTuple):
    """What `--on` says.

    Attributes:
        name: ray, dask or modal.
        host, port: of its cluster; None for workers on this machine, and for Modal.
        gpu: of Modal's, that reads texts; None for the app's own.
    """

    name: Literal["ray", "dask", "modal"]
    host: str | None = None
    port: int | None = None
    gpu: str | None = None

    @property
    def address(self) -> str:
        """As Ray's client and Dask's want it."""
        return f"{'ray' if self.name == 'ray' else 'tcp'}://{self.host}:{self.port}"


def engine_of(on: str) -> Engine:
    """The engine that a value of `--on` names.

    Raises:
        WrongValues: there is no host and port after the name.

    >>> engine_of("ray://head:10001").address, engine_of("dask:10.0.0.5:8786").address, engine_of("modal:H100").gpu
    ('ray://head:10001', 'tcp://10.0.0.5:8786', 'H100')
    """
    name, colon, place = on.partition(":")
    if name == "modal":
        return Engine("modal", gpu=place or None)
    engine: Literal["ray", "dask"] = "ray" if name == "ray" else "dask"
    if not colon:
        return Engine(engine)
    host, _, port = place.removeprefix("tcp:").removeprefix("//").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise WrongValues([("--on", on, f"{name} alone, or a host and port after it, as in {EXAMPLES[engine]}")])
    return Engine(engine, host, int(port))


def check_engine(params: EngineParams) -> None:
    """Refuse an engine that is not installed, and a cluster that does not answer: before anything else is done.

    Raises:
        OptionsConflict: `--workers` without workers to start.
        ExtraMissing, WrongValues, ClusterUnusable: says what to do.
        ModalHomeLocal, ModalTokenMissing: of `deployments.modal_engine`.
    """
    if params.on is None:
        if params.workers is not None:
            raise OptionsConflict("--workers applies only with --on", "add that, or leave it out")
        return
    engine = engine_of(params.on)
    if engine.name == "modal":
        # By its name: deployments import flows.
        import_module(MODAL).check()
        return
    require(engine.name)
    if engine.host is None:
        return
    if params.workers is not None:
        raise OptionsConflict("--workers starts workers on this machine, and --on names a cluster", "leave one out")
    try:
        socket.create_connection((engine.host, engine.port), timeout=CONNECTS_WITHIN_S).close()
    except OSError as error:
        reason = f"nothing answers there ({error.strerror or error})"
        remedy = f"{START[engine.name]}, correct the address, or leave it out: --on {engine.name} starts workers here"
        raise ClusterUnusable(engine.name, engine.address, reason, remedy) from error
