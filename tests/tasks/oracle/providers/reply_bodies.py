"""Calls, bodies that answer them, and the kinds of faults."""

import json
from typing import Any

from routecal.tasks.oracle.call import Call, FaultKind

FATAL, DAY_QUOTA, RATE, TRANSIENT, ROW, BROKEN = FaultKind

WRITE = Call("gemini", "m", "", "q", {}, "v")
DECIDE = Call("gemini", "m", "", "q", {}, "v", endpoint="decide")
CHAT = Call("openai:http://127.0.0.1/v1", "m", "", "q", {}, "v")


def candidate(**fields: Any) -> str:
    return json.dumps({"candidates": [fields]})


def chat(message: dict[str, Any], finish: str | None = "stop", **fields: Any) -> str:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}], **fields})
