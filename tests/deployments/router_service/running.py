"""A service of settings, in a thread of this process, and what it wrote down."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import uvicorn

from routecal.deployments.router_service.app import application
from routecal.deployments.router_service.decider import Decider
from routecal.deployments.router_service.decision_log import DecisionLog
from routecal.deployments.router_service.service import Service
from routecal.deployments.router_service.service_settings import ServiceSettings
from routecal.storage.served.journal import read_served
from routecal.storage.served.tables import TABLES
from tests.deployments.router_service.raw_upstream import RawUpstream
from tests.patience import PATIENCE_S


@dataclass
class Running:
    """A service that answers."""

    url: str
    service: Service
    medium: RawUpstream
    large: RawUpstream

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """What it wrote down."""
        table: pa.Table = read_served(self.service.settings.log / kind, TABLES[kind])
        return list(table.to_pylist())

    def answers(self, n: int) -> list[dict[str, Any]]:
        """So many rows of answers, which are written once the client has its own."""
        return self.wait_for(n, "answers")

    def wait_for(self, n: int, kind: str) -> list[dict[str, Any]]:
        """So many rows of a kind, once there are."""
        until(lambda: len(self.rows(kind)) >= n)
        return self.rows(kind)


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nobody tells of."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def run_service(settings: ServiceSettings, medium: RawUpstream, large: RawUpstream) -> Iterator[Running]:
    """It, from when it answers."""
    log = DecisionLog(settings.log, keeps_text=settings.logged == "text", retention_days=settings.retention_days)
    service = Service(settings, Decider(settings), log)
    config = uvicorn.Config(application(service), host="127.0.0.1", port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Running(f"http://127.0.0.1:{port}", service, medium, large)
    finally:
        server.should_exit = True
        thread.join(30)
