"""Ask a configuration of LiteLLM's proxy without the proxy: which model answers, and why.

    python ask.py plugin.yaml 'Which lake is the deepest?' …

A conversation is asked as JSON, a list of messages.
"""

import asyncio
import importlib
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it looks for prices on the network first

import yaml
from litellm import Router


def resolved(value):
    """What the proxy makes of a configuration: variables of the environment, and the plugin by its name."""
    if isinstance(value, dict):
        return {name: plugin(one) if name == "classifier_plugin" else resolved(one) for name, one in value.items()}
    if isinstance(value, list):
        return [resolved(one) for one in value]
    if isinstance(value, str) and value.startswith("os.environ/"):
        return os.environ[value.removeprefix("os.environ/")]
    return value


def plugin(name):
    """The object that a dotted name names."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


async def main(config, queries):
    said = resolved(yaml.safe_load(Path(config).read_text()))
    router = Router(model_list=said["model_list"], **said["router_settings"])
    for query in queries:
        messages = json.loads(query) if query.startswith("[") else [{"role": "user", "content": query}]
        reply = await router.acompletion("auto", messages, max_tokens=64)
        headers = reply._hidden_params["additional_headers"]
        tier, cause = (headers.get(f"x-litellm-complexity-router-{name}") for name in ("tier", "cause"))
        print(f"{reply.model}\t{tier}\t{cause}\t{query}")


asyncio.run(main(sys.argv[1], sys.argv[2:]))
