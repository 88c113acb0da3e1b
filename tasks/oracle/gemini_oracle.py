"""The `gemini` oracle: Google's models, through the Gemini Developer API or Vertex AI."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from routecal.tasks.errors import OptionMissing
from routecal.tasks.extras import require
from routecal.tasks.oracle.api_oracle import LARGE, MEDIUM, OPTIONS, ApiJudges, ApiOracle, api_oracle, stored_secret
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.engine.stop_reasons import BatchNotServed
from routecal.tasks.oracle.oracle_spec import Api, Oracle

if TYPE_CHECKING:
    from routecal.tasks.oracle.engine.sender import Provider


def _provider(params: Any) -> str:
    return "vertex" if params.vertex else "gemini"


def _resolve(params: Any, _queries: str) -> ApiOracle:
    medium, large = params.medium_model or MEDIUM, params.large_model or LARGE
    return api_oracle(params, _provider(params), medium=medium, large=large)


def _connect(oracle: ApiOracle | ApiJudges, pace: Pace) -> "Callable[[], list[Provider]]":
    """Raises OptionMissing without a key, ExtraMissing without the SDK, BatchNotServed for batch jobs of Vertex AI."""
    from routecal.tasks.oracle.providers.gemini import Gemini, key_from_env

    if pace.backend == "batch" and oracle.provider != "gemini":
        raise BatchNotServed(oracle.provider)
    require("gemini")
    key = None if pace.vertex else key_from_env() or stored_secret(pace.secret)
    if key is None and not pace.vertex:
        raise OptionMissing(
            "Gemini API key",
            f"set GEMINI_API_KEY, or store one in a Prefect Secret block named {pace.secret} "
            "(keys are made at aistudio.google.com/apikey)",
        )
    gemini = Gemini.create(
        key=key,
        vertex=pace.vertex,
        project=pace.vertex_project,
        location=pace.vertex_location,
        # The SDK's own variable for the Gemini API; Vertex AI is elsewhere.
        base_url=pace.base_url or (None if pace.vertex else os.environ.get("GOOGLE_GEMINI_BASE_URL")),
    )
    return lambda: [gemini]


ORACLE = Oracle(
    name="gemini",
    does="asks Gemini",
    resolve=_resolve,
    api=Api(_provider, _connect),
    reads=(*OPTIONS, "vertex"),
    check=lambda params: require("gemini"),
)
