"""Asking again what nothing is charged for, as rates and luck demand."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from routecal.tasks.oracle.call_faults import Fault, FaultKind
from routecal.tasks.oracle.engine.labelling_job import Job

T = TypeVar("T")

# How often a request is made that failed in a way that may pass.
TRIES = 6
LONGEST_BACKOFF_S = 60.0


async def patiently(job: Job, ask: Callable[[], Awaitable[T]]) -> T:
    """What `ask` returns, asked up to six times where the fault may pass.

    Raises:
        Fault: the last one.
        TaskError: the reason why the job was stopped meanwhile.
    """
    tries = 0
    while True:
        try:
            return await ask()
        except Fault as fault:
            tries += 1
            if fault.kind not in (FaultKind.TRANSIENT, FaultKind.RATE) or tries == TRIES:
                raise
            await pause(job, fault, tries)


async def pause(job: Job, fault: Fault, tries: int) -> None:
    """Count a fault and wait before the next try: as long as the provider says, or twice as long each time.

    Raises:
        TaskError: the reason why the job was stopped meanwhile.
    """
    await pause_for(job, fault, min(job.pace.backoff_s * 2.0**tries, LONGEST_BACKOFF_S))


async def pause_for(job: Job, fault: Fault, seconds: float) -> None:
    """Count a fault and wait so long, or longer if the provider says so.

    Raises:
        TaskError: the reason why the job was stopped meanwhile.
    """
    job.tally.retries[fault.kind.value] += 1
    await job.pause(max(fault.retry_after_s or 0.0, seconds))
    job.check()
