"""A webhook on loopback, and what it was told."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hook:
    """What was heard so far, and where to say more.

    Attributes:
        heard: the texts, in order.
        url: takes `{"text": ...}`.
    """

    def __init__(self, url: str, heard: list[str]) -> None:
        self.url, self.heard = url, heard


@contextmanager
def listening() -> Iterator[Hook]:
    """A webhook while the block runs."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.append(said["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Hook(f"http://127.0.0.1:{server.server_port}/hook", heard)
        finally:
            server.shutdown()
            thread.join()
