"""What people hear by notification: of a run that fails, and of a night that promotes nothing."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.served.machine import Machine, watched
from tests.tasks.made import outcome_rows, policies_for, texts, write_jsonl


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with watched(tmp_path_factory.mktemp("machine")) as running:
        yield running


def test_people_are_told_of_a_run_that_fails(here: Machine) -> None:
    path = '/no/such/"file" of {{ yours }}.jsonl'
    deployment = here.served.offer("label", queries=path, oracle="replay")
    run = here.served.start(deployment)
    state = here.served.until(run, "FAILED", "COMPLETED", "CRASHED")
    assert state["type"] == "FAILED"
    here.wait(lambda: any(path in said for said in here.heard))
    (said,) = [said for said in here.heard if path in said]
    name = here.served.ask("GET", f"/flow_runs/{run}")["name"]
    assert said == f"{name}: Failed. {state['message']}"


def test_people_are_told_of_a_night_that_promotes_nothing(
    here: Machine, router_checkpoint: Path, tmp_path: Path
) -> None:
    asked = texts(400)
    policies = np.random.default_rng(0).permutation(policies_for(asked, router_checkpoint)).tolist()
    (tmp_path / "inbox").mkdir()
    write_jsonl(tmp_path / "inbox" / "q.jsonl", [{"query": text} for text in asked])
    deployment = here.served.offer(
        "recalibrate-nightly",
        inbox=str(tmp_path / "inbox"),
        outcomes=write_jsonl(tmp_path / "o.jsonl", outcome_rows(asked, policies)),
        router_path=str(router_checkpoint),
        night_queries=400,
        epochs=2,
        hidden_units=8,
        brier_margin=1e-6,
        medium_price=1,
        large_price=20,
    )
    run = here.served.start(deployment)
    state = here.served.until(run, "COMPLETED", "FAILED", "CRASHED")
    assert state["type"] == "COMPLETED", state
    here.wait(lambda: any(said.startswith("The new head was refused: ") for said in here.heard))
    assert len([said for said in here.heard if said.startswith("The new head was refused: ")]) == 1
