"""The server, and what labels through it with the real openai package."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from routecal.tasks.oracle.api_oracle import ApiOracle
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec
from routecal.tasks.oracle.job_runner import job_runner
from routecal.tasks.oracle.providers.openai import OpenAI
from tests.gemini_server.server import GeminiServer, serving
from tests.tasks.oracle.field_cases.own_server import BIG, JUDGE, PRICES, SMALL, respond
from tests.tasks.oracle.labelling import Run, asked, shard


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("prices") / "prices.toml"
    path.write_text(PRICES)
    return str(path)


@pytest.fixture
def server() -> Iterator[GeminiServer]:
    with serving(respond=respond) as running:
        yield running


@pytest.fixture
def run(server: GeminiServer, prices: str) -> Callable[..., Run]:
    def labelled(n: int = 2, *, form: str = "schema", **pace: Any) -> Run:
        small, big, judge = (ModelSpec(model=model, thinking_level=None) for model in (SMALL, BIG, JUDGE))
        url = server.openai_url
        oracle = ApiOracle(
            kind="openai", provider=f"openai:{url}", medium=small, large=big, judge=JudgeSpec(first=judge, form=form)
        )
        given = Pace(**({"job": "job", "backoff_s": 0.001, "prices": prices, "concurrency": 4} | pace))
        with job_runner(given, lambda: [OpenAI.create(base_url=url, key=None)], n) as runner:
            return shard(runner, asked(n), oracle)

    return labelled
