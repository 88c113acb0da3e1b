"""Another head is promoted while requests come: none is lost, and soon all are decided by the new one."""

import threading
import time
from pathlib import Path

import httpx
import pytest

from routecal.calib.packed_folder import Serving, pack
from routecal.calib.router.frozen_router import FrozenRouter
from routecal.deployments.router_service import decider
from routecal.storage.folder_artifact import folder_at
from routecal.storage.head_registry import append_entry
from routecal.storage.layout import Home
from tests.calib.packed import QUERIES, trained
from tests.deployments.router_service.conftest import Start
from tests.patience import PATIENCE_S


def promoted(router: FrozenRouter, version: str, folder: Path, *, after: int) -> None:
    """A head in the registry of this home."""
    pack(trained(router), Serving(router=str(router.path), threshold=0.6, head_version=version), folder)
    append_entry(Home.from_env(), "promoted", champion=folder_at(str(folder), "calibrated"), after=after)


N = 10_000


@pytest.mark.served
def test_no_request_is_lost_when_another_head_is_promoted(
    start: Start, router_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decider, "LOOKS_EVERY_S", 0.05)
    router = FrozenRouter(router_checkpoint)
    promoted(router, "first", tmp_path / "first", after=0)
    with start(head="champion") as running:
        heads, failed, left = list[str](), list[object](), iter(range(N))

        def ask() -> None:
            with httpx.Client(timeout=60) as client:
                for i in left:
                    said = client.post(f"{running.url}/v1/route", json={"query": QUERIES[i % len(QUERIES)]})
                    if said.status_code != 200 or said.json()["routes"][0]["status"] != "ok":
                        failed.append(said.text)
                    heads.append(said.json()["routes"][0]["estimate"]["calibration_version"])

        callers = [threading.Thread(target=ask) for _ in range(8)]
        for caller in callers:
            caller.start()
        time.sleep(0.5)
        promoted(router, "second", tmp_path / "second", after=1)
        for caller in callers:
            caller.join(PATIENCE_S)
        assert not failed
        assert len(heads) == N
        assert set(heads) == {"first", "second"}
        assert heads[-1] == "second"
        assert running.service.decider.champion is not None
        assert len({row["head"] for row in running.rows("decisions")}) == 2
