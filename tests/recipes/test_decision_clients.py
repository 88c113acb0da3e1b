"""Clients of decision models ask routecal for the decision alone: docs/recipes/langchain.md and openai.md."""

import pytest

from routecal.calib.decision import Decision
from tests.calib.packed import QUERIES
from tests.recipes.conftest import RunningService

pytestmark = pytest.mark.recipes

FAILS = {"langchain": "langchain_openai.chat_models.base.OpenAIConnectionError", "openai": "openai.APIConnectionError"}


@pytest.mark.parametrize("client", FAILS)
def test_the_decision_alone(client: str, service: RunningService, decisions: dict[str, Decision]) -> None:
    said = service.run(client, "decisions.py", *QUERIES)
    assert [(model, query) for model, _, query in said] == [(decisions[query].served_by, query) for query in QUERIES]
    expected = [decisions[query].medium_enough for query in QUERIES]
    assert [float(p) for _, p, _ in said] == pytest.approx(expected, abs=1e-5)
    assert service.answered() == {query: [] for query in QUERIES}
    service.assert_logged("decisions")


@pytest.mark.parametrize("client", FAILS)
def test_without_routecal_there_is_no_decision(client: str, service: RunningService) -> None:
    service.kill()
    done = service.ran(client, "decisions.py", *QUERIES)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(FAILS[client])
