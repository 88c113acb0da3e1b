"""Labelling at half price: batch jobs fill the ledger, and the ordinary way then finds its calls answered.

Two waves, as a job takes up to a day: what the models answer, then what the first judges say of it. Whatever is not in
the ledger after that (calls that failed, judges that come after the first, requests with more room) goes online.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import pyarrow as pa

from routecal.storage.ledger import Batch
from routecal.tasks.oracle.batch.batch_job import Batches
from routecal.tasks.oracle.batch.create_job import keys_sha256
from routecal.tasks.oracle.call import Call, Fault, FaultKind, Reply, check_text
from routecal.tasks.oracle.engine.labelling_job import Job
from routecal.tasks.oracle.engine.recorder import Recorder
from routecal.tasks.oracle.engine.stop_reasons import NotPaidYet, OracleRefused, ShardIncomplete
from routecal.tasks.oracle.grading.judging import Ask
from routecal.tasks.oracle.model_drift import check_version
from routecal.tasks.oracle.money.budget import Hold
from routecal.tasks.oracle.providers.batch_api import BatchApi
from routecal.tasks.oracle.providers.gemini import Gemini
from routecal.tasks.oracle.providers.replies import read_response

T = TypeVar("T")

logger = logging.getLogger(__name__)

# Asks whatever one row needs, as far as it gets.
ProbeRow = Callable[[dict[str, Any], Ask, None], Awaitable[object]]

WAVES = ({"medium", "large"}, {"judge"})

# A few calls of a shard are not worth a wait of hours: one in so many rows, or fewer, goes online.
FEW = 50

# Rows looked at side by side; the ledger is asked for all their calls in one transaction.
WIDTH = 256


class Prefetch:
    """Fills the ledger for the shards of one run. Used inside the engine's event loop.

    Args:
        job: the run.
        recorder: the way to the ledger.
        api: the provider's batch jobs.
        left: what earlier runs of the job left open; what these can cost is held from the start.
    """

    def __init__(self, job: Job, recorder: Recorder, api: BatchApi, left: Iterable[Batch]) -> None:
        self._job, self._recorder = job, recorder
        self._batches = Batches(job, recorder, api)
        self._holds: dict[str, Hold] = {batch.name: job.budget.carry(batch.reserved_usd) for batch in left}
        self._taken_up: dict[str, tuple[Batch, asyncio.Task[None]]] = {}
        # By key: set once the batch job with that call has ended. Equal queries of two shards are bought by one.
        self._under_way: dict[str, asyncio.Event] = {}

    async def fill(self, rows: pa.Table, probe: ProbeRow) -> None:
        """Buy what `probe` asks for, row by row, and the ledger lacks; as far as two waves come.

        Args:
            rows: of one shard.
            probe: asks for what a row needs; its calls are looked up, and NotBought is raised for those to be bought.

        Raises:
            OracleRefused: every request would be refused.
            ShardIncomplete: the provider could not be asked what became of a job; the next run takes it up.
            TaskError: the reason why the job is stopped, if it is, or must be. Batch jobs in flight stay in flight.
        """
        try:
            await unless_stopped(self._job, self._fill(rows, probe))
        except Fault as fault:
            if fault.kind is FaultKind.FATAL:
                raise OracleRefused("the batch API", fault.message, fault.hint) from fault
            raise ShardIncomplete(rows.num_rows, str(fault)) from fault

    async def aclose(self) -> None:
        """Stop following jobs; those that are open stay open, and it is said how many."""
        tasks = [task for _, task in self._taken_up.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        ledger, job = self._recorder.ledger, self._job.pace.job
        if n := len(await self._recorder.off_loop(lambda: ledger.open_batches(job))):
            logger.warning("%d batch jobs are under way; they go on, and the next run takes up what they bring", n)

    async def _fill(self, rows: pa.Table, probe: ProbeRow) -> None:
        await self._take_up()
        for stages in WAVES:
            calls = await self._missing(rows, probe, stages)
            models = dict.fromkeys(call.model for call in calls.values())
            of_model = [{key: c for key, c in calls.items() if c.model == model} for model in models]
            await together(self._fetch(wanted, rows.num_rows) for wanted in of_model)

    async def _missing(self, rows: pa.Table, probe: ProbeRow, stages: set[str]) -> dict[str, Call]:
        """By key, the calls of these stages that the rows wait for."""
        missing: dict[str, Call] = {}

        async def ask(call: Call, *, anew: bool = False) -> Reply:
            del anew  # what is bought anew goes online
            bought = await self._recorder.find(call.key)
            if bought is None:
                if call.endpoint == "generate" and call.stage in stages:
                    check_text(call)
                    missing[call.key] = call
                raise NotPaidYet(call.key)
            reply = read_response(call, bought.response)
            check_version(call.model, reply.model_version, self._job.pace.allow_versions)
            return reply

        async def look(rest: Iterator[dict[str, Any]]) -> None:
            for row in rest:
                # A row that is refused meets its refusal again online, where it is counted.
                try:
                    await probe(row, ask, None)
                except (NotPaidYet, Fault):
                    continue

        rest = iter(rows.to_pylist())
        await together(look(rest) for _ in range(min(WIDTH, rows.num_rows)))
        return missing

    async def _fetch(self, wanted: Mapping[str, Call], n_rows: int) -> None:
        """Have calls of one model answered, each in one job, whoever makes it."""
        others = {self._under_way[key] for key in wanted if key in self._under_way}
        mine = {key: call for key, call in wanted.items() if key not in self._under_way}
        done = asyncio.Event()
        # Ours from here on: what another shard has ended before this is in the ledger by now.
        self._under_way |= dict.fromkeys(mine, done)
        try:
            if mine:
                await self._buy(mine, n_rows)
        finally:
            for key in mine:
                del self._under_way[key]
            done.set()
        for event in others:
            await event.wait()

    async def _buy(self, mine: Mapping[str, Call], n_rows: int) -> None:
        await self._others(next(iter(mine.values())).model, mine)
        ended = await self._recorder.off_loop(lambda: self._recorder.ledger.ended(list(mine)))
        left = [mine[key] for key in sorted(mine) if key not in ended]
        while len(left) * FEW > n_rows:
            tried = await self._batches.buy(left)
            if not tried:
                return
            left = left[tried:]

    async def _take_up(self) -> None:
        """Follow the open jobs of earlier runs and of other processes: what is held for them is needed."""
        ledger = self._recorder.ledger
        for batch in await self._recorder.off_loop(lambda: ledger.open_batches(self._job.pace.job)):
            if batch.name not in self._batches.followed:
                hold = self._holds.pop(batch.name, None) or self._job.budget.carry(batch.reserved_usd)
                following = unless_stopped(self._job, self._batches.take_up(batch, hold))
                self._batches.followed.add(batch.name)
                self._taken_up[batch.name] = batch, asyncio.get_running_loop().create_task(following)

    async def _others(self, model: str, keys: Iterable[str]) -> None:
        """Wait for the jobs that we took up and that may hold these calls."""
        await self._take_up()
        digest = keys_sha256(keys)
        of_model = [(batch, task) for batch, task in self._taken_up.values() if batch.model == model]
        same = [task for batch, task in of_model if batch.keys_sha256 == digest]
        # Where none has just these calls, which calls a job has is known to the provider alone.
        for task in same or [task for _, task in of_model]:
            await asyncio.shield(task)


def prefetch_for(job: Job, recorder: Recorder, providers: Iterable[object], left: Iterable[Batch]) -> Prefetch | None:
    """What fills the ledger for the batch backend; None for the others, and where nothing may be asked."""
    gemini = next((provider for provider in providers if isinstance(provider, Gemini)), None)
    if job.pace.backend != "batch" or job.pace.finished_only or gemini is None:
        return None
    return Prefetch(job, recorder, gemini.batches(), left)


async def unless_stopped(job: Job, work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine until it ends or the job is stopped, and raise the reason then."""
    task, stopping = asyncio.ensure_future(work), asyncio.ensure_future(job.stopping.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for future in (task, stopping):
            if not future.done():
                future.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)
    if task.cancelled():
        job.check()
    return task.result()


async def together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run coroutines side by side; the first error ends them all and is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
