"""The Prefect server that a user names: one that is of no use is refused within seconds, with what to try."""

import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from routecal.flows import cli, prefect_server
from routecal.flows.errors import PlaceUnusable, ServerUnreachable
from routecal.flows.prefect_server import Access
from tests.flows.refusal import Capture


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
