"""The service as it runs, on a tiny real router, before two model servers that a test has say what it likes."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import uvicorn

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.outcome.head import OutcomeHead
from routecal.calib.packed_folder import Serving, pack
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.deployments.router_service.app import application
from routecal.deployments.router_service.decider import Decider
from routecal.deployments.router_service.decision_log import DecisionLog
from routecal.deployments.router_service.service import Service
from routecal.deployments.router_service.service_settings import ServiceSettings
from routecal.storage.served.journal import read_served
from routecal.storage.served.tables import TABLES
from tests.calib.conftest import READ, outcome_head, wide_router
from tests.calib.packed import QUERIES, trained
from tests.deployments.router_service.raw_upstream import RawUpstream, raw_upstream
from tests.patience import PATIENCE_S

__all__ = ["outcome_head", "wide_router"]


@pytest.fixture(scope="session")
def packed(wide_router: FrozenRouter, outcome_head: OutcomeHead, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed head that decides by the gain: half of QUERIES go to either model."""
    folder = tmp_path_factory.mktemp("packed")
    rule = {"threshold": 0.0, "decides_by": "gain", "head_version": "abc", "router": str(wide_router.path)}
    pack(trained(wide_router), Serving(**READ, **rule), folder, outcome_head)
    gains = [decision.gain or 0.0 for decision in CalibratedRouter.from_pretrained(folder).route(QUERIES)]
    pack(trained(wide_router), Serving(**READ, **rule | {"threshold": float(np.median(gains))}), folder, outcome_head)
    return folder


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
        until(lambda: len(self.rows("answers")) >= n)
        return self.rows("answers")


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nobody tells of."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


Start = Callable[..., AbstractContextManager[Running]]


@pytest.fixture
def start(packed: Path, tmp_path: Path) -> Start:
    """Starts a service with settings of the test's own."""

    @contextmanager
    def started(prices: dict[str, Any] | None = None, **changes: Any) -> Iterator[Running]:
        with raw_upstream() as medium, raw_upstream() as large:
            said: dict[str, Any] = {
                "medium": {"base_url": medium.url, "model": "flash"},
                "large": {"base_url": large.url, "model": "pro"},
                "head": str(packed),
                "log": tmp_path / "served",
            }
            for name, of_model in (prices or {}).items():
                said[name] |= of_model
            settings = ServiceSettings.model_validate(said | changes)
            log = DecisionLog(
                settings.log, keeps_text=settings.logged == "text", retention_days=settings.retention_days
            )
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

    return started


@pytest.fixture
def running(start: Start) -> Iterator[Running]:
    """One with the defaults."""
    with start() as one:
        yield one
