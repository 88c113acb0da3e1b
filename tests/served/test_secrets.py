"""A key in the worker's environment is in the requests that its runs send, and in no file that a run leaves behind."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.lakes import lakes_file
from tests.flows.test_secrets import found_in
from tests.gemini_server.refusals import REFUSALS, error
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import GeminiServer
from tests.gemini_server.server import serving as gemini
from tests.served.conftest import Served, serving
from tests.tasks.oracle.labelling import JUDGE, LARGE, MEDIUM, by_number

KEY = "AIzaSECRET-0123456789-abcdefghijklmnop"


@pytest.fixture(scope="module")
def server() -> Iterator[GeminiServer]:
    """It takes no other key, and its refusals say it, as some proxies do."""
    with pytest.MonkeyPatch.context() as patch, gemini(respond=by_number(), keys=frozenset({KEY})) as running:
        for name in ("403", "400-argument", "503"):
            made = REFUSALS[name]()
            said = made.body["error"] if isinstance(made.body, dict) else {}
            told = error(made.status, said["status"], f"{said['message']} (you sent {KEY})", *said.get("details", []))
            patch.setitem(REFUSALS, name, lambda told=told: told)
        yield running


@pytest.fixture(scope="module")
def keyed(server: GeminiServer, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """After one run that ended well and one that did not; stopped, so that all is on disk."""
    folder = tmp_path_factory.mktemp("keyed")
    known = {"oracle": "gemini", "base_url": server.url, "medium_model": MEDIUM, "large_model": LARGE}
    known |= {"judge_model": JUDGE, "shard_size": 10}
    with serving(folder, GEMINI_API_KEY=KEY) as served:
        server.script({MEDIUM: Script(steps=("503", "400-argument", "503"))})
        queries = lakes_file(folder, 30)
        run = served.start(served.offer("label", queries=str(queries), **known))
        state = served.until(run, "COMPLETED", "FAILED", "CRASHED")
        assert state["type"] == "COMPLETED", state["message"]
        server.script({LARGE: Script(then="403")})
        run = served.start(served.offer("label", queries=str(lakes_file(folder, 2, first=50)), **known))
        state = served.until(run, "COMPLETED", "FAILED", "CRASHED")
        assert state["type"] == "FAILED", state
        assert "(you sent [secret])" in state["message"]
    return served


def test_the_key_is_in_the_requests_and_in_no_file(server: GeminiServer, keyed: Served) -> None:
    assert {request.headers["x-goog-api-key"] for request in server.seen} == {KEY}
    assert found_in(KEY, keyed.folder) == []
    # The search finds what is there, in the database, the worker's log and the ledger.
    told = [Path(file).name for file in found_in("(you sent [secret])", keyed.folder)]
    assert "worker.log" in told
    assert any(name.startswith("prefect.db") for name in told)
    assert any("ledger" in file for file in found_in("Lake Ladoga", keyed.folder))


def test_results_are_json_and_nothing_is_a_pickle(keyed: Served) -> None:
    stored = serializers(keyed.folder / "artifacts/results")
    # Shards, and the fault of the second run, which comes without an envelope.
    assert len(stored) > 3
    assert set(stored) == {"json", "none"}
    assert pickles(keyed.folder) == []


def test_weights_and_results_of_a_calibration_are_no_pickles(served: Served, world: dict[str, str]) -> None:
    small = {"epochs": 2, "hidden_units": 8, "medium_price": 1, "large_price": 20}
    run = served.start(served.offer("calibrate", **world, **small))
    assert served.until(run, "COMPLETED", "FAILED", "CRASHED")["type"] == "COMPLETED"
    heads = [file for file in (served.folder / "artifacts/heads").rglob("*") if file.is_file()]
    assert {".safetensors"} == {file.suffix for file in heads} - {".json", ".jsonl", ".md", ".parquet"}
    assert set(serializers(served.folder / "artifacts/results")) <= {"json", "none"}
    assert pickles(served.folder / "artifacts") == []


def serializers(results: Path) -> list[str]:
    """What every stored result, which is JSON, says that the value in it is written with."""
    found = [json.loads(file.read_text()) for file in results.rglob("*") if file.is_file()]
    return [one["metadata"]["serializer"]["type"] if "metadata" in one else "none" for one in found]


def pickles(folder: Path) -> list[str]:
    """Files that begin as pickles of protocol 2 and later do, and archives that hold one, as torch.save makes them."""
    found = []
    for file in (f for f in folder.rglob("*") if f.is_file()):
        start = file.read_bytes()[:2]
        is_archive = zipfile.is_zipfile(file) and any(n.endswith(".pkl") for n in zipfile.ZipFile(file).namelist())
        if (start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05") or is_archive:
            found.append(str(file))
    return found
