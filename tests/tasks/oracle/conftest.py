"""One server and one Gemini for all tests that talk to them: each new client of the SDK costs a fifth of a second."""

from collections.abc import Iterator

import pytest

from tasks.oracle.gemini import Gemini
from tests.gemini_server.answers import Answers
from tests.gemini_server.server import GeminiServer, serving
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
