"""What the endpoints share while the service runs: settings, decider, upstreams, log, and counts."""

import asyncio
import time
from collections.abc import Sequence

from starlette.requests import Request

from routecal.deployments.router_service.asked_model import Asked
from routecal.deployments.router_service.conversation import whole_text
from routecal.deployments.router_service.counts import Counts
from routecal.deployments.router_service.decider import Decider, Served
from routecal.deployments.router_service.decision_log import DecisionLog
from routecal.deployments.router_service.head_watch import Watcher
from routecal.deployments.router_service.keys import client_of
from routecal.deployments.router_service.known_ids import KnownIds
from routecal.deployments.router_service.model_field import Body, BodyRefused
from routecal.deployments.router_service.refusals import Refused
from routecal.deployments.router_service.relay import Relay, Relayed
from routecal.deployments.router_service.reply_headers import reply_headers
from routecal.deployments.router_service.second_answers import SecondAnswers
from routecal.deployments.router_service.service_settings import ServiceSettings, Upstream
from routecal.deployments.router_service.upstream import Upstreams

DECIDE = Asked("decide")


class Service:
    """All that a request needs; made before the event loop, and begun in it."""

    def __init__(self, settings: ServiceSettings, decider: Decider, log: DecisionLog) -> None:
        self.settings, self.decider, self.log = settings, decider, log
        self.counts, self.known = Counts(), KnownIds(settings.log)
        self.watcher = Watcher(settings, decider)
        self._upstreams: Upstreams | None = None
        self._second_answers: SecondAnswers | None = None

    async def begin(self) -> None:
        """Open what belongs to the event loop."""
        self._upstreams = Upstreams(self.settings.timeouts)
        self._second_answers = SecondAnswers(self.settings, self._upstreams, self.log.second)

    async def end(self) -> None:
        """Close all of it."""
        if self._upstreams is not None and self._second_answers is not None:
            await self._second_answers.close()
            await self._upstreams.close()
        self.watcher.close()
        self.decider.close()
        self.log.close()

    @property
    def upstreams(self) -> Upstreams:
        """Connections to the models."""
        assert self._upstreams is not None
        return self._upstreams

    def client(self, request: Request) -> str | None:
        """Who asks.

        Raises:
            Refused: 401.
        """
        return client_of(request.headers.get("authorization"), self.settings.keys)

    async def body(self, request: Request) -> Body:
        """What was sent, read once.

        Raises:
            Refused: 400.
        """
        try:
            return Body(await request.body())
        except BodyRefused as error:
            raise Refused(400, str(error)) from error

    def model_for(self, served: Served) -> Upstream:
        """The upstream that serves."""
        return self.settings.large if served.action.large else self.settings.medium

    @property
    def head(self) -> str:
        """Version of the head in force."""
        return self.decider.router.serving.head_version

    async def decide(
        self, query: str, *, surface: str, client: str | None, asked: str | None, wanted: Asked = DECIDE
    ) -> Served:
        """Decide a query and write that down, in this order and before anybody hears of it."""
        only = wanted.kind if wanted.kind in ("medium", "large") else ""
        text = whole_text(query)
        served = await self.decider.serve(text, conversation=text, threshold=wanted.threshold, only=only)
        self._write_down([served], surface=surface, client=client, asked=asked)
        return served

    async def decide_all(
        self, queries: Sequence[str], *, surface: str, client: str | None, asked: str | None
    ) -> list[Served]:
        """The same of several, decided together."""
        served = await asyncio.gather(*(self.decider.serve(whole_text(query)) for query in queries))
        self._write_down(served, surface=surface, client=client, asked=asked)
        return served

    def _write_down(self, served: list[Served], *, surface: str, client: str | None, asked: str | None) -> None:
        self.log.decided(served, self.decider.router, surface=surface, client=client, asked=asked)
        self.watcher.decided(served)
        for one in served:
            self.known.add_decision(one.id)
            self.counts.decided(one, surface)

    def faults(self) -> list[str]:
        """Why it should not be asked, in sentences; none where it should."""
        return [f"decisions are not logged: {self.log.reason}"] if self.log.reason else []

    def measure(self) -> None:
        """Set what is read off at the moment it is asked for."""
        self.counts.not_logged.set(self.log.not_logged)
        self.counts.waiting.set(self.decider.n_waiting)
        self.counts.entry.set(0 if self.decider.champion is None else self.decider.champion.number)
        self.counts.void.set(bool(self.decider.router.no_guarantee))
        self.counts.alarms.set(len(self.watcher.findings))

    def relay(self, served: Served, body: Body, headers: dict[str, str]) -> Relay:
        """The response that asks the model that was decided for."""
        second_answers = self._second_answers
        assert second_answers is not None
        upstream, began = self.model_for(served), time.perf_counter()
        added = reply_headers(served, upstream.model, self.head)

        def ended(relayed: Relayed) -> None:
            row = self.log.answered(served, relayed, upstream, time.perf_counter() - began)
            self.counts.answered(row)
            if relayed.outcome == "ok" and relayed.status == 200:
                second_answers.consider(served, body, headers)

        keep_alive_s = self.settings.keep_alive_s if body.fields.get("stream") is True else None
        asked = body.with_model(upstream.model)
        return Relay(self.upstreams, upstream, "/chat/completions", asked, headers, added, ended, keep_alive_s)
