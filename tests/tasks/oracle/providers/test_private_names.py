"""What we use of google-genai, and of what it stands on, that they do not promise to keep: an upgrade that moves one of
these fails here, by name."""

import importlib
import inspect
import logging
import warnings
from pathlib import Path

import pytest
from google.genai import Client, types

from routecal.tasks.oracle.providers.finish_reasons import MAX_TOKENS, STOP, WITHHELD, end_of
from routecal.tasks.oracle.providers.gemini_config import sdk_config, user_turn
from tests.tasks.oracle.gemini_calls import ask

# module, attribute, and which file of ours would break.
PRIVATE = [
    ("google.genai._gaos.lib.compat_errors", "APIError", "providers/classify.py"),
    ("google.genai._gaos.lib.compat_errors", "APIConnectionError", "providers/classify.py"),
    ("google.genai._gaos.lib.compat_errors", "APITimeoutError", "providers/classify.py"),
    ("google.genai._api_client", "logger", "providers/gemini.py, batch/lines.py"),
    ("google.genai._api_client", "BaseApiClient.async_request", "batch/api.py"),
    ("google.genai._common", "get_value_by_path", "providers/gemini_config.py"),
    ("google.genai._common", "CaseInSensitiveEnum", "batch/api.py, providers/gemini_config.py"),
]


@pytest.mark.parametrize(("module", "name", "ours"), PRIVATE)
def test_a_private_name_is_where_it_was(module: str, name: str, ours: str) -> None:
    found = importlib.import_module(module)
    for part in name.split("."):
        assert hasattr(found, part), f"{module}.{name} is gone, which tasks/oracle/{ours} uses"
        found = getattr(found, part)


def test_the_logger_that_is_silenced_is_the_one_that_speaks() -> None:
    speaking = importlib.import_module("google.genai._api_client").logger
    assert speaking is logging.getLogger("google_genai._api_client")


def test_errors_of_the_other_half_are_a_family() -> None:
    errors = importlib.import_module("google.genai._gaos.lib.compat_errors")
    assert issubclass(errors.APITimeoutError, errors.APIConnectionError)
    assert issubclass(errors.APIConnectionError, errors.APIError)


def test_a_client_has_the_parts_that_batches_and_decisions_are_asked_through() -> None:
    client = Client(vertexai=False, api_key="none")
    try:
        batches = client.aio.batches
        assert list(inspect.signature(batches._api_client.async_request).parameters)[:4] == [
            "http_method",
            "path",
            "request_dict",
            "http_options",
        ]
        assert callable(client.aio.decisions.with_raw_response.create)
    finally:
        client.close()


def test_a_quick_config_is_read_by_attributes() -> None:
    by_path = importlib.import_module("google.genai._common").get_value_by_path
    call = ask("m")
    config = sdk_config("Be brief.", call.config_json, "online", 1000)
    assert "max_output_tokens" not in config
    assert by_path(config, ["max_output_tokens"]) == 64
    assert by_path(user_turn("Capital of France?"), ["role"]) == "user"


def test_what_we_keep_the_sdk_from_saying_is_what_it_says() -> None:
    with pytest.warns(UserWarning, match=".* is not a valid JobState"):
        types.JobState("JOB_STATE_DREAMING")
    source = Path(str(importlib.import_module("aiohttp.payload").__file__)).read_text(encoding="utf-8")
    assert '"Sending a large body' in source


@pytest.mark.parametrize("reason", types.FinishReason)
def test_each_end_that_the_sdk_knows_is_an_answer_withheld_or_broken(reason: types.FinishReason) -> None:
    """A reason that is new to the SDK is broken until somebody has decided otherwise, here and in `ends.py`."""
    end = end_of(ask("m"), reason.value)
    decided = {STOP, MAX_TOKENS} | WITHHELD
    assert end == (reason.value if reason.value in decided else None)


def test_each_end_that_we_know_is_one_of_the_sdk_or_of_its_blocks() -> None:
    known = {reason.value for reason in types.FinishReason} | {reason.value for reason in types.BlockedReason}
    assert known >= WITHHELD | {STOP, MAX_TOKENS}


def test_one_raw_response_is_handed_over() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        options = types.HttpOptions(retry_options=types.HttpRetryOptions(attempts=1))
    fields = set(types.HttpOptions.model_fields)
    assert {"aiohttp_client", "httpx_client", "httpx_async_client", "base_url", "api_version", "timeout"} <= fields
    assert options.retry_options is not None
    assert "should_return_http_response" in types.GenerateContentConfig.model_fields
    assert "automatic_continuation" in types.GenerateContentConfig.model_fields
    assert "body" in types.HttpResponse.model_fields
