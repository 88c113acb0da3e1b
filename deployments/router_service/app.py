"""The application: its endpoints, and what stands before all of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from routecal.deployments.router_service.asked_model import JUDGE, asked_for, names
from routecal.deployments.router_service.body_limit import BodyLimit
from routecal.deployments.router_service.conversation import NoQuery, query_of
from routecal.deployments.router_service.decider import Served
from routecal.deployments.router_service.decision_models import (
    decisions_answer,
    decisions_query,
    systemone_answer,
    systemone_query,
)
from routecal.deployments.router_service.feedback import Feedback, take_feedback
from routecal.deployments.router_service.judge import verdict_completion
from routecal.deployments.router_service.page_endpoints import page_endpoints
from routecal.deployments.router_service.refusals import AsciiJSON, Refused, refusal
from routecal.deployments.router_service.reply_headers import reply_headers
from routecal.deployments.router_service.routes import RouteRequest, Routes, route_of
from routecal.deployments.router_service.service import Service
from routecal.deployments.router_service.status_page import StatusPage


def application(service: Service) -> FastAPI:
    """The ASGI application of a service."""
    page = StatusPage(service)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        await service.begin()
        yield
        page.close()
        await service.end()

    app = FastAPI(
        title="routecal",
        summary="Which of two models answers a query, how sure that is, and the answer.",
        lifespan=life,
    )
    app.add_middleware(BodyLimit, at_most=int(service.settings.max_body_mib * 2**20))

    @app.exception_handler(Refused)
    async def _refused(request: Request, refused: Refused) -> Response:
        return refusal(refused)

    @app.exception_handler(HTTPException)
    async def _other(request: Request, error: HTTPException) -> Response:
        return refusal(Refused(error.status_code, str(error.detail)))

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"] if step != "body")
        return refusal(Refused(400, f"{where or 'the body'}: {first['msg']}", param=where or None))

    _endpoints(app, service)
    page_endpoints(app, service, page)
    return app


def _endpoints(app: FastAPI, service: Service) -> None:
    settings = service.settings

    @app.post("/v1/route", response_model=Routes)
    async def route(asked: RouteRequest, request: Request) -> Response:
        """Decide one query, several or a conversation, and serve none."""
        client = service.client(request)
        texts = asked.texts(settings.reads)
        served = await service.decide_all(texts, surface="route", client=client, asked=None)
        routes = Routes(routes=[route_of(one, service) for one in served])
        # Not validated once more, which FastAPI does with what is no response yet.
        return Response(routes.model_dump_json(), media_type="application/json")

    @app.post("/v1/decisions")
    async def decisions(request: Request) -> Response:
        """OpenAI's form of a decision model; one question is answered, others are refused."""
        client, said = service.client(request), (await service.body(request)).fields
        questions = said.get("questions")
        if not isinstance(questions, list) or not 1 <= len(questions) <= 400:
            raise Refused(400, "questions is a list of 1 to 400", param="questions")
        query = decisions_query(said.get("input"), settings)
        served = await service.decide(query, surface="decisions", client=client, asked=_text(said.get("model")))
        answers = [decisions_answer(question, served, settings) for question in questions]
        usage = {  # nothing is billed, and the form asks for numbers
            "input_tokens": 0,
            "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 0,
        }
        return _reply({"answers": answers, "model": service.head, "usage": usage}, served, service)

    @app.post("/v1/systemone")
    async def systemone(request: Request) -> Response:
        """TypeSafe's form of a decision model."""
        client, said = service.client(request), (await service.body(request)).fields
        questions = said.get("questions")
        if not isinstance(questions, dict) or not questions:
            raise Refused(400, "questions is an object of named questions", param="questions")
        query = systemone_query(said.get("state"), settings)
        served = await service.decide(query, surface="systemone", client=client, asked=_text(said.get("model")))
        answers = {name: systemone_answer(name, question, served, settings) for name, question in questions.items()}
        usage = {"input_tokens": 0, "output_tokens": 0}
        return _reply({"model": service.head, "answers": answers, "usage": usage}, served, service)

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        """Decide which model answers, and relay its answer."""
        client, body = service.client(request), await service.body(request)
        name = body.fields.get("model")
        if (asked := asked_for(name, settings)) is None:
            raise Refused(404, f"no model {name!r}; GET /v1/models lists those there are", code="model_not_found")
        try:
            query = query_of(body.fields.get("messages"), settings.reads)
        except NoQuery as error:
            if asked.kind == "judge":
                raise Refused(400, str(error), param="messages") from error
            query = ""
        if asked.kind == "judge":
            served = await service.decide(query, surface="judge", client=client, asked=JUDGE)
            return _reply(verdict_completion(served, JUDGE), served, service)
        served = await service.decide(query, surface="chat", client=client, asked=_text(name), wanted=asked)
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in request.scope["headers"]}
        return service.relay(served, body, headers)

    @app.get("/v1/models")
    async def models(request: Request) -> dict[str, Any]:
        """Names that a chat completion may ask for."""
        service.client(request)
        rule = service.decider.router.serving
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "routecal"} for name in names(settings)]
        own = {"head": rule.head_version, "threshold": rule.threshold, "decides_by": rule.decides_by}
        return {"object": "list", "data": listed, "routecal": own}

    @app.post("/v1/feedback")
    async def feedback(said: Feedback, request: Request) -> dict[str, Any]:
        """Say how a decision turned out. The same word again changes nothing."""
        return take_feedback(service, said, service.client(request))

    @app.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """The process lives."""
        return "ok"

    @app.get("/readyz")
    async def readyz() -> Response:
        """It decides, and what it decides is written down."""
        faults = service.faults()
        said = {"ready": not faults, "head": service.head, "faults": faults}
        return JSONResponse(said, 503 if faults else 200)

    @app.get("/metrics")
    async def metrics() -> Response:
        """For Prometheus."""
        service.measure()
        return Response(service.counts.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _reply(said: dict[str, Any], served: Served, service: Service) -> AsciiJSON:
    model = service.model_for(served).model
    return AsciiJSON(said, headers=dict(reply_headers(served, model, service.head)))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
