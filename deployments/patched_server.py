"""`python -m routecal.deployments.patched_server` is `prefect server start` that serves reports and locks SQLite first.

Prefect begins most transactions as DEFERRED. One that reads first and writes then fails with "database is locked", at
once and whatever the time-out, where another has written in between (https://www.sqlite.org/isolation.html). Under a
burst of a thousand tasks that cost the worker its connection, and automations lost events.
"""

import sys
from contextlib import AbstractAsyncContextManager
from functools import wraps
from typing import Any

from fastapi import FastAPI
from prefect.cli import app
from prefect.server.api import server
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

from routecal.deployments.report_pages import add_reports


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


def serve_reports() -> None:
    """Have the server serve reports, see `deployments.report_pages`."""
    create = server.create_app

    @wraps(create)
    def create_with_reports(*arguments: Any, **options: Any) -> FastAPI:
        return add_reports(create(*arguments, **options))

    server.create_app = create_with_reports


if __name__ == "__main__":
    lock_first()
    serve_reports()
    sys.argv[1:1] = ["server", "start"]
    app()
