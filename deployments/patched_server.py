"""`python -m routecal.deployments.patched_server` is `prefect server start` that serves reports and locks SQLite first.

Prefect begins most transactions as DEFERRED. One that reads first and writes then fails with "database is locked", at
once and whatever the time-out, where another has written in between (https://www.sqlite.org/isolation.html). Under a
burst of a thousand tasks that cost the worker its connection, and automations lost events.
"""

import base64
import hmac
import re
import sys
from contextlib import AbstractAsyncContextManager
from functools import wraps
from typing import Any

from fastapi import FastAPI
from prefect.cli import app
from prefect.server.api import server
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.settings import get_current_settings
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from routecal.storage.layout import Home
from routecal.storage.remote import is_file, resolve

# What a report consists of (`tasks/report.py`); nothing else of the home is served.
FILES = {
    "report.html": "text/html; charset=utf-8",
    "metrics.json": "application/json",
    "reliability.png": "image/png",
    "escalation.png": "image/png",
}
RUN = re.compile(r"[a-z][a-z0-9-]*")
# The page shows texts of users: it may run and load nothing but its own style and pictures.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


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
    """Have the server serve reports at its own address, `/reports/RUN/report.html`, to whoever may use the API."""
    create = server.create_app

    @wraps(create)
    def create_with_reports(*arguments: Any, **options: Any) -> FastAPI:
        return add_reports(create(*arguments, **options))

    server.create_app = create_with_reports


def add_reports(app: FastAPI) -> FastAPI:
    """Serve the reports of this environment's home beside the API and the UI, which take every other address."""
    app.router.routes.insert(0, Route("/reports/{run}/{name}", report_file))
    return app


def report_file(request: Request) -> Response:
    """A file of a report; 404 where there is none, 401 without the login of the API."""
    if not _may_read(request):
        return Response("Unauthorized", 401, {"WWW-Authenticate": 'Basic realm="routecal"'})
    run, name = request.path_params["run"], request.path_params["name"]
    if RUN.fullmatch(run) is None or name not in FILES:
        return Response("there is no such report", 404)
    url = f"{Home.from_env().folder('reports')}/{run}/{name}"
    fs, path = resolve(url)
    if not is_file(url):
        return Response("there is no such report", 404)
    return Response(fs.cat_file(path), headers=HEADERS, media_type=FILES[name])


def _may_read(request: Request) -> bool:
    login = get_current_settings().server.api.auth_string
    if login is None:
        return True
    scheme, _, login_sent = request.headers.get("Authorization", "").partition(" ")
    wanted = base64.b64encode(login.get_secret_value().encode())
    return scheme.lower() == "basic" and hmac.compare_digest(login_sent.strip().encode(), wanted)


if __name__ == "__main__":
    lock_first()
    serve_reports()
    sys.argv[1:1] = ["server", "start"]
    app()
