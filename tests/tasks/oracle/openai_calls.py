"""Calls to OpenAI-compatible servers of our own, each sent once from one loop that all tests share."""

import pickle
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from routecal.tasks.oracle.call import Call, Fault, Reply
from routecal.tasks.oracle.providers.openai import OpenAI
from routecal.tasks.oracle.providers.replies import read_response
from tests.tasks.oracle.gemini_calls import LOOP

KEY = "sk-key-that-nobody-may-see"


@contextmanager
def opened(base_url: str, key: str | None = KEY) -> Iterator[OpenAI]:
    provider = OpenAI.create(base_url=base_url, key=key)
    yield provider
    LOOP.run(provider.aclose())


def ask(model: str, **changes: Any) -> Call:
    same = {"provider": "openai:x", "system": "", "prompt": "Capital of France?", "prompt_version": "v"}
    return Call(**same | {"model": model, "config": {"max_output_tokens": 64, "thinking_level": None}} | changes)


def sent(provider: OpenAI, call: Call, *, tier: str = "online", timeout_s: float = 5.0) -> Reply:
    return read_response(call, LOOP.run(provider.send(call, tier=tier, timeout_s=timeout_s)))


def fault_of(provider: OpenAI, call: Call, *, timeout_s: float = 5.0) -> Fault:
    with pytest.raises(Fault) as raised:
        sent(provider, call, timeout_s=timeout_s)
    return raised.value


def told(fault: Fault) -> list[str]:
    """All that anybody may come to read of a fault."""
    assert fault.__context__ is None
    texts = [str(fault), repr(fault), repr(vars(fault)), "".join(traceback.format_exception(fault))]
    return [*texts, pickle.dumps(fault).decode("latin1")]
