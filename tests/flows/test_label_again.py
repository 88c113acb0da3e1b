"""The same command once more, after the server or the judge was mended: what was of no use is asked for again."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from routecal.flows import cli
from routecal.tasks import runs
from tests.flows.api_labels import LARGE, MEDIUM, OTHER, N, is_judging, label_argv
from tests.flows.refusal import Capture, refused
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import GeminiServer
from tests.gemini_server.wire import Request

pytestmark = pytest.mark.usefixtures("_own_results")


def candidate(change: Callable[[dict[str, Any]], None], applies: Callable[[Request], bool]) -> Any:
    """Changes the one candidate of the replies that it applies to."""

    def rewrite(request: Request, body: bytes) -> bytes:
        if not applies(request):
            return body
        found = json.loads(body)
        change(found["candidates"][0])
        return json.dumps(found).encode()

    return rewrite


def mumbling(candidate: dict[str, Any]) -> None:
    candidate["content"] = {"parts": [{"text": "Well, well."}], "role": "model"}


def without_parts(candidate: dict[str, Any]) -> None:
    candidate["content"] = {"role": "model"}


def silent(candidate: dict[str, Any]) -> None:
    candidate["content"]["parts"] = [{"text": ""}]


def test_a_judge_that_was_mended_is_asked_again_by_the_same_command(
    file: str, server: GeminiServer, capsys: Capture
) -> None:
    argv = label_argv(file, server, "--judge-model", OTHER, "--limit", "3")
    server.rewrite = candidate(mumbling, is_judging)
    said = refused(capsys, *argv)
    assert said == (
        f"none of the 3 queries got a label: judge error (3), for one: medium, large ({OTHER}: «Well, well.»); "
        "judge with another model (--judge-model), or name a second one (--second-judge)"
    )
    answers = server.requests(MEDIUM), server.requests(LARGE)
    server.rewrite = lambda request, body: body
    assert cli.main(argv) == 0
    assert runs.newest_artifact("labels").rows == 3
    assert (server.requests(MEDIUM), server.requests(LARGE)) == answers == (3, 3)
    asked = server.requests()
    # Now that all have a label, the shard is not done again.
    assert cli.main(argv) == 0
    assert server.requests() == asked


def test_a_broken_model_is_asked_again_by_the_same_command(file: str, server: GeminiServer, capsys: Capture) -> None:
    argv = label_argv(file, server, "--limit", "6")
    server.rewrite = candidate(without_parts, lambda request: request.model == LARGE)
    said = refused(capsys, *argv)
    assert said.startswith("none of the 6 queries got a label: broken reply (6), for one: the reply holds no text; ")
    before = server.requests(LARGE)
    server.rewrite = lambda request, body: body
    assert cli.main(argv) == 0
    assert (runs.newest_artifact("labels").rows, server.requests(LARGE) - before) == (6, 6)


def test_a_refusal_is_quoted_of_few_rows_and_asked_again(file: str, server: GeminiServer, capsys: Capture) -> None:
    argv = label_argv(file, server, "--limit", "3")
    server.script({LARGE: Script(then="400-argument")})
    said = refused(capsys, *argv)
    assert said.startswith(
        "none of the 3 queries got a label: refused (3), for one: Request contains an invalid argument; correct"
    )
    server.script({LARGE: Script()})
    assert cli.main(argv) == 0
    assert runs.newest_artifact("labels").rows == 3


def test_a_page_in_place_of_the_model_is_one_sentence(file: str, server: GeminiServer, capsys: Capture) -> None:
    server.rewrite = lambda request, body: b"<html>Sign in to the network of this hotel</html>"
    said = refused(capsys, *label_argv(file, server))
    assert said == (
        f"what answers in place of {MEDIUM} is no model: the response is a web page, no completion at all: "
        "«<html>Sign in to the network of this hotel</html>»; check the base URL, and what answers there in place of "
        "the model (a login page, a proxy); nothing was charged"
    )
    assert server.requests() == 1


def test_many_silent_answers_are_told(
    file: str, server: GeminiServer, capsys: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    left = [3]

    def a_few(request: Request) -> bool:
        left[0] -= request.model == LARGE
        return request.model == LARGE and left[0] >= 0

    server.rewrite = candidate(silent, a_few)
    with caplog.at_level(logging.WARNING):
        assert cli.main(label_argv(file, server)) == 0
    [told] = [
        record.getMessage() for record in caplog.records if record.name == "routecal.tasks.oracle.labelling_summary"
    ]
    assert told == (
        f"3 of {N} answers of the large model {LARGE} are empty (15%) and count as NOT_ATTEMPTED: 3 have no text, "
        "0 hit the limit of tokens; raise --max-output-tokens, or turn thinking off with --large-thinking none"
    )
