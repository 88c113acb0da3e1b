"""The Prefect server of a command: the one that PREFECT_API_URL or a profile names, else a temporary one."""

import os
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from routecal.flows.errors import PlaceUnusable, ServerUnreachable
from routecal.flows.path_checks import refusal
from routecal.flows.start_server import start_server
from routecal.plain_text import plain

# A server on a busy machine accepts at once and answers late.
CONNECTS_WITHIN_S, ANSWERS_WITHIN_S = 5.0, 20.0
EXAMPLE = "http://127.0.0.1:4200/api"
UNSET = "or unset PREFECT_API_URL: a temporary server then runs for the length of the command"


class Access(NamedTuple):
    """How a server is reached, as Prefect's settings have it.

    Attributes:
        login: user:password, for a server with basic authentication.
        key: of Prefect Cloud.
        certificate: file with the authority that signed the server's.
        is_unchecked: whether any certificate will do.
    """

    login: str | None = None
    key: str | None = None
    certificate: str | None = None
    is_unchecked: bool = False


def check_prefect_home() -> None:
    """Refuse a PREFECT_HOME that Prefect could not write to: its server would be waited for in vain.

    Raises:
        PlaceUnusable: with the reason.
    """
    home = Path(os.environ["PREFECT_HOME"]).expanduser()
    if reason := refusal(home):
        raise PlaceUnusable("Prefect's state in", str(home), reason, "set PREFECT_HOME to a folder that can be")


def check_given() -> None:
    """Look whether Prefect answers at the address in the environment, if there is one, before Prefect is imported.

    Raises:
        ServerUnreachable: it does not.
    """
    if url := os.environ.get("PREFECT_API_URL"):
        is_unchecked = os.environ.get("PREFECT_API_TLS_INSECURE_SKIP_VERIFY", "").lower() in ("1", "true", "yes", "on")
        access = Access(certificate=os.environ.get("PREFECT_API_SSL_CERT_FILE"), is_unchecked=is_unchecked)
        with _client(url, access) as client:
            _check_answers(client, url)


def reach_server() -> Callable[[], None]:
    """Look whether the server that Prefect's settings name can be used; start a temporary one where they name none.

    Returns:
        What waits until the server answers: a temporary one takes as long to start as our modules take to import.

    Raises:
        ServerUnreachable: none answers there, or it refuses us.
    """
    from prefect.settings import get_current_settings

    api = get_current_settings().api
    if api.url:
        login = api.auth_string.get_secret_value() if api.auth_string else None
        key = api.key.get_secret_value() if api.key else None
        check_api(api.url, Access(login, key, api.ssl_cert_file, api.tls_insecure_skip_verify))
    elif threading.current_thread() is threading.main_thread():
        return start_server()
    return lambda: None


def api_url() -> str:
    """The API of the server that a run here talks to, be it one that Prefect started, which no setting names."""
    from prefect.settings import PREFECT_API_URL

    if url := PREFECT_API_URL.value():
        return str(url)
    from prefect.server.api.server import SubprocessASGIServer

    return str(SubprocessASGIServer().api_url)


def check_api(url: str, access: Access) -> None:
    """Ask the API at `url` whether it is Prefect's, and whether we may use it.

    Args:
        url: as PREFECT_API_URL has it.
        access: what Prefect's own client sends.

    Raises:
        ServerUnreachable: neither; says what came, and what to try.
    """
    with _client(url, access) as client:
        _check_answers(client, url)
        # Prefect Cloud serves no version.
        status = 200 if access.key else client.get(f"{url.rstrip('/')}/admin/version").status_code
    if status in (401, 403):
        raise ServerUnreachable(
            _without_login(url),
            f"it wants a login (HTTP {status})",
            "set PREFECT_API_AUTH_STRING to user:password as the server has it, or PREFECT_API_KEY for Prefect Cloud",
        )


@contextmanager
def _client(url: str, access: Access) -> Iterator[httpx.Client]:
    """A client that waits for seconds, not minutes; what it cannot reach is refused."""
    shown, parts = _without_login(url), urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ServerUnreachable(shown, "that is no address", f"give one such as {EXAMPLE}, {UNSET}")
    user, colon, password = (access.login or "").partition(":")
    auth = httpx.BasicAuth(user, password) if colon else None
    headers = {"Authorization": f"Bearer {access.key}"} if access.key else {}
    try:
        trusted = _trusted(access)
    except OSError as error:
        reason = f"its certificate {access.certificate} cannot be read"
        raise ServerUnreachable(shown, reason, "correct PREFECT_API_SSL_CERT_FILE") from error
    try:
        timeout = httpx.Timeout(ANSWERS_WITHIN_S, connect=CONNECTS_WITHIN_S)
        with httpx.Client(timeout=timeout, auth=auth, headers=headers, verify=trusted) as client:
            yield client
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or f"no answer within {ANSWERS_WITHIN_S:g} s"
        remedy = f"start it, correct PREFECT_API_URL (an example is {EXAMPLE}), {UNSET}"
        raise ServerUnreachable(shown, reason, remedy) from error


def _trusted(access: Access) -> ssl.SSLContext | bool:
    """Which certificates will do: those of public authorities, of one, or all."""
    if access.is_unchecked or not access.certificate:
        return not access.is_unchecked
    return ssl.create_default_context(cafile=access.certificate)


def _check_answers(client: httpx.Client, url: str) -> None:
    """Refuse what is no Prefect API. Everybody may read its health; a proxy before it may want a login even so."""
    health = client.get(f"{url.rstrip('/')}/health")
    if not _is_healthy(health) and health.status_code not in (401, 403):
        raise ServerUnreachable(_without_login(url), _what(health), _remedy(client, url))


def _is_healthy(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.text.strip() == "true"


def server_fault(error: BaseException | None) -> str | None:
    """What went wrong on the way to the Prefect server; None if nothing did there. Nobody else here speaks httpx."""
    while error is not None:
        if type(error).__module__.partition(".")[0] in ("httpx", "httpcore"):
            return plain(f"{type(error).__name__}: {error}", at_most=300)
        error = error.__cause__ or error.__context__
    return None


def _what(answer: httpx.Response) -> str:
    if answer.is_redirect:
        return f"it sends on to {answer.headers.get('location', 'nowhere')}"
    return f"what answers there is no Prefect API (HTTP {answer.status_code})"


def _remedy(client: httpx.Client, url: str) -> str:
    """What else to try: people leave out /api, or write the address of the UI."""
    parts = urlsplit(url)
    own = f"{parts.scheme}://{parts.netloc}/api"
    try:
        if _is_healthy(client.get(f"{own}/health")):
            return f"its API is at {_without_login(own)}: set PREFECT_API_URL to that"
    except httpx.HTTPError:
        pass
    return f"give the address of a Prefect server, which ends in /api as {EXAMPLE} does, {UNSET}"


def _without_login(url: str) -> str:
    before, at, after = url.rpartition("@")
    return f"{before.split('://')[0]}://…@{after}" if at and "://" in before else (after if at else url)
