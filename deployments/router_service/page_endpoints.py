"""Endpoints for people: the page at `/`, and the dashboard that Grafana imports."""

from importlib.resources import files

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from routecal.deployments.router_service.keys import client_of_browser
from routecal.deployments.router_service.refusals import Refused, refusal
from routecal.deployments.router_service.service import Service
from routecal.deployments.router_service.status_page import StatusPage

# Nothing but the page's own style: what a hostile name smuggled in could neither run nor load.
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
ASKS_FOR_KEY = {"www-authenticate": 'Basic realm="routecal: the key as password, any user name", charset="UTF-8"'}


def page_endpoints(app: FastAPI, service: Service, page: StatusPage) -> None:
    """Add them."""

    def refused(request: Request) -> Response | None:
        try:
            client_of_browser(request.headers.get("authorization"), service.settings.keys)
        except Refused as error:
            response = refusal(error)
            response.headers.update(ASKS_FOR_KEY)
            return response
        return None

    @app.get("/", include_in_schema=False)
    async def status(request: Request) -> Response:
        """The page."""
        return refused(request) or HTMLResponse(await page.html(), headers=HEADERS)

    @app.get("/grafana.json")
    async def grafana(request: Request) -> Response:
        """A dashboard of what /metrics counts, for Grafana to import."""
        if (response := refused(request)) is not None:
            return response
        text = (files("routecal.deployments.router_service") / "grafana.json").read_bytes()
        return Response(text, media_type="application/json")
