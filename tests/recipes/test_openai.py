"""OpenAI's own client, with routecal in front of both models: docs/recipes/openai.md."""

import pytest

from routecal.calib.decision import Decision
from tests.calib.packed import QUERIES
from tests.recipes.conftest import ALL_LARGE, RunningService

pytestmark = pytest.mark.recipes

MODELS = {"medium": "flash", "large": "pro"}
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


def test_the_decision_alone(service: RunningService, decisions: dict[str, Decision]) -> None:
    said = service.run("openai", "decisions.py", *QUERIES)
    assert [(model, query) for model, _, query in said] == [(decisions[query].served_by, query) for query in QUERIES]
    expected = [decisions[query].medium_enough for query in QUERIES]
    assert [float(p) for _, p, _ in said] == pytest.approx(expected, abs=1e-5)
    assert service.answered() == {query: [] for query in QUERIES}
    service.assert_logged("decisions")


def test_without_routecal_there_is_no_decision(service: RunningService) -> None:
    service.kill()
    done = service.ran("openai", "decisions.py", *QUERIES)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("openai.APIConnectionError")
