"""Decides queries as they come: the heads, what overrides them, and how probable that was."""

import hashlib
import hmac
import logging
import os
import secrets
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.checkpoint_errors import QueryUnreadable
from routecal.calib.decision import Decision
from routecal.calib.errors import CalibError
from routecal.calib.feedback.action import Action, action
from routecal.deployments.router_service.batcher import Batcher, Overloaded
from routecal.deployments.router_service.service_settings import ServiceSettings, SettingsRefused
from routecal.storage.layout import Home
from routecal.tasks.serving import Champion

logger = logging.getLogger(__name__)

LOOKS_EVERY_S = 2.0


@dataclass(frozen=True)
class Served:
    """A query, what was decided of it, and what serves it.

    Attributes:
        decision: of the serving head; None where it could not decide.
        trial: of the head on trial, where there is one.
        asked_threshold: in place of the head's own rule, of the probability that the medium model is enough.
        status: ok, fallback (no decision: the large model serves), shadow, unlike, asked (the caller named the model).
    """

    query: str
    decision: Decision | None
    action: Action
    status: str
    trial: Decision | None = None
    asked_threshold: float | None = None
    seconds: float = 0.0
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def by(self) -> Decision | None:
        """The decision that was followed, or would have been."""
        return self.trial if self.action.by_canary else self.decision

    def escalates(self, decision: Decision) -> bool:
        """Whether a decision asks for the large model."""
        return _escalates(decision, self.asked_threshold)


class Decider:
    """One head in force, perhaps another on trial, and a thread that decides.

    Args:
        settings: which heads, and what overrides them.
        home: whose registry names the champion.

    Raises:
        NothingServes, CalibError, StorageError: the head cannot be opened.
        SettingsRefused: the head on trial reads another router.
    """

    def __init__(self, settings: ServiceSettings, home: Home | None = None) -> None:
        self._settings = settings
        self._salt = secrets.token_bytes(16)
        self.champion, self._named = None, None
        if settings.head == "champion":
            self.champion = Champion(home, look_every_s=None, threshold=settings.threshold)
        else:
            self._named = CalibratedRouter.from_pretrained(settings.head, threshold=settings.threshold)
        self.trial = self._opened(settings)
        self._done = threading.Event()
        if self.champion is not None:
            threading.Thread(target=self._watch, args=(self.champion,), name="registry", daemon=True).start()
        self._batcher: Batcher[str, tuple[Decision, Decision | None]] = Batcher(
            self._decide, begin=_threads, waiting=settings.max_waiting
        )

    @property
    def router(self) -> CalibratedRouter:
        """The one in force now."""
        router = self._named or (self.champion.router if self.champion else None)
        assert router is not None
        return router

    @property
    def n_waiting(self) -> int:
        """Queries that wait for a decision."""
        return self._batcher.n_waiting

    async def serve(
        self, query: str, *, conversation: str | None = None, threshold: float | None = None, only: str = ""
    ) -> Served:
        """Decide one query. It never fails: what cannot be decided goes to the large model, and says so.

        Args:
            query: the text that is routed; where it is blank the large model serves.
            conversation: what stays the same over its turns, where they should all go one way.
            threshold: of the probability that the medium model is enough, in place of the head's own rule.
            only: "medium" or "large" where the caller named the model itself.
        """
        began = time.perf_counter()
        decision, trial = None, None
        try:
            if not query.strip():
                raise QueryUnreadable((0,), 1, "no message of the user holds text")
            decision, trial = await self._batcher.ask(query)
        except (CalibError, Overloaded) as error:
            override, status = f"no decision: {error}", "fallback"
        except Exception as error:
            logger.exception("a query could not be decided")
            override, status = f"no decision: {type(error).__name__}", "fallback"
        else:
            override, status = self._override(decision)
        large = decision is None or bool(override) or _escalates(decision, threshold)
        if only:
            override, status, large = f"{only} was asked for", "asked", only == "large"
        taken = action(
            large,
            canary=None if trial is None else _escalates(trial, threshold),
            canary_share=self._settings.canary.share if self._settings.canary else 0.0,
            explore=self._settings.explore,
            override=override,
            draws=self._draws(conversation),
        )
        return Served(query, decision, taken, status, trial, threshold, time.perf_counter() - began)

    def close(self) -> None:
        """End the threads."""
        self._done.set()
        self._batcher.close()

    def _override(self, decision: Decision) -> tuple[str, str]:
        """(why the heads have no say, status)."""
        if self._settings.mode == "shadow":
            return "shadow", "shadow"
        if decision.is_unlike and self._settings.unlike != "off":
            return ("unlike the queries of the calibration" if self._settings.unlike == "large" else ""), "unlike"
        return "", "ok"

    def _draws(self, conversation: str | None) -> tuple[float, float, float]:
        """Three uniform numbers; the same ones for every turn of a conversation that goes one way."""
        raw = os.urandom(24)
        if conversation is not None and self._settings.reads == "first_user":
            raw = hmac.new(self._salt, conversation.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()[:24]
        first, second, third = (int.from_bytes(raw[i : i + 8]) / 2**64 for i in (0, 8, 16))
        return first, second, third

    def _decide(self, queries: list[str]) -> list[tuple[Decision, Decision | None]]:
        # Looked up once, so that all of them are decided by one head.
        own = self.router.route(queries)
        other: Sequence[Decision | None] = [None] * len(own) if self.trial is None else self.trial.route(queries)
        return list(zip(own, other, strict=True))

    def _opened(self, settings: ServiceSettings) -> CalibratedRouter | None:
        if settings.canary is None:
            return None
        trial = CalibratedRouter.from_pretrained(Path(settings.canary.head))
        if trial.router.schema != self.router.router.schema:
            raise SettingsRefused("canary.head", "was trained on another router, or one that reads otherwise")
        return trial

    def _watch(self, champion: Champion) -> None:
        while not self._done.wait(LOOKS_EVERY_S):
            champion.look()


def _escalates(decision: Decision, threshold: float | None) -> bool:
    return decision.served_by == "large" if threshold is None else decision.medium_enough < threshold


def _threads() -> None:
    """Of the deciding thread: torch counts them for each."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
