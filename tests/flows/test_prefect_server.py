"""The Prefect server of a command: one of no use is told in seconds, a temporary one ends with the command."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from routecal.flows import cli, prefect_server, temporary_server
from routecal.flows.crash_report import write_crash_report
from routecal.flows.errors import PlaceUnusable, ServerUnreachable
from routecal.flows.prefect_server import Access
from tests.flows.refusal import Capture

ROOT = Path(cli.__file__).parents[1]
HEAVY = ("prefect", "torch", "transformers", "pyarrow", "scipy", "sklearn", "matplotlib")


class Stub(http.server.BaseHTTPRequestHandler):
    """Prefect's API below /api, a web page elsewhere; below /closed an API that wants a login."""

    def do_GET(self) -> None:
        wants = self.path.startswith("/closed")
        if self.path == "/moved/health":
            self.send_response(301)
            self.send_header("Location", "https://elsewhere.example/api/health")
        elif wants and self.path != "/closed/health" and self.headers["Authorization"] != "Basic dTpw":  # u:p
            self.send_response(401)
        else:
            self.send_response(200 if self.path != "/broken/health" else 500)
        self.end_headers()
        page, api = b"<html>welcome</html>", self.path in ("/api/health", "/closed/health")
        self.wfile.write(b"true" if api else b'"3.9.1"' if self.path.endswith("/admin/version") else page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has there
        del format, args


@pytest.fixture(scope="module")
def stub() -> Iterator[str]:
    """Its address."""
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()


# ---- a server of the user's


@pytest.mark.parametrize("end", ["/api", "/api/"])
def test_a_server_that_answers(stub: str, end: str) -> None:
    prefect_server.check_api(stub + end, Access())


@pytest.mark.parametrize(
    ("end", "says"),
    [
        ("", "what answers there is no Prefect API (HTTP 200); its API is at {stub}/api: set PREFECT_API_URL to that"),
        ("/", "its API is at {stub}/api"),
        ("/dashboard", "its API is at {stub}/api"),
        ("/broken", "what answers there is no Prefect API (HTTP 500)"),
        ("/moved", "it sends on to https://elsewhere.example/api/health"),
    ],
)
def test_an_address_of_something_else(stub: str, end: str, says: str) -> None:
    with pytest.raises(ServerUnreachable) as refused:
        prefect_server.check_api(stub + end, Access())
    assert says.format(stub=stub) in str(refused.value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:1/api", "Connection refused; start it, correct PREFECT_API_URL"),
        ("http://127.0.0.1:1", "Connection refused"),
        ("http://no.such.host.invalid/api", "start it, correct PREFECT_API_URL"),
        ("nonsense", "that is no address; give one such as http://127.0.0.1:4200/api"),
        ("127.0.0.1:4200/api", "that is no address"),
        ("ftp://127.0.0.1/api", "that is no address"),
        ("http:///api", "that is no address"),
        ("http://127.0.0.1:99999/api", "no Prefect server can be used at http://127.0.0.1:99999/api"),
        ("http://user:s3cret@127.0.0.1:1/api", "no Prefect server can be used at http://…@127.0.0.1:1/api"),
    ],
)
def test_an_address_where_nothing_answers(url: str, says: str) -> None:
    with pytest.raises(ServerUnreachable) as refused:
        prefect_server.check_api(url, Access())
    assert says in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_https_where_http_is_spoken(stub: str) -> None:
    with pytest.raises(ServerUnreachable, match="no Prefect server can be used at https://"):
        prefect_server.check_api(stub.replace("http", "https") + "/api", Access())


def test_a_certificate_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "https://127.0.0.1:1/api")
    monkeypatch.setenv("PREFECT_API_SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ServerUnreachable, match=r"none.pem cannot be read; correct PREFECT_API_SSL_CERT_FILE"):
        prefect_server.check_given()
    monkeypatch.setenv("PREFECT_API_TLS_INSECURE_SKIP_VERIFY", "true")
    with pytest.raises(ServerUnreachable, match="Connection refused"):
        prefect_server.check_given()


def test_a_login_that_is_missing_or_wrong(stub: str) -> None:
    for login in (None, "u:wrong", "nocolon"):
        with pytest.raises(ServerUnreachable, match=r"it wants a login \(HTTP 401\); set PREFECT_API_AUTH_STRING"):
            prefect_server.check_api(f"{stub}/closed", Access(login))
    prefect_server.check_api(f"{stub}/closed", Access("u:p"))


def test_a_command_ends_before_anything_is_made(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its settings come from the environment, as in a shell."""
    (tmp_path / "q.jsonl").write_text('{"query": "a?"}\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setitem(os.environ, "ROUTECAL_HOME", "home")
    monkeypatch.setitem(os.environ, "PREFECT_HOME", "prefect")
    monkeypatch.setitem(os.environ, "PREFECT_API_URL", "http://127.0.0.1:1/api")
    assert cli.main(["label", "--queries", "q.jsonl"]) == 2
    assert capsys.readouterr().err.startswith("routecal: no Prefect server can be used at http://127.0.0.1:1/api: ")
    assert [f.name for f in tmp_path.iterdir()] == ["q.jsonl"]


# ---- places


@pytest.mark.parametrize("home", ["file", "file/below", "/proc/prefect", "/dev/null/prefect"])
def test_a_prefect_home_that_cannot_be_written(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / home))
    with pytest.raises(PlaceUnusable, match=r"Prefect's state in .* cannot be written \(.*set PREFECT_HOME"):
        prefect_server.check_prefect_home()


def test_looking_at_a_prefect_home_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "a" / "b"))
    prefect_server.check_prefect_home()
    assert list(tmp_path.iterdir()) == []


# ---- processes


def process(folder: Path, code: str, **variables: str) -> "subprocess.Popen[str]":
    """Python with our packages, in a folder, with homes in it and without Prefect's variables of these tests."""
    own = {"ROUTECAL_HOME": "home", "PREFECT_HOME": "prefect", "PYTHONPATH": str(ROOT)}
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | own | variables
    (folder / "q.jsonl").write_text(json.dumps({"query": "a?", "medium_label": "CORRECT", "large_label": "CORRECT"}))
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], cwd=folder, env=env, stdout=pipe, stderr=pipe, text=True)


# Who runs the tests in the background of a script has Ctrl-C ignored, and so would these.
COMMAND = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from flows import cli, terminal; terminal.end_on_signals(); print('ready', flush=True); "
    "sys.argv = ['routecal', 'label', '--queries', 'q.jsonl']; cli.console()"
)


def test_nothing_heavy_is_imported_to_say_that_a_file_is_not_there(tmp_path: Path) -> None:
    code = (
        "import sys; from flows import cli; print(cli.main(['label', '--queries', 'nowhere.jsonl']), "
        f"cli.main(['train', '--epochs', '0']), sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    out, err = process(tmp_path, code).communicate(timeout=60)
    assert out == "2 2 []\n"
    assert err.startswith("routecal: there is no file nowhere.jsonl")


def test_ctrl_c_while_modules_are_imported(tmp_path: Path) -> None:
    command = process(tmp_path, COMMAND)
    assert command.stdout is not None
    assert command.stdout.readline() == "ready\n"
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=60)
    assert (command.returncode, err) == (130, "routecal: interrupted before the run began; nothing was done\n")


@pytest.mark.served
def test_ctrl_c_while_the_server_starts_leaves_no_server(tmp_path: Path) -> None:
    command = process(tmp_path, COMMAND)
    children: list[psutil.Process] = []
    while not children and command.poll() is None:
        time.sleep(0.05)
        children = psutil.Process(command.pid).children()
    assert len(children) == 1
    command.send_signal(signal.SIGINT)
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=60)
    assert (command.returncode, err) == (130, "routecal: interrupted before the run began; nothing was done\n")
    gone, alive = psutil.wait_procs(children, timeout=30)
    assert (len(gone), alive) == (1, [])


@pytest.mark.served
def test_a_server_whose_command_was_killed_ends(tmp_path: Path) -> None:
    started = (
        "import os, subprocess, sys, time; command = [sys.executable, '-P', sys.argv[1], str(os.getpid()), '1']; "
        "print(subprocess.Popen(command, start_new_session=True).pid, flush=True); time.sleep(60)"
    )
    command = subprocess.Popen(
        [sys.executable, "-c", started, temporary_server.__file__], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert command.stdout is not None
    orphan = psutil.Process(int(command.stdout.readline()))
    command.kill()
    command.communicate(timeout=60)
    assert psutil.wait_procs([orphan], timeout=30)[1] == []


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"PREFECT_LOGGING_LEVEL": "loud"}, "Prefect refuses its settings: LoggingSettings level is 'LOUD', and input"),
    ],
)
def test_settings_that_prefect_refuses(variables: dict[str, str], says: str, tmp_path: Path) -> None:
    command = process(tmp_path, COMMAND, **variables)
    _, err = command.communicate(timeout=60)
    assert command.returncode == 2
    assert err.startswith(f"routecal: {says}")
    assert err.count("\n") == 1


# ---- faults of ours


def test_what_nobody_foresaw_is_one_line_and_a_file(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> int:
        raise KeyError("a\nb")

    monkeypatch.setattr(cli, "_run", broken)
    assert cli.main(["stats"]) == 1
    err = capsys.readouterr().err
    (file,) = (tmp_path / "artifacts" / "logs").iterdir()
    assert err == (
        r"routecal: a fault of routecal, not of yours: KeyError: 'a\nb'; please report it with the traceback in "
        f"{file}\n"
    )
    assert 'raise KeyError("a\\nb")' in file.read_text()
    with pytest.raises(KeyError):
        cli.main(["--verbose", "stats"])


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_a_server_that_went_away(is_wrapped: bool, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(*_: object, **__: object) -> int:
        try:
            raise httpx.ConnectError("All connection attempts failed")
        except httpx.ConnectError as error:
            if is_wrapped:
                raise RuntimeError("Failed to reach API") from error
            raise

    monkeypatch.setattr(cli, "_run", cut_off)
    assert cli.main(["train"]) == 2
    assert capsys.readouterr().err == (
        "routecal: the Prefect server does not answer any more (ConnectError: All connection attempts failed); start "
        "it again and repeat `routecal train`, which goes on where it stopped\n"
    )


def test_a_fault_where_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTECAL_HOME", "/dev/null/home")
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/dev/null")
    assert write_crash_report(ValueError("x"), "stats").endswith("`routecal --verbose stats …` prints the traceback")
