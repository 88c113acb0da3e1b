"""llama-index's router over two query engines: docs/recipes/llama-index.md."""

import pytest

from tests.calib.packed import QUERIES
from tests.deployments.router_service.raw_upstream import RawUpstream
from tests.recipes.conftest import ALL_LARGE, RunningService

pytestmark = pytest.mark.recipes

both_ways = pytest.mark.parametrize("flag", [(), ("--async",)], ids=["query", "aquery"])


@both_ways
def test_each_query_goes_to_the_engine_that_was_decided_for(
    flag: tuple[str, ...], service: RunningService, by_rule: dict[str, list[str]]
) -> None:
    said = service.run("llama-index", "ask.py", *flag, *QUERIES)
    assert service.answered() == by_rule
    ids = [row["decision_id"] for row in service.decisions()]
    expected = [[by_rule[query][0], f"ok, decision {one}", query] for query, one in zip(QUERIES, ids, strict=True)]
    assert said == expected
    service.assert_logged("route")


@both_ways
def test_without_routecal_the_large_model_answers(flag: tuple[str, ...], service: RunningService) -> None:
    service.kill()
    said = service.run("llama-index", "ask.py", *flag, *QUERIES)
    assert service.answered() == ALL_LARGE
    assert all(line[1].startswith("routecal does not answer: ConnectError") for line in said)


@both_ways
def test_a_routecal_that_hangs_is_given_up(flag: tuple[str, ...], service: RunningService, hung: RawUpstream) -> None:
    where = {"ROUTECAL_URL": hung.url.removesuffix("/v1"), "ROUTECAL_TIMEOUT_S": "0.5"}
    said = service.run("llama-index", "ask.py", *flag, *QUERIES, **where)
    assert service.answered() == ALL_LARGE
    assert hung.asked
    assert all(line[1].startswith("routecal does not answer: ReadTimeout") for line in said)
