"""What a worker of a cluster sees is looked at before any work, and a sentence says what it does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from routecal.flows import engines
from routecal.flows.engine_params import Engine
from routecal.flows.errors import ClusterUnusable
from routecal.storage.layout import Home
from routecal.tasks.engine_worker import Sight, look

ENGINE = Engine("dask", "head", 8786)
# Nobody listens there.
NOWHERE = "http://127.0.0.1:1/api"

Call = Callable[..., Any]


def here(function: Call, *arguments: Any) -> Any:
    """A worker that sees what we see."""
    return function(*arguments)


def refusal(call: Call, *needed: str, url: str = NOWHERE) -> str:
    """What is said of a worker; nothing is left in the home."""
    with temporary_settings({PREFECT_API_URL: url}), pytest.raises(ClusterUnusable) as refused:
        engines._check_sight(ENGINE, call, list(needed))
    assert not list(Path(Home.from_env().root).iterdir())
    return str(refused.value).removeprefix("the dask cluster tcp://head:8786 cannot be used: ")


@pytest.mark.usefixtures("_own_results")
def test_a_worker_that_sees_all_is_good(tmp_path: Path) -> None:
    engines._check_sight(ENGINE, here, [str(tmp_path)])


def test_a_server_that_a_worker_cannot_reach_is_named() -> None:
    assert refusal(here) == (
        f"its workers cannot reach the Prefect server at {NOWHERE}; set PREFECT_API_URL to one that they can reach"
    )


def test_a_router_that_a_worker_does_not_see_is_named(tmp_path: Path) -> None:
    router = str(tmp_path / "router")
    assert refusal(here, router) == (
        f"its workers do not see {router}; put it where every machine has it at the same place"
    )


def test_a_home_that_a_worker_does_not_see_is_named() -> None:
    def elsewhere(function: Call, places: list[str], url: str) -> Any:
        return function([f"{place}-elsewhere" for place in places], url)._replace(missing=places)

    assert refusal(elsewhere) == (
        f"its workers do not see the artifacts in {Home.from_env().root}; set ROUTECAL_HOME to a URL (s3://…), or to a "
        "folder that every machine has at the same place"
    )


def test_another_version_of_routecal_is_named() -> None:
    said = refusal(lambda *_: Sight("0.1.9", [], True))
    assert said.startswith("its workers have routecal 0.1.9, and this is ")
    assert said.endswith("; install the same version on all of them")


def test_a_worker_looks_through_the_file_system_of_a_url(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    places = [f"file://{tmp_path}/there", f"file://{tmp_path}/not", "memory://not"]
    assert look(places, NOWHERE).missing == places[1:]
