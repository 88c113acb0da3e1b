"""One quota, several flows: a Prefect global concurrency limit that shards take slots of.

The limit's slots are parts of the quota. A process that holds three of four paces itself at three quarters of every
rate, so flows that run side by side add up to the whole, and a flow alone has all of it. Slots are taken per shard,
never per request: Prefect needs tens of milliseconds for each. The operator changes the limit, or pauses everybody by
setting it to 0, in the UI.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from routecal.tasks.lasting_server import has_lasting_server
from routecal.tasks.oracle.job_runner import JobRunner

logger = logging.getLogger(__name__)

# Slots of a limit that is made here: as many shards at once.
SLOTS = 4

# Slots of a process that was killed are free again after this long; Prefect takes no less.
LEASE_S = 60.0

# A limit that was set to 0 is looked at again after this long.
PAUSE_S = 2.0


def quota_size(name: str) -> int:
    """Slots of a limit, 1 or more; without a server of its own a run has them all to itself.

    A limit that does not exist is made. One of 0 pauses everybody, and counts as 1.
    """
    return max(_limit(name), 1) if has_lasting_server() else SLOTS


def _limit(name: str) -> int:
    with get_client(sync_client=True) as client:
        try:
            return client.read_global_concurrency_limit_by_name(name).limit
        except ObjectNotFound:
            pass
        try:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=SLOTS))
        except ObjectAlreadyExists:
            return client.read_global_concurrency_limit_by_name(name).limit
    return SLOTS


def slots_for(n_shards: int, size: int) -> list[int]:
    """Slots that each shard of a run takes: one, but the last ones share what would stand idle.

    >>> slots_for(6, 4), slots_for(1, 4), slots_for(3, 4)
    ([1, 1, 1, 1, 2, 2], [4], [1, 1, 2])
    """
    whole, rest = divmod(n_shards, size)
    return [1] * (whole * size) + [size * (i + 1) // rest - size * i // rest for i in range(rest)]


def _wait_for_any(name: str, runner: JobRunner) -> int:
    """Slots of a limit, as soon as it is not 0: Prefect would refuse a slot of none at once.

    Raises:
        TaskError: the job was stopped meanwhile.
    """
    said = False
    while (limit := _limit(name)) < 1:
        if not said:
            logger.warning("the concurrency limit %s is 0: waiting until it is raised", name)
            said = True
        runner.job.check()
        time.sleep(PAUSE_S)
    return limit


@contextmanager
def quota_slots(name: str, slots: int, runner: JobRunner) -> Iterator[None]:
    """Hold slots of a limit for as long as the block runs; the runner paces itself by how many it holds.

    With 0 slots it holds none: batch jobs have limits of their own.
    """
    if not slots or not has_lasting_server():
        # The server ends with this command, so nobody can run beside it; a slot would outlive a kill, though.
        yield
        return
    taken = min(slots, _wait_for_any(name, runner))
    # A Prefect server that is down for a while must not end a shard that is doing fine.
    with concurrency(name, taken, strict=True, lease_duration=LEASE_S, raise_on_lease_renewal_failure=False):
        # The operator may have changed the limit while we waited for it.
        part = taken / max(quota_size(name), taken)
        runner.hold(part)
        try:
            yield
        finally:
            runner.hold(-part)
