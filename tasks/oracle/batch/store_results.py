"""The results of a batch job on their way into the ledger, a few hundred at a time."""

import asyncio
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from routecal.storage.ledger import Attempt, CallEnd, CallStart, PaidResponse
from routecal.storage.ledger.ledger_errors import LedgerFull
from routecal.tasks.oracle.batch.job_files import JobLine, Tag, Torn, read_lines
from routecal.tasks.oracle.call import Call, Fault
from routecal.tasks.oracle.engine.labelling_job import Job
from routecal.tasks.oracle.engine.recorder import Recorder
from routecal.tasks.oracle.providers.batch_api import BatchApi
from routecal.tasks.oracle.providers.error_classes import of_status
from routecal.tasks.oracle.providers.replies import read_response
from routecal.tasks.oracle.providers.usage import usage_of

CHUNK = 500


class _Written(NamedTuple):
    """What is written of some results, and of the responses among them what they were for and their cost in USD."""

    starts: list[CallStart]
    ends: list[CallEnd]
    attempts: list[Attempt]
    bought: list[tuple[str, float]]


class ResultStore:
    """Stores the results of one job, and counts them.

    Args:
        job: the run they are for.
        recorder: the way to the ledger.
        model: that answered.
        each_usd: the most one call can have cost, on average.
        api: what they came through.

    Attributes:
        usd: cost of what this added to the ledger; results whose cost is unknown count as `each_usd`.
    """

    def __init__(self, job: Job, recorder: Recorder, model: str, each_usd: float, api: BatchApi) -> None:
        self.usd = 0.0
        self._stored = self._known = self._failed = self._foreign = self._unread = 0
        self._job, self._recorder, self._model, self._each_usd, self._api = job, recorder, model, each_usd, api

    def __str__(self) -> str:
        said = f"{self._stored} responses stored, {self._known} were there, {self._failed} calls failed"
        odd = f", {self._unread} lines unreadable, {self._foreign} of nobody's calls"
        return said + (odd if self._unread or self._foreign else "")

    async def store(self, path: Path, name: str) -> None:
        """Store the results in a file, however large it is. To do so again stores and counts no response twice.

        Args:
            path: the file.
            name: of the job, for what is noted about lines that cannot be read.
        """
        lines = read_lines(path)
        while part := await asyncio.to_thread(lambda: list(islice(lines, CHUNK))):
            await self._store(part, name)

    async def _store(self, part: list[JobLine | Torn], name: str) -> None:
        ledger = self._recorder.ledger
        keys = [line.tag.key for line in part if isinstance(line, JobLine) and line.tag is not None]
        known = await self._recorder.off_loop(lambda: ledger.find(keys))
        written = _Written([], [], [], [])
        attempts = written.attempts
        for line in part:
            if isinstance(line, Torn):
                self._unread += 1
                # Somebody's response was in it, and is paid.
                attempts.append(self._attempt(Tag(name, "judge", ""), "transient", "a line cut short", self._each_usd))
                self.usd += self._each_usd
            elif line.tag is None:
                self._foreign += 1
            elif line.body is None:
                self._failed += 1
                fault = of_status(line.error[0] or 13, {"error": {"message": self._api.clean(line.error[1])}})
                self._job.tally.retries[fault.kind.value] += 1
                attempts.append(self._attempt(line.tag, fault.kind.value, fault.message, 0.0, code=fault.code))
            else:
                self._read(line.tag, self._api.clean(line.body), known, written)
        writing = self._recorder.off_loop(
            lambda: ledger.write(starts=written.starts, ends=written.ends, attempts=attempts)
        )
        # What is stored is counted, and nothing else, even where we are cancelled in between.
        await asyncio.shield(self._count_once(writing, written.bought))
        if ledger.full:
            self._job.stop(LedgerFull(ledger.name))
        self._job.check()

    def _read(self, tag: Tag, body: str, known: Mapping[str, PaidResponse], written: _Written) -> None:
        """Turn one response into what is written of it, and what is counted."""
        if tag.key in known and known[tag.key].response == body:
            self._known += 1
            return
        call = Call("gemini", self._model, "", "", {}, tag.prompt_version, stage=tag.stage)
        usage, version, response_id = usage_of(call, body)
        usd = self._job.prices.usd(self._model, usage, tier="batch", at=datetime.now(UTC))
        cost = self._each_usd if usd is None else usd
        self.usd += cost
        try:
            read_response(call, body)
        except Fault as fault:
            self._failed += 1
            written.attempts.append(self._attempt(tag, fault.kind.value, fault.message, cost, code=200, body=body))
            return
        start = CallStart(
            key=tag.key, provider="gemini", model=self._model, stage=tag.stage, job=self._job.pace.job,
            prompt_version=tag.prompt_version, tier="batch", reserved_usd=self._each_usd,
        )  # fmt: skip
        if tag.key not in known:
            written.starts.append(start)
        written.ends.append(CallEnd(tag.key, body, version, response_id, *usage, usd=usd, attempts=1, latency_ms=None))
        written.bought.append((tag.stage, usd or 0.0))

    async def _count_once(self, written: Awaitable[object], bought: list[tuple[str, float]]) -> None:
        await written
        tally = self._job.tally
        tally.calls += len(bought)
        tally.prefetched += len(bought)
        tally.stages.update(stage for stage, _ in bought)
        tally.usd += sum(usd for _, usd in bought)
        self._stored += len(bought)

    def _attempt(
        self, tag: Tag, outcome: str, message: str, usd: float, *, code: int = 0, body: str | None = None
    ) -> Attempt:
        facts = (tag.key, self._job.pace.job, tag.stage, self._model, outcome, str(code) if code else None, message)
        return Attempt(*facts, response=body, usd=usd)
