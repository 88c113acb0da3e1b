"""A night while another is going on is dropped, and says why."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from routecal.storage.head_registry import history
from routecal.storage.layout import Home
from tests.served.conftest import Served, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One of its own: where another test has labelled the same queries, a night finds nothing to do."""
    with serving(tmp_path_factory.mktemp("nights")) as running:
        yield running


def test_of_nights_at_once_one_goes_on_and_the_others_are_cancelled(served: Served, world: dict[str, str]) -> None:
    inbox = served.folder / "two-nights"
    inbox.mkdir()
    (inbox / "q.jsonl").write_bytes(Path(world["queries"]).read_bytes())
    known = {name: world[name] for name in ("outcomes", "router_path")}
    # It waits, so that it can be disturbed.
    night = {"inbox": str(inbox), "target_ece": 0.5, "epochs": 8, "hidden_units": 8}
    night |= {"require_approval": True, "renew_nights": 1}
    deployment = served.offer("recalibrate-nightly", **known, **night, medium_price=1, large_price=20)
    home = Home(root=str(served.folder / "artifacts"))
    before = len(history(home))
    both = [served.start(deployment) for _ in range(2)]
    states = {run: served.until(run, "PAUSED", "CANCELLED", "COMPLETED", "FAILED", "CRASHED") for run in both}
    ended = [(state["type"], state["message"]) for state in states.values()]
    assert sorted(kind for kind, _ in ended) == ["CANCELLED", "PAUSED"], (ended, served.log("worker")[-3000:])
    (going,) = [run for run, state in states.items() if state["type"] == "PAUSED"]
    by_hand = served.start(deployment)
    states[by_hand] = served.until(by_hand, "CANCELLED", "PAUSED", "COMPLETED", "FAILED", "CRASHED")
    assert served.state(going)["type"] == "PAUSED"
    del states[going]
    for state in states.values():
        assert state["type"] == "CANCELLED"
        assert ", and only one may run at a time; nothing was done" in state["message"]
    assert f"waits for the approval of entry {before + 1}" in states[by_hand]["message"]
    assert served.ask("POST", f"/flow_runs/{going}/resume", run_input={"promote": False})["status"] == "ACCEPT"
    assert served.until(going, "COMPLETED", "FAILED", "CRASHED")["type"] == "COMPLETED"
    assert [entry.action for entry in history(home)[before:]] == ["waiting", "refused"]
