"""Batch jobs: created, polled, listed, cancelled, deleted; results in a file or inline.

A job's rows are answered, and billed, when it is created, unless the script has it end without any. How far it is said
to be is counted in polls, not seconds, so that no test waits.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from aiohttp import web

from tests.gemini_server import wire
from tests.gemini_server.answers import Respond
from tests.gemini_server.files import Files
from tests.gemini_server.refusals import REFUSALS, Refusal, error
from tests.gemini_server.replying import CONTENT, body_of
from tests.gemini_server.scripts import Playing
from tests.gemini_server.sending import refuse

BATCHES = re.compile(r"^/v1\w*/batches(?:/(?P<name>[\w-]+)(?P<cancel>:cancel)?)?$")

# Ends that bring results.
FRUITFUL = {"SUCCEEDED", "PARTIALLY_SUCCEEDED"}
_ENDS = FRUITFUL | {"FAILED", "CANCELLED", "EXPIRED"}


@dataclass
class Job:
    """One batch job, and how often it was asked after."""

    name: str
    model: str
    display_name: str
    end: str
    polls_left: int
    n_rows: int
    output: dict[str, Any] = field(default_factory=dict)
    n_failed: int = 0
    polls: int = 0

    @property
    def state(self) -> str:
        """Without its prefix; a job whose end is no end, like PENDING, stays there."""
        if self.polls_left <= 0:
            return self.end
        return "PENDING" if self.polls <= 1 else "RUNNING"

    def as_json(self) -> dict[str, Any]:
        """The operation, as GET and list give it."""
        stats = {"requestCount": str(self.n_rows)}
        fruitful = self.state in FRUITFUL
        if fruitful:
            stats |= {
                "successfulRequestCount": str(self.n_rows - self.n_failed),
                "failedRequestCount": str(self.n_failed),
            }
        operation: dict[str, Any] = {
            "name": f"batches/{self.name}",
            "metadata": {
                "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
                "name": f"batches/{self.name}",
                "model": f"models/{self.model}",
                "displayName": self.display_name,
                "createTime": "2026-11-20T10:00:00Z",
                "updateTime": "2026-11-20T10:00:00Z",
                "batchStats": stats,
                "state": f"BATCH_STATE_{self.state}",
                **({"output": self.output} if fruitful else {}),
            },
        }
        if self.state in _ENDS:
            operation["done"] = True
            operation["metadata"]["endTime"] = "2026-11-20T10:30:00Z"
        if fruitful:
            operation["response"] = self.output
        if self.state == "FAILED":
            operation["error"] = {"code": 13, "message": "Batch failed without an explanation."}
        return operation


class Batches:
    """All jobs, in order of creation."""

    def __init__(self, files: Files, respond: Callable[[], Respond], billed: Counter[bytes]) -> None:
        self.jobs: dict[str, Job] = {}
        self._files, self._respond, self._billed = files, respond, billed

    def create(self, model: str, body: dict[str, Any], playing: Playing) -> dict[str, Any] | Refusal:
        """A new job, or why there is none. Creation is not idempotent: the same request makes another job."""
        batch = body.get("batch") or {}
        source = wire.pick(batch, "inputConfig", "input_config") or {}
        inline = (source.get("requests") or {}).get("requests")
        if inline is None:
            name = str(wire.pick(source, "fileName", "file_name")).removeprefix("files/")
            if name not in self._files.content:
                return error(404, "NOT_FOUND", f"There is no input file files/{name}.")
            try:
                rows = [json.loads(line) for line in self._files.content[name].splitlines() if line.strip()]
            except ValueError:
                return error(400, "INVALID_ARGUMENT", "The input file is not JSON Lines.")
        else:
            rows = inline
        if not rows or not all("request" in row for row in rows):
            return error(400, "INVALID_ARGUMENT", "Every row of a batch must hold a request.")
        script = playing.script.batch
        number = f"b{len(self.jobs) + 1:06d}"
        job = Job(number, model, wire.pick(batch, "displayName", "display_name"), script.end, script.polls, len(rows))
        self.jobs[number] = job
        if script.end in FRUITFUL:
            results = self._results(model, rows, playing, job)
            if inline is None:
                lines = [json.dumps(result) for result in results]
                content = "".join(f"{line}\n" for line in lines)
                whole = content[: -len(lines[-1]) // 2] if script.torn else content
                self._files.add(f"batch-{number}", whole.encode(), mimeType="application/jsonl", source="GENERATED")
                job.output = {"responsesFile": f"files/batch-{number}"}
            else:
                job.output = {"inlinedResponses": {"inlinedResponses": results}}
        return job.as_json()

    def serve(self, http: web.BaseRequest, name: str | None, cancel: bool) -> web.Response:
        """List, poll, cancel or delete."""
        if name is None:
            return self._listed(http)
        if (job := self.jobs.get(name)) is None:
            return refuse(error(404, "NOT_FOUND", f"There is no batch {name}."))
        if cancel:
            if job.state not in _ENDS:
                job.end, job.polls_left = "CANCELLED", 0
            return web.json_response({})
        if http.method == "DELETE":
            del self.jobs[name]
            return web.json_response({})
        job.polls += 1
        answer = job.as_json()
        job.polls_left -= 1
        return web.json_response(answer)

    def _listed(self, http: web.BaseRequest) -> web.Response:
        """The newest first, by pages."""
        size, start = int(http.query.get("pageSize") or 50), int(http.query.get("pageToken") or 0)
        newest = list(self.jobs.values())[::-1]
        page: dict[str, Any] = {"operations": [job.as_json() for job in newest[start : start + size]]}
        if start + size < len(newest):
            page["nextPageToken"] = str(start + size)
        return web.json_response(page)

    def _results(self, model: str, rows: list[dict[str, Any]], playing: Playing, job: Job) -> list[dict[str, Any]]:
        script, random = playing.script.batch, Random(playing.script.seed)
        step = playing.script.then if playing.script.then in CONTENT else "ok"
        results = []
        for row in rows:
            tag = {k: row[k] for k in ("key", "metadata") if k in row}
            if random.random() < script.missing_frac:
                continue
            if random.random() < script.failed_frac:
                job.n_failed += 1
                refused = REFUSALS[script.failed_with]().body["error"]
                results.append({**tag, "error": {"code": script.failed_code, "message": refused["message"]}})
                continue
            request = wire.read_generate(model, row["request"])
            self._billed[request.digest] += 1
            results.append({**tag, "response": json.loads(body_of(request, step, playing, self._respond()))})
        if script.shuffled:
            random.shuffle(results)
        return results
