"""The key is nowhere but in the requests, whatever goes wrong: not in what is stored, shown, logged or raised."""

import logging
import os
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.blocks.system import Secret
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, PREFECT_SERVER_DATABASE_CONNECTION_URL

from routecal.flows import cli
from routecal.flows.label import label
from routecal.flows.oracle_params import LabelParams
from routecal.tasks.oracle.engine.stop_reasons import LabellingStopped
from tests.flows.lakes import lakes_file, params_for
from tests.flows.refusal import Capture
from tests.gemini_server.refusals import REFUSALS, Refusal, error
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import GeminiServer, serving
from tests.tasks.oracle.labelling import JUDGE, LARGE, MEDIUM, by_number

pytestmark = pytest.mark.usefixtures("_own_results")

# One of Google's form, and one of a proxy's, which nothing but its value gives away.
GOOGLES, A_PROXYS = "AIzaSECRET-0123456789-abcdefghijklmnop", "proxy:SECRET/with+odd=characters"

# What a row survives, and what costs only the row; each is met once.
SURVIVED = (
    *("500", "503", "504", "408", "499", "502-html", "502-html-as-json", "503-list", "429-message", "400-argument"),
    *("truncated", "not-utf8", "fin", "rst", "cut", "slow", "drip"),
    *("blocked", "empty", "safety", "recitation", "new-enum", "continuation", "no-usage", "413"),
)
# What ends the run, alone.
FATAL = (
    *("400-key", "401", "403", "403-vertex", "404", "400-region", "429-credits", "429-none", "wrong-version"),
    *("html", "echo", "empty-body", "list"),
)


@pytest.fixture
def server(key: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[GeminiServer]:
    """It takes no other key, and says it in every refusal, as some proxies do."""

    def indiscreet(made: Refusal) -> Refusal:
        if not isinstance(made.body, dict):
            return made._replace(body=f"<html>{made.body} (you sent {key})</html>")
        said = made.body["error"]
        return error(made.status, said["status"], f"{said['message']} (you sent {key})", *said.get("details", []))

    for name, make in list(REFUSALS.items()):
        monkeypatch.setitem(REFUSALS, name, lambda make=make: indiscreet(make()))
    with serving(respond=by_number(), keys=frozenset({key})) as running:
        yield running


def found_in(secret: str, *folders: Path) -> list[str]:
    """Files below the folders that hold the text, as it is or as JSON and URLs spell it."""
    spellings = {secret, secret.replace("/", "\\/"), secret.replace("/", "%2F").replace("+", "%2B").replace("=", "%3D")}
    wanted = [text.encode() for text in spellings]
    files = [file for folder in folders for file in sorted(folder.rglob("*")) if file.is_file()]
    return [str(file) for file in files if any(text in file.read_bytes() for text in wanted)]


def places(tmp_path: Path) -> list[Path]:
    """Wherever a run leaves something: the artifacts with the ledger, Prefect's results and its database."""
    APILogHandler().flush()
    database = Path(str(PREFECT_SERVER_DATABASE_CONNECTION_URL.value()).partition("///")[2])
    folders = [Path(os.environ["ROUTECAL_HOME"]), Path(PREFECT_LOCAL_STORAGE_PATH.value()), database.parent]
    assert all(folder.is_dir() for folder in folders)
    return folders


def stopped(params: LabelParams) -> LabellingStopped:
    with pytest.raises(LabellingStopped) as caught:
        label(params)
    return caught.value


@pytest.mark.parametrize("key", [A_PROXYS])
def test_the_key_is_in_the_requests_and_nowhere_else(
    key: str, server: GeminiServer, tmp_path: Path, capsys: Capture, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("GEMINI_API_KEY", key)
    caplog.set_level(logging.DEBUG)
    for noisy in ("aiosqlite", "asyncio", "httpcore", "httpx", "websockets"):
        logging.getLogger(noisy).setLevel(logging.INFO)
    raised: list[Exception] = []
    queries = lakes_file(tmp_path, 40)

    server.script({MEDIUM: Script(steps=SURVIVED, slow_s=5.0)})
    labels = label(params_for(queries, server, concurrency=8, deadline_s=0.8))
    assert labels.rows > 30
    # Every one was met: the rest of the script is plain answers.
    assert server.requests(MEDIUM) > len(SURVIVED)
    assert server.seen[0].headers["x-goog-api-key"] == key

    for i, step in enumerate(FATAL):
        # Other queries each time, so that something is asked.
        server.script({MEDIUM: Script(then=step), LARGE: Script(), JUDGE: Script()})
        raised.append(stopped(params_for(lakes_file(tmp_path, 2, first=100 + 2 * i), server)))
    server.script({MEDIUM: Script()})
    raised.append(stopped(params_for(lakes_file(tmp_path, 2, first=200), server, max_usd=0.0)))
    server.keys = frozenset({"another"})
    raised.append(stopped(params_for(lakes_file(tmp_path, 2, first=202), server)))
    argv = ["label", "--queries", str(lakes_file(tmp_path, 2, first=204)), "--oracle", "gemini"]
    assert cli.main([*argv, "--base-url", server.url]) == 2

    shown = capsys.readouterr()
    said = shown.out + shown.err + caplog.text
    for exception in raised:
        chain: BaseException | None = exception
        while chain is not None:
            said += repr(chain) + repr(pickle.dumps(chain)) + repr(vars(chain))
            chain = chain.__cause__ or chain.__context__
        said += "".join(traceback.format_exception(exception))
    assert "(you sent [secret])" in said
    assert key not in said

    folders = places(tmp_path)
    assert found_in(key, *folders) == []
    # The search finds what is there: an answer in the ledger, an error in Prefect's database.
    assert found_in("(you sent [secret])", folders[0])
    assert any("ledger.sqlite" in file for file in found_in("Lake Ladoga", folders[0]))
    assert found_in("check the spelling of the model", folders[2])


@pytest.mark.parametrize("key", [GOOGLES])
def test_a_key_from_a_secret_block_is_as_well_kept(
    key: str, server: GeminiServer, tmp_path: Path, capsys: Capture, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for variable in ("GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    Secret(value=key).save("a-secret-of-ours", overwrite=True)
    server.script({MEDIUM: Script(steps=("400-argument", "503"))})
    params = params_for(lakes_file(tmp_path, 6), server, secret_block="a-secret-of-ours")
    assert label(params).rows == 5
    assert {request.headers["x-goog-api-key"] for request in server.seen} == {key}
    errors = []
    for i, script in enumerate([{LARGE: Script(then="403")}, {MEDIUM: Script(then="echo")}]):
        server.script(script)
        queries = lakes_file(tmp_path, 2, first=50 + 2 * i)
        errors.append(stopped(params_for(queries, server, secret_block="a-secret-of-ours")))

    shown = capsys.readouterr()
    assert "[secret]" in str(errors[1])
    assert key not in shown.out + shown.err + caplog.text + repr(errors) + repr(params)
    folders = places(tmp_path)
    assert found_in(key, *folders) == []
    # The block itself is there, enciphered.
    assert found_in("a-secret-of-ours", folders[2])
