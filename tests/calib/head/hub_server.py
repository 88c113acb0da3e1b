"""A Hugging Face Hub on loopback, as small as one commit and one snapshot need: repositories of plain files, no LFS."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "hf_made_up"  # what a client has to send to write


class Hub(ThreadingHTTPServer):
    """Holds repositories as {name: {path: bytes}}, what was asked of it, and the commit messages."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.visibility: dict[str, str | None] = {}
        self.messages: list[str] = []
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def sha(self, repo: str) -> str:
        return hashlib.sha1(repr(sorted(self.repositories[repo].items())).encode()).hexdigest()


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(f"POST {self.path}")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._send({"error": "not yours to write"}, status=401)
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked['organization']}/{asked['name']}"
            self.server.repositories.setdefault(repo, {})
            self.server.visibility[repo] = asked.get("visibility")
            return self._send({"url": f"{self.server.url}/{repo}", "id": repo})
        if self.path == "/api/validate-yaml":
            assert json.loads(body)["content"].startswith("---\n")
            return self._send({"errors": [], "warnings": []})
        repo, verb = self._parts(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main")
        if verb == "preupload":
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]
            ]
            return self._send({"files": files})
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "header":
                self.server.messages.append(line["value"]["summary"])
            else:
                assert line["key"] == "file"
                content = base64.b64decode(line["value"]["content"])
                self.server.repositories[repo][line["value"]["path"]] = content
        sha = self.server.sha(repo)
        self._send({"commitUrl": f"{self.server.url}/{repo}/commit/{sha}", "commitOid": sha, "success": True})

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/[^/?]+)?(?:\?.*)?", self.path):
            repo, kind = found.group(1), found.group(2) or "revision"
            if repo not in self.server.repositories:
                return self._send({"error": "no such repository"}, {"X-Error-Code": "RepoNotFound"}, status=404)
            files = self.server.repositories[repo]
            if kind == "revision":
                siblings = [{"rfilename": name} for name in files]
                return self._send({"id": repo, "sha": self.server.sha(repo), "private": False, "siblings": siblings})
            tree = [{"type": "file", "path": p, "size": len(b), "oid": etag(b)} for p, b in files.items()]
            return self._send(tree)
        repo, name = self._parts(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)")
        content = self.server.repositories[repo][name]
        self._send(content, {"ETag": f'"{etag(content)}"', "X-Repo-Commit": self.server.sha(repo)})

    do_HEAD = do_GET  # noqa: N815

    def _parts(self, pattern: str) -> tuple[str, str]:
        found = re.fullmatch(pattern, self.path)
        assert found, self.path
        return found.group(1), found.group(2)

    def _send(self, payload: Any, headers: dict[str, str] | None = None, *, status: int = 200) -> None:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@contextmanager
def serving() -> Iterator[Hub]:
    """A Hub that answers until the block ends."""
    with Hub() as hub:
        thread = Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()
