"""The service as it runs, on a tiny real router, before two model servers that a test has say what it likes."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.outcome.head import OutcomeHead
from routecal.calib.packed_folder import Serving, pack
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.deployments.router_service.service_settings import ServiceSettings
from tests.calib.conftest import READ, outcome_head, wide_router
from tests.calib.packed import QUERIES, trained
from tests.deployments.router_service.raw_upstream import raw_upstream
from tests.deployments.router_service.running import Running, run_service, until

__all__ = ["Running", "outcome_head", "until", "wide_router"]


@pytest.fixture(scope="session")
def packed(wide_router: FrozenRouter, outcome_head: OutcomeHead, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed head that decides by the gain: half of QUERIES go to either model."""
    folder = tmp_path_factory.mktemp("packed")
    rule = {"threshold": 0.0, "decides_by": "gain", "head_version": "abc", "router": str(wide_router.path)}
    pack(trained(wide_router), Serving(**READ, **rule), folder, outcome_head)
    gains = [decision.gain or 0.0 for decision in CalibratedRouter.from_pretrained(folder).route(QUERIES)]
    pack(trained(wide_router), Serving(**READ, **rule | {"threshold": float(np.median(gains))}), folder, outcome_head)
    return folder


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
            with run_service(settings, medium, large) as running:
                yield running

    return started


@pytest.fixture
def running(start: Start) -> Iterator[Running]:
    """One with the defaults."""
    with start() as one:
        yield one
