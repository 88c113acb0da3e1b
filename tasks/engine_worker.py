"""What an engine's workers do beside tasks: prepare themselves, and say what they see of home and server."""

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import NamedTuple

import httpx

from routecal.storage.remote import is_there

ANSWERS_WITHIN_S = 15.0


class Sight(NamedTuple):
    """What a worker sees.

    Attributes:
        version: of its routecal.
        missing: which of the places are not there.
        has_server: whether Prefect's server answers.
    """

    version: str
    missing: list[str]
    has_server: bool


def prepare(variables: Mapping[str, str], n_threads: int) -> None:
    """Give a worker its environment, and as many threads for matrix products as it was started with."""
    import torch

    os.environ.update(variables)
    torch.set_num_threads(n_threads)


def look(places: Sequence[str], url: str) -> Sight:
    """Look for artifacts, and for Prefect's server.

    Args:
        places: paths or fsspec URLs.
        url: of the server, as PREFECT_API_URL has it.
    """
    missing = [place for place in places if not is_there(place)]
    try:
        has_server = httpx.get(f"{url.rstrip('/')}/health", timeout=ANSWERS_WITHIN_S).status_code < 500
    except httpx.HTTPError:
        has_server = False
    return Sight(version("routecal"), missing, has_server)
