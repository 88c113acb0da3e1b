"""Reports at the address of the UI: `/reports/RUN/report.html`, for whoever may use the API."""

import base64
import hmac
import re

from fastapi import FastAPI
from prefect.settings import get_current_settings
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from routecal.storage.atomic import resolve
from routecal.storage.layout import Home

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
    fs, path = resolve(f"{Home.from_env().folder('reports')}/{run}/{name}")
    if not fs.isfile(path):
        return Response("there is no such report", 404)
    return Response(fs.cat_file(path), headers=HEADERS, media_type=FILES[name])


def _may_read(request: Request) -> bool:
    login = get_current_settings().server.api.auth_string
    if login is None:
        return True
    scheme, _, said = request.headers.get("Authorization", "").partition(" ")
    wanted = base64.b64encode(login.get_secret_value().encode())
    return scheme.lower() == "basic" and hmac.compare_digest(said.strip().encode(), wanted)
