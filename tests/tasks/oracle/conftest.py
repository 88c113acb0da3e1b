"""One server, and one client of each kind, for all tests that talk to them: a new client costs a fifth of a second."""

from collections.abc import Iterator

import pytest

from routecal.tasks.oracle.providers.gemini import Gemini
from routecal.tasks.oracle.providers.openai import OpenAI
from tests.gemini_server.answers import Answers
from tests.gemini_server.server import GeminiServer, serving
from tests.tasks.oracle import openai_calls
from tests.tasks.oracle.gemini_calls import KEY, LOOP, decide, opened, sent


@pytest.fixture(scope="session")
def server() -> Iterator[GeminiServer]:
    with serving(respond=Answers({"Capital of France?": "Paris"})) as running, LOOP:
        yield running


@pytest.fixture(scope="session")
def gemini(server: GeminiServer) -> Iterator[Gemini]:
    with opened(key=KEY, base_url=server.url) as gemini:
        # The SDK's other half is imported on first use, which takes longer than some time-outs of tests.
        sent(gemini, decide("m-warm"))
        yield gemini


@pytest.fixture(scope="session")
def provider(server: GeminiServer) -> Iterator[OpenAI]:
    with openai_calls.opened(server.openai_url) as provider:
        # What the package imports on first use takes longer than some time-outs of tests.
        openai_calls.sent(provider, openai_calls.ask("m-warm"))
        yield provider
