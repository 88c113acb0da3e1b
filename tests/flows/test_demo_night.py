"""A night on what the demo runs on: the same steps as a real one, and never in the place of another router's head."""

from pathlib import Path

import pytest
from prefect.exceptions import Abort

from routecal.flows import demo as flow
from routecal.flows.demo import Inputs, demo_night
from routecal.flows.demo_params import DemoNightParams
from routecal.flows.errors import OtherRouterServes
from routecal.flows.night_lock import one_night
from routecal.flows.night_params import RecalibrateParams
from routecal.flows.param_checks import check
from routecal.storage.folder_artifact import write_folder
from routecal.storage.head_registry import append_entry, history
from routecal.storage.ingest import read_queries
from routecal.storage.layout import Home
from routecal.tasks.make_router import refer_checkpoint
from routecal.tasks.night.night_result import Night
from tests.tasks.made import store_queries, texts


@pytest.fixture
def asked(router_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> list[RecalibrateParams]:
    """The nights that are begun, on a small router in place of the demo's."""
    router = refer_checkpoint(str(router_checkpoint))
    made = Inputs(queries=store_queries(texts(3)), router=router, model=router)
    monkeypatch.setattr(flow, "demo_inputs", lambda params, *, seed: made)
    found: list[RecalibrateParams] = []

    def begun(params: RecalibrateParams) -> Night:
        found.append(params)
        return Night(run_id="recalibrate-1", action="quiet", reasons=(), n_new=0)

    monkeypatch.setattr(flow, "night_of", begun)
    return found


def test_a_demo_night_is_a_night_on_inputs_that_it_makes_itself(asked, states, router_checkpoint: Path) -> None:
    assert demo_night(DemoNightParams(night_queries=60, require_approval=True, approval_hours=3, seed=4)).n_new == 0
    (night,) = asked
    assert (night.router_path, night.oracle) == (str(router_checkpoint), "local")
    check(night)
    (file,) = Path(night.inbox).iterdir()
    assert read_queries(str(file))["query"].to_pylist() == texts(3)
    assert (night.night_queries, night.require_approval, night.approval_hours, night.seed) == (60, True, 3, 4)
    assert (night.medium_price, night.large_price) == (1.0, 1.5)


def test_a_demo_night_is_refused_where_another_router_serves(asked, states) -> None:
    home = Home.from_env()
    other = write_folder("calibrated", lambda folder: (folder / "head").touch(), home=home)
    append_entry(home, "promoted", champion=other, candidate=other, after=0, lineage={"router_sha256": "another"})
    with pytest.raises(OtherRouterServes, match="set ROUTECAL_HOME to another folder"):
        demo_night(DemoNightParams())
    assert asked == []
    assert len(history(home)) == 1


def test_a_demo_night_beside_another_night_prepares_nothing(asked, states, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "demo_inputs", lambda params, *, seed: pytest.fail("it has prepared something"))
    with one_night(), pytest.raises(Abort, match="nothing was done"):
        demo_night(DemoNightParams())
    assert asked == []
