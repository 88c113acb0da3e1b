"""Where in the UI a report opens."""

from pathlib import PurePosixPath
from typing import Any

import httpx
from prefect.client.orchestration import get_client

# Hexadecimal digits of a router's hash that tell routers apart in the key of an artifact.
SHORT = 8


def report_link(report: str) -> str | None:
    """Address of a report on this run's Prefect server; None where that does not serve it (`routecal serve` does).

    Args:
        report: path or URL of the page, as `write_report` returns it.
    """
    path = "/reports/" + "/".join(PurePosixPath(report).parts[-2:])
    with get_client(sync_client=True) as client:
        root = str(client.api_url).rstrip("/").removesuffix("/api")
        ask: Any = client.request  # typed for the paths of the API alone
        try:
            ask("HEAD", root + path)
        except httpx.HTTPError:
            return None
    return path
