"""A call's config as google-genai takes it."""

import json
import warnings
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.genai.types import Content, GenerateContentConfig

# How a call can travel one by one, as the SDK names it.
TIERS: dict[str, Any] = {"online": None, "flex": "flex"}


@lru_cache(maxsize=64)
def sdk_config(system: str, config: str, tier: str, timeout_ms: int) -> "GenerateContentConfig":
    """The SDK's config object; `config` is a call's, as JSON.

    Calls of one stage share it: building it costs more than sending it.

    Raises:
        ValueError: the config holds an option that means nothing here.
    """
    from google.genai.types import (
        AutomaticFunctionCallingConfig,
        GenerateContentConfig,
        HttpOptions,
        ThinkingConfig,
    )

    wanted = json.loads(config)
    if unknown := wanted.keys() - {"max_output_tokens", "thinking_level", "schema", "json_object"}:
        raise ValueError(f"a call of Gemini has no option {', '.join(sorted(unknown))}")
    schema, thinking = wanted.get("schema"), wanted.get("thinking_level")
    with warnings.catch_warnings():
        # A thinking level newer than the SDK makes it warn, and is sent as it is.
        warnings.simplefilter("ignore", UserWarning)
        thinking_config = ThinkingConfig(thinking_level=thinking) if thinking else None
    options: GenerateContentConfig = _quick(GenerateContentConfig)(
        system_instruction=system or None,
        max_output_tokens=wanted.get("max_output_tokens"),
        thinking_config=thinking_config,
        response_mime_type="application/json" if schema or wanted.get("json_object") else None,
        response_json_schema=schema,
        service_tier=TIERS[tier],
        automatic_continuation=False,
        automatic_function_calling=AutomaticFunctionCallingConfig(disable=True),
        should_return_http_response=True,
        http_options=HttpOptions(timeout=timeout_ms),
    )
    return options


def user_turn(prompt: str) -> "Content":
    """The one user turn of a request."""
    from google.genai.types import Content, Part

    turn: Content = _quick(Content)(role="user", parts=[_quick(Part)(text=prompt)])
    return turn


@cache
def _quick(model: type) -> Any:
    """A model of the SDK that is read attribute by attribute.

    To turn a request into JSON the SDK asks `name in model` for each of some fifty names, and pydantic answers by
    walking all fields every time: a fifth of all that the engine's thread did. Told "no", the SDK looks the attribute
    up instead.
    """
    return type(model.__name__, (model,), {"__contains__": lambda self, name: False, "__module__": __name__})
