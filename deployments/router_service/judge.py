"""routecal as the judge that LiteLLM's capability classifier and Switchyard's `llm_classifier` ask.

Both send a chat completion whose newest message of the user is the task, or a follow-up to it, and read a JSON object
with these names and no others. `p_solve` is the probability that the medium model is enough. The gateway compares it
with the threshold in its own configuration, as `router-routecal-T` compares it with T. Set to the threshold of a head
that decides by confidence it serves as that does, but for complex queries that the router doubts; a head that decides
by the gain has no such number. `GET /v1/models` tells both.
"""

import json
import time
from typing import Any

from routecal.deployments.router_service.decider import Served
from routecal.deployments.router_service.decision_models import is_enough


def verdict(served: Served) -> dict[str, Any]:
    """What a judge says of a query."""
    # The rule of a question within the boundary: one without a decision is told by its probability, which is 0.
    return {
        "crux": served.action.override or (served.by.policy.value if served.by is not None else "no decision"),
        "primary_rule": "SUP-1",
        "capability_boundary": "supported",
        "p_solve": is_enough(served),
    }


def verdict_completion(served: Served, model: str) -> dict[str, Any]:
    """The verdict as a chat completion."""
    message = {"role": "assistant", "content": json.dumps(verdict(served)), "refusal": None}
    return {
        "id": f"chatcmpl-{served.id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }
