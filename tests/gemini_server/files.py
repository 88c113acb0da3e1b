"""Files: resumable upload, metadata, download."""

import base64
import hashlib
import json
import re
from itertools import count
from typing import Any

from aiohttp import web

from tests.gemini_server.refusals import error
from tests.gemini_server.sending import refuse

UPLOAD = re.compile(r"^/upload/v1\w*/files$")
FILES = re.compile(r"^/v1\w*/files(?:/(?P<name>[\w-]+)(?P<download>:download)?)?$")

# The service keeps a file for two days; nothing here depends on the time.
_WHEN = {"createTime": "2026-11-20T10:00:00Z", "updateTime": "2026-11-20T10:00:00Z"}


class Files:
    """Everything that was uploaded or made by a batch, by name, in memory."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.about: dict[str, dict[str, Any]] = {}
        self._uploads: dict[str, bytearray] = {}
        self._numbers = count(1)

    def add(self, name: str, content: bytes, **about: Any) -> None:
        """Keep a file; `name` is without `files/`."""
        self.content[name] = content
        self.about[name] = {
            "name": f"files/{name}",
            "sizeBytes": str(len(content)),
            "sha256Hash": base64.b64encode(hashlib.sha256(content).hexdigest().encode()).decode(),
            "state": "ACTIVE",
            "source": "UPLOADED",
            **_WHEN,
            **about,
        }

    async def upload(self, http: web.BaseRequest) -> web.Response:
        """Both kinds of request of a resumable upload: the start, and each chunk."""
        command = http.headers.get("X-Goog-Upload-Command", "")
        if command == "start":
            name = f"f{next(self._numbers):08d}"
            asked = json.loads(await http.read() or b"{}").get("file", {})
            self._uploads[name] = bytearray()
            wanted = {k: asked[k] for k in ("displayName", "mimeType") if k in asked}
            self.about[name] = {"mimeType": http.headers.get("X-Goog-Upload-Header-Content-Type", ""), **wanted}
            url = f"{http.url.origin()}{http.path}?upload_id={name}&upload_protocol=resumable"
            return web.json_response({}, headers={"X-Goog-Upload-URL": url, "X-Goog-Upload-Status": "active"})
        name = http.query.get("upload_id", "")
        received = self._uploads.get(name)
        if received is None or http.headers.get("X-Goog-Upload-Offset") != str(len(received)):
            return refuse(error(400, "INVALID_ARGUMENT", "There is no such upload, or a piece of it is missing."))
        received += await http.read()
        if "finalize" not in command:
            return web.json_response({}, headers={"X-Goog-Upload-Status": "active"})
        self.add(name, bytes(self._uploads.pop(name)), **self.about[name])
        return web.json_response({"file": self.about[name]}, headers={"X-Goog-Upload-Status": "final"})

    def serve(self, http: web.BaseRequest, name: str | None, download: bool) -> web.Response:
        """List, metadata, content or deletion."""
        if name is None:
            return web.json_response({"files": [self.about[n] for n in self.content]})
        if name not in self.content:
            return refuse(error(403, "PERMISSION_DENIED", f"You do not have permission to access the File {name}."))
        if http.method == "DELETE":
            del self.content[name], self.about[name]
            return web.json_response({})
        if download:
            return web.Response(body=self.content[name], content_type="application/octet-stream")
        return web.json_response(self.about[name])
