"""The server as a process of its own, which outlives a client that is killed.

    python -m tests.gemini_server --port 0 --script script.json --answers answers.json

prints its address on one line and serves until it is terminated. `script.json` holds {model: script}, `answers.json`
{query: answer} or {query: {model: answer}}.
"""

import argparse
import asyncio
import contextlib
import json
import signal
from pathlib import Path

from tests.gemini_server.answers import Answers
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import GeminiServer


async def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.gemini_server")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", type=Path)
    parser.add_argument("--answers", type=Path)
    parser.add_argument("--unknown", default="answer {digest}", help="answer to every other query")
    options = parser.parse_args()
    scripts = json.loads(options.script.read_text("utf-8")) if options.script else {}
    known = json.loads(options.answers.read_text("utf-8")) if options.answers else {}
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = GeminiServer(
        {model: Script.of(values) for model, values in scripts.items()},
        respond=Answers(known, unknown=options.unknown),
        port=options.port,
    )
    async with server:
        print(server.url, flush=True)
        await stop.wait()


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
