"""The environment that server, worker, command line and cron share, so that each finds what the others finished."""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from routecal.flows.prefect_settings import run_environment

HOST, PORT = "127.0.0.1", 4200
WEBHOOK_URL = "ROUTECAL_WEBHOOK_URL"

# Without these the recorder of task runs falls 30 s behind a burst of a thousand, and the API answers 503.
BATCHES = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
}

# Who holds which slots of a limit, on disk. In memory, where Prefect has it, a server that dies forgets it while its
# database goes on counting the slots as taken: no night would ever run again.
LEASES = "prefect.server.concurrency.lease_storage.filesystem"


def environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables of a server on loopback and of whoever talks to it; what is set already stays.

    Args:
        given: instead of this process's environment.
    """
    env = dict(os.environ if given is None else given)
    port = env.get("PREFECT_SERVER_API_PORT", str(PORT))
    host = env.get("PREFECT_SERVER_API_HOST", HOST)
    # A server that listens everywhere is still reached by this machine at one address.
    reached = HOST if host in ("0.0.0.0", "::") else host
    defaults = {
        **run_environment(verbose=True, refresh=False),
        **BATCHES,
        "PREFECT_SERVER_API_HOST": host,
        "PREFECT_SERVER_API_PORT": port,
        "PREFECT_API_URL": f"http://{reached}:{port}/api",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "3",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "routecal",
        "PREFECT_CLI_PROMPT": "false",
        "ROUTECAL_ROOT": os.getcwd(),
        "ROUTECAL_TIMEZONE": "UTC",
        "PYTHONUNBUFFERED": "1",
    }
    if auth := env.get("PREFECT_SERVER_API_AUTH_STRING"):
        defaults["PREFECT_API_AUTH_STRING"] = auth
    return defaults | env


def complaint(env: Mapping[str, str]) -> str:
    """What is wrong with variables that people set, as a sentence; empty if nothing is.

    Args:
        env: see `environment`.
    """
    port, zone, hook = env["PREFECT_SERVER_API_PORT"], env["ROUTECAL_TIMEZONE"], env.get(WEBHOOK_URL, "")
    if not (port.isdecimal() and 0 < int(port) < 65536):
        return f"PREFECT_SERVER_API_PORT is {port!r}; give a port from 1 to 65535"
    try:
        ZoneInfo(zone)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        return f"ROUTECAL_TIMEZONE is {zone!r}, which is no time zone; an example is Europe/Berlin"
    # The address itself is not shown: who knows it can write to the channel.
    if hook and not (urlsplit(hook).scheme in ("http", "https") and urlsplit(hook).hostname):
        return f"{WEBHOOK_URL} is no address; it begins with https:// or http://"
    return ""
