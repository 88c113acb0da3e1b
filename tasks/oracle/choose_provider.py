"""Which provider serves an oracle, and where its key comes from: the environment or a Prefect Secret, nowhere else."""

import os
from collections.abc import Callable
from typing import Any

from prefect.blocks.system import Secret

from routecal.tasks.errors import OptionMissing
from routecal.tasks.extras import require
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.engine.sender import Provider
from routecal.tasks.oracle.engine.stop_reasons import BatchNotServed
from routecal.tasks.oracle.oracle_spec import ApiOracle
from routecal.tasks.oracle.providers.gemini import Gemini, key_from_env
from routecal.tasks.oracle.rejudging import ApiJudges

# The Prefect Secret block with the key of an OpenAI-compatible endpoint, unless another is named.
OPENAI_BLOCK = "openai-api-key"


def providers_for(oracle: ApiOracle | ApiJudges, pace: Pace) -> Callable[[], list[Provider]]:
    """Makes the provider of an oracle. The key is looked for now, so that a run without one ends at once.

    Raises:
        OptionMissing: there is no key.
        ExtraMissing: a package of the provider is not installed.
        BatchNotServed: the batch backend is Gemini's own.
    """
    if pace.finished_only:
        return list
    if pace.backend == "batch" and oracle.provider != "gemini":
        raise BatchNotServed(oracle.provider)
    if oracle.kind == "openai":
        return _openai(oracle.provider.removeprefix("openai:"), pace)
    require("gemini")
    key = None if pace.vertex else key_from_env() or _stored(pace.secret)
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


def _openai(base_url: str, pace: Pace) -> Callable[[], list[Provider]]:
    require("openai")
    from routecal.tasks.oracle.providers.openai import OpenAI

    # Servers of one's own, vLLM or Ollama, want no key. The block that is looked into unless another is named holds
    # Google's, which no other server may be sent.
    block = OPENAI_BLOCK if pace.secret == Pace.model_fields["secret"].default else pace.secret
    key = os.environ.get("OPENAI_API_KEY", "").strip() or _stored(block)
    # The provider's name has no user and password; what was given may.
    provider = OpenAI.create(base_url=pace.base_url or base_url, key=key)
    return lambda: [provider]


def _stored(block: str) -> str | None:
    """What a Secret block holds, if there is one of that name."""
    try:
        secret: Any = Secret.load(block)
        return str(secret.get()).strip() or None
    except ValueError:
        return None
