"""Waiting at full length, under `make serve` with nothing shortened: `make wait-an-hour`."""

import shutil
import time
from pathlib import Path

import pytest

from routecal.storage.head_registry import history
from routecal.storage.layout import Home
from tests.served.conftest import serving
from tests.tasks.made import outcome_rows, policies_for, texts, write_jsonl

pytestmark = pytest.mark.hours

WAITS_S = 3600


def test_a_night_waits_an_hour_for_approval_and_is_promoted(router_checkpoint: Path, tmp_path: Path) -> None:
    asked = texts(400)
    shutil.copytree(router_checkpoint, tmp_path / "router")
    (tmp_path / "inbox").mkdir()
    write_jsonl(tmp_path / "inbox" / "q.jsonl", [{"query": text} for text in asked])
    night = {
        "inbox": str(tmp_path / "inbox"),
        "outcomes": write_jsonl(tmp_path / "o.jsonl", outcome_rows(asked, policies_for(asked, router_checkpoint))),
        "router_path": str(tmp_path / "router"),
        "require_approval": True,
        "target_ece": 0.5,
        "epochs": 8,
        "hidden_units": 8,
        "medium_price": 1,
        "large_price": 20,
    }
    with serving(tmp_path) as served:
        run = served.start(served.offer("recalibrate-nightly", **night))
        assert served.until(run, "PAUSED", "COMPLETED", "FAILED", "CRASHED", seconds=600)["type"] == "PAUSED"
        end = time.monotonic() + WAITS_S
        while time.monotonic() < end:
            state = served.state(run)
            assert state["type"] == "PAUSED", state
            time.sleep(15)
        answer = {"promote": True, "note": "after an hour"}
        assert served.ask("POST", f"/flow_runs/{run}/resume", run_input=answer)["status"] == "ACCEPT"
        state = served.until(run, "COMPLETED", "FAILED", "CRASHED")
        assert state["type"] == "COMPLETED", state
    waited, promoted = history(Home(root=str(tmp_path / "artifacts")))
    assert (waited.action, promoted.action) == ("waiting", "promoted")
    assert (promoted.at - waited.at).total_seconds() >= WAITS_S
    assert promoted.reasons[0] == "approved in the UI: after an hour"
