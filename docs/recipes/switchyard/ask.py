"""Start Switchyard's server with a configuration and ask it: which model answers, and with which status.

python ask.py routes.toml 'Which lake is the deepest?' …
"""

import json
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from switchyard_rust.server import Server


def ask(url, model, query):
    """(status, the model that answers) of one request."""
    body = {"model": model, "messages": [{"role": "user", "content": query}]}
    headers = {"Content-Type": "application/json"}
    try:
        with urlopen(Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), headers)) as reply:
            return reply.status, reply.headers["x-model-router-selected-model"]
    except HTTPError as error:
        return error.code, None


config, *queries = sys.argv[1:]
with Server(Path(config)) as server:
    for query in queries:
        status, model = ask(server.base_url, "auto", query)
        if model is None:
            _, model = ask(server.base_url, "large", query)
        print(f"{model}\t{status}\t{query}")
