"""Calls of Gemini to the server of our own, each sent once from one loop that all tests share."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from routecal.tasks.oracle.call import Call, Fault, Reply
from routecal.tasks.oracle.providers.gemini import Gemini
from routecal.tasks.oracle.providers.replies import read_response

KEY = "key-that-nobody-may-see"
QUESTIONS = {"q": {"type": "choice", "instructions": "Grade.", "criteria": {"CORRECT": "", "INCORRECT": ""}}}
SCHEMA = {"type": "object", "properties": {"grade": {"type": "string", "enum": ["CORRECT", "INCORRECT"]}}}


# One loop for most tests: every new one costs a client of the SDK, a fifth of a second.
LOOP = asyncio.Runner()


@contextmanager
def opened(**arguments: Any) -> Iterator[Gemini]:
    gemini = Gemini.create(**arguments)
    yield gemini
    LOOP.run(gemini.aclose())


def ask(model: str, **changes: Any) -> Call:
    config = {"max_output_tokens": 64, "thinking_level": "LOW"}
    return Call(**{"provider": "gemini", "model": model, "system": "", "prompt": "Capital of France?"} | {
        "config": config, "prompt_version": "v"} | changes)  # fmt: skip


def decide(model: str) -> Call:
    return ask(model, config={"questions": QUESTIONS}, endpoint="decide")


def sent(gemini: Gemini, call: Call, *, tier: str = "online", timeout_s: float = 5.0) -> Reply:
    return read_response(call, LOOP.run(gemini.send(call, tier=tier, timeout_s=timeout_s)))


def fault_of(gemini: Gemini, call: Call, *, timeout_s: float = 5.0) -> Fault:
    with pytest.raises(Fault) as raised:
        sent(gemini, call, timeout_s=timeout_s)
    return raised.value
