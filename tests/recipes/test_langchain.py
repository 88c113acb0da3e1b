"""LangChain's agents and its client of decision models: docs/recipes/langchain.md."""

import pytest

from tests.calib.packed import QUERIES
from tests.deployments.router_service.raw_upstream import RawUpstream
from tests.recipes.conftest import ALL_LARGE, MODELS, RunningService

pytestmark = pytest.mark.recipes

both_ways = pytest.mark.parametrize("flag", [(), ("--async",)], ids=["invoke", "ainvoke"])


@both_ways
def test_each_query_goes_to_the_model_that_was_decided_for(
    flag: tuple[str, ...], service: RunningService, by_rule: dict[str, list[str]]
) -> None:
    said = service.run("langchain", "ask.py", *flag, *QUERIES)
    assert service.answered() == by_rule
    assert said == [[MODELS[by_rule[query][0]], query] for query in QUERIES]
    service.assert_logged("route")


@both_ways
def test_without_routecal_the_large_model_answers(flag: tuple[str, ...], service: RunningService) -> None:
    service.kill()
    assert service.run("langchain", "ask.py", *flag, *QUERIES) == [["pro", query] for query in QUERIES]
    assert service.answered() == ALL_LARGE


@both_ways
def test_a_routecal_that_hangs_is_given_up(flag: tuple[str, ...], service: RunningService, hung: RawUpstream) -> None:
    where = {"ROUTECAL_URL": hung.url.removesuffix("/v1"), "ROUTECAL_TIMEOUT_S": "0.5"}
    service.run("langchain", "ask.py", *flag, *QUERIES, **where)
    assert service.answered() == ALL_LARGE
    assert hung.asked


def test_a_routecal_that_refuses_is_as_one_that_is_not_there(service: RunningService) -> None:
    service.run("langchain", "ask.py", *QUERIES, ROUTECAL_KEY="wrong")
    assert service.answered() == ALL_LARGE
    assert service.decisions() == []
