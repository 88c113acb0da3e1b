"""The `openai` oracle: models behind any endpoint that speaks OpenAI's protocol."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from routecal.tasks.errors import OptionMissing
from routecal.tasks.extras import require
from routecal.tasks.oracle.api_oracle import OPTIONS, ApiJudges, ApiOracle, api_oracle, stored_secret
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.engine.stop_reasons import BatchNotServed
from routecal.tasks.oracle.oracle_spec import Api, Oracle
from routecal.tasks.oracle.providers.address import address_of

if TYPE_CHECKING:
    from routecal.tasks.oracle.engine.sender import Provider

# The Prefect Secret block with the key of an OpenAI-compatible endpoint, unless another is named.
SECRET_BLOCK = "openai-api-key"


def _check(params: Any) -> None:
    if not hasattr(params, "medium_model"):
        # Judging again asks no model for an answer.
        if params.judge_model is None:
            raise OptionMissing("judge at the openai endpoint", "name one with --judge-model")
    elif params.medium_model is None or params.large_model is None:
        raise OptionMissing("models for the openai oracle", "name them with --medium-model and --large-model")
    if params.base_url is None:
        raise OptionMissing("endpoint for the openai oracle", "name it with --base-url, as http://127.0.0.1:8000/v1")
    if params.backend == "batch":
        raise OptionMissing("batch backend for the openai oracle", "leave out --backend batch")
    if params.judge == "decision":
        raise OptionMissing("decisions at the openai endpoint", "let a model judge: leave out --judge decision")
    require("openai")


def _provider(params: Any) -> str:
    """Part of every call's key, and so without user and password."""
    return f"openai:{address_of(params.base_url).url}"


def _resolve(params: Any, _queries: str) -> ApiOracle:
    return api_oracle(params, _provider(params), medium=params.medium_model, large=params.large_model)


def _connect(oracle: ApiOracle | ApiJudges, pace: Pace) -> "Callable[[], list[Provider]]":
    """Raises ExtraMissing without the openai package, BatchNotServed for batch jobs, which are Gemini's own."""
    if pace.backend == "batch":
        raise BatchNotServed(oracle.provider)
    require("openai")
    from routecal.tasks.oracle.providers.openai import OpenAI

    # Servers of one's own, vLLM or Ollama, want no key. The block that is looked into unless another is named holds
    # Google's, which no other server may be sent.
    block = SECRET_BLOCK if pace.secret == Pace.model_fields["secret"].default else pace.secret
    key = os.environ.get("OPENAI_API_KEY", "").strip() or stored_secret(block)
    # The provider's name has no user and password; what was given may.
    provider = OpenAI.create(base_url=pace.base_url or oracle.provider.removeprefix("openai:"), key=key)
    return lambda: [provider]


ORACLE = Oracle(
    name="openai",
    does="asks any OpenAI-compatible endpoint (vLLM, Ollama, LiteLLM)",
    resolve=_resolve,
    api=Api(_provider, _connect),
    reads=OPTIONS,
    check=_check,
)
