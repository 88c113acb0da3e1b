"""OpenAI's own client, with routecal in front of both models: docs/recipes/openai.md."""

import pytest

from tests.calib.packed import QUERIES
from tests.recipes.conftest import ALL_LARGE, MODELS, RunningService

pytestmark = pytest.mark.recipes

both_ways = pytest.mark.parametrize("flag", [(), ("--stream",)], ids=["whole", "stream"])


@both_ways
def test_each_query_goes_to_the_model_that_was_decided_for(
    flag: tuple[str, ...], service: RunningService, by_rule: dict[str, list[str]]
) -> None:
    said = service.run("openai", "ask.py", *flag, *QUERIES)
    assert service.answered() == by_rule
    assert said == [[MODELS[by_rule[query][0]], "It is Baikal.", query] for query in QUERIES]
    service.assert_logged("chat")


@both_ways
def test_without_routecal_the_large_model_answers(flag: tuple[str, ...], service: RunningService) -> None:
    service.kill()
    said = service.run("openai", "ask.py", *flag, *QUERIES)
    assert service.answered() == ALL_LARGE
    assert said == [["pro, without routecal", "It is Baikal.", query] for query in QUERIES]
