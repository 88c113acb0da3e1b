"""Asks the other model too, after the client has its answer and unseen by it, within a budget of a day."""

import asyncio
import json
import random
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pyarrow.compute as pc

from routecal.calib.feedback.second_answer import second_answer
from routecal.deployments.router_service.decider import Served
from routecal.deployments.router_service.decision_log import cost_usd, usage_of
from routecal.deployments.router_service.model_field import Body
from routecal.deployments.router_service.service_settings import ServiceSettings
from routecal.deployments.router_service.upstream import UpstreamFailed, Upstreams
from routecal.storage.served.journal import read_served
from routecal.storage.served.tables import SECOND_ANSWERS

# Fields of a request whose answers are not text alone, or that make them several.
NOT_GRADED = ("tools", "functions", "audio", "modalities", "n")
ENDS_WITHIN_S = 5.0


class SecondAnswers:
    """Made in the event loop; asks at most a few at once, and lets the rest go by.

    Args:
        settings: shares, budget and models.
        upstreams: connections to the models.
        write: takes a finished row.
    """

    def __init__(
        self, settings: ServiceSettings, upstreams: Upstreams, write: Callable[[dict[str, Any]], None]
    ) -> None:
        self._settings, self._upstreams, self._write = settings, upstreams, write
        self._shares = settings.second_answers
        self._random, self._going = random.SystemRandom(), set[asyncio.Task[None]]()
        self._day, self._usd_today = _today(), spent_on(settings.log, _today())

    def consider(self, served: Served, body: Body, headers: dict[str, str]) -> None:
        """Draw for a query that was served; ask the other model if it is drawn."""
        if served.status == "asked" or any(name in body.fields for name in NOT_GRADED):
            return
        drawn = second_answer(
            served.action.large,
            of_escalated=self._shares.medium,
            of_kept=self._shares.large,
            draw=self._random.random(),
        )
        if not drawn.is_asked or len(self._going) >= self._shares.at_once or not self._is_within_budget():
            return
        asking = asyncio.ensure_future(self._ask(served, body, headers, drawn.propensity))
        self._going.add(asking)
        asking.add_done_callback(self._going.discard)

    async def close(self) -> None:
        """Give those that are asked a moment, then end them."""
        if self._going:
            _, left = await asyncio.wait(self._going, timeout=ENDS_WITHIN_S)
            for asking in left:
                asking.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def _is_within_budget(self) -> bool:
        if (today := _today()) != self._day:
            self._day, self._usd_today = today, 0.0
        budget = self._shares.usd_per_day
        return budget is None or self._usd_today < budget

    async def _ask(self, served: Served, body: Body, headers: dict[str, str], propensity: float) -> None:
        upstream = self._settings.medium if served.action.large else self._settings.large
        asked = {name: value for name, value in body.fields.items() if name != "stream_options"}
        asked |= {"model": upstream.model, "stream": False}
        row: dict[str, Any] = {
            "decision_id": served.id,
            "model": "medium" if served.action.large else "large",
            "propensity": propensity,
            "asked_model": upstream.model,
        }
        plain = {name: value for name, value in headers.items() if name != "accept-encoding"}
        began = time.perf_counter()
        try:
            text = json.dumps(asked, ensure_ascii=False).encode("utf-8", "surrogatepass")
            async with self._upstreams.answer(upstream, "/chat/completions", text, plain) as answer:
                said = await answer.read()
                row |= {"status": answer.status, "outcome": "ok" if answer.status == 200 else "failed"}
            row |= _told(said)
        except UpstreamFailed as failed:
            row |= {"status": failed.status, "outcome": "failed", "reason": str(failed)}
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            row |= {"outcome": "failed", "reason": f"{type(error).__name__}: {error}"[:300]}
        tokens = row.get("tokens_input"), row.get("tokens_output")
        row["cost_usd"] = cost_usd(upstream, *tokens)
        if self._settings.logged == "hash":
            row["answer"] = None
        self._usd_today += row["cost_usd"] or 0.0
        self._write(row | {"at": datetime.now(UTC), "seconds": time.perf_counter() - began})


def spent_on(log: Path, day: date) -> float:
    """USD of second answers on a day (UTC), as far as their cost is known."""
    rows = read_served(log / "second_answers", SECOND_ANSWERS, columns=["at", "cost_usd"])
    is_today = pc.equal(pc.cast(rows["at"], "date32"), day)
    return float(pc.sum(rows.filter(is_today)["cost_usd"]).as_py() or 0.0)


def _today() -> date:
    return datetime.now(UTC).date()


def _told(said: bytes) -> dict[str, Any]:
    """What an answer in one piece says: its text, its model and its tokens."""
    answer = json.loads(said)
    if not isinstance(answer, dict):
        raise ValueError("the answer is no object")
    found = usage_of([answer])
    choices = answer.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = first.get("message")
    text = message.get("content") if isinstance(message, dict) else None
    return found | {"answer": text if isinstance(text, str) else None}
