"""`python -m routecal.deployments.patched_server` is `prefect server start` with one thing put right: locks of SQLite.

Prefect begins most transactions as DEFERRED. One that reads first and writes then fails with "database is locked", at
once and whatever the time-out, where another has written in between (https://www.sqlite.org/isolation.html). Under a
burst of a thousand tasks that cost the worker its connection, and automations lost events.
"""

import sys
from contextlib import AbstractAsyncContextManager

from prefect.cli import app
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction


def lock_first() -> None:
    """Have every transaction on SQLite take the lock for writing as it begins, and wait for it: BEGIN IMMEDIATE.

    Reads outside of transactions, most of them, wait for nobody as before.
    """
    begin = AioSqliteConfiguration.begin_transaction

    def begin_immediate(
        self: AioSqliteConfiguration, session: AsyncSession, with_for_update: bool = True
    ) -> AbstractAsyncContextManager[AsyncSessionTransaction]:
        del with_for_update
        return begin(self, session, with_for_update=True)

    setattr(AioSqliteConfiguration, begin.__name__, begin_immediate)


if __name__ == "__main__":
    lock_first()
    sys.argv[1:1] = ["server", "start"]
    app()
