"""Switchyard's own server, of its wheel, with routecal as the judge: docs/recipes/switchyard.md."""

from pathlib import Path

import pytest

from tests.calib.packed import QUERIES
from tests.deployments.router_service.raw_upstream import RawUpstream
from tests.recipes.conftest import ALL_LARGE, MODELS, THRESHOLD, RunningService, changed

pytestmark = pytest.mark.recipes


def routes(service: RunningService, folder: Path, *, routecal: str | None = None) -> Path:
    """The recipe's file with the addresses of this test, a threshold that parts QUERIES, and much time."""
    changes = {
        "http://127.0.0.1:8001/v1": service.medium.url,
        "https://api.example.com/v1": service.large.url,
        "http://127.0.0.1:4280/v1": routecal or f"{service.url}/v1",
        "base_threshold = 0.5": f"base_threshold = {THRESHOLD}",
    }
    if routecal is None:
        changes["timeout_ms = 2000"] = "timeout_ms = 120000"
    return changed("switchyard", "routes.toml", folder, changes)


def test_each_query_goes_to_the_model_that_was_decided_for(
    service: RunningService, by_probability: dict[str, list[str]], tmp_path: Path
) -> None:
    said = service.run("switchyard", "ask.py", routes(service, tmp_path), *QUERIES)
    assert service.answered() == by_probability
    assert said == [[MODELS[by_probability[query][0]], "200", query] for query in QUERIES]
    service.assert_logged("judge")


# Version 0.3.0 hands the client what became of the judge; should it ask the strong model itself, page and recipe can go
# without the second try.
def test_without_routecal_a_request_fails_and_the_second_try_reaches_the_large_model(
    service: RunningService, tmp_path: Path
) -> None:
    service.kill()
    said = service.run("switchyard", "ask.py", routes(service, tmp_path), *QUERIES)
    assert said == [["pro", "502", query] for query in QUERIES]
    assert service.answered() == ALL_LARGE


def test_a_routecal_that_refuses_fails_a_request_too(service: RunningService, tmp_path: Path) -> None:
    said = service.run("switchyard", "ask.py", routes(service, tmp_path), *QUERIES, ROUTECAL_KEY="wrong")
    assert said == [["pro", "401", query] for query in QUERIES]
    assert service.answered() == ALL_LARGE
    assert service.decisions() == []


def test_a_routecal_that_hangs_is_given_up(service: RunningService, hung: RawUpstream, tmp_path: Path) -> None:
    said = service.run("switchyard", "ask.py", routes(service, tmp_path, routecal=hung.url), *QUERIES)
    assert said == [["pro", "504", query] for query in QUERIES]
    assert service.answered() == ALL_LARGE
    assert hung.asked
