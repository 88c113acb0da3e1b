"""How far it is from the flow to the HTTP request: our frames on the way, hand-overs to threads and tasks included."""

import asyncio
import json
import sys
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any

import aiohttp
import pytest
from prefect import Task

from routecal.flows.label import label
from tests.flows.lakes import lakes_file, params_for
from tests.gemini_server.server import serving
from tests.tasks.oracle.labelling import JUDGE, KEY, LARGE, MEDIUM, by_number

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / room) for room in ("flows", "tasks"))

# The frames of whoever handed over what runs here, outermost first; a context is copied at every hand-over.
BEHIND: ContextVar[tuple[str, ...]] = ContextVar("behind", default=())


def ours() -> tuple[str, ...]:
    """Our functions on the way to here, outermost first."""
    names = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if str(Path(frame.f_code.co_filename).resolve()).startswith(OURS):
            names.append(frame.f_code.co_qualname)
        frame = frame.f_back
    return (*BEHIND.get(), *reversed(names))


def remembering(hand_over: Callable[..., Any]) -> Callable[..., Any]:
    """The same, with the frames of whoever calls it behind what runs then."""

    def wrapped(*arguments: Any, **named: Any) -> Any:
        token = BEHIND.set(ours())
        try:
            return hand_over(*arguments, **named)
        finally:
            BEHIND.reset(token)

    return wrapped


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[tuple[str, ...]]]:
    """Stage -> the ways on which its requests came to the transport."""
    found: dict[str, set[tuple[str, ...]]] = {"answer": set(), "judge": set()}
    request = aiohttp.ClientSession._request

    async def noted(self: aiohttp.ClientSession, *arguments: Any, **named: Any) -> Any:
        body = named.get("data") or json.dumps(named.get("json"))
        stage = "judge" if "responseJsonSchema" in str(body) else "answer"
        found[stage].add(ours())
        return await request(self, *arguments, **named)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", noted)
    for owner, name in ((Task, "submit"), (asyncio, "run_coroutine_threadsafe"), (BaseEventLoop, "create_task")):
        monkeypatch.setattr(owner, name, remembering(getattr(owner, name)))
    return found


@pytest.mark.usefixtures("_own_results")
def test_the_flow_is_ten_frames_from_the_request(
    walks: dict[str, set[tuple[str, ...]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    with serving(respond=by_number()) as server:
        assert label(params_for(lakes_file(tmp_path, 4), server)).rows == 4
        assert server.stats()["models"].keys() == {MEDIUM, LARGE, JUDGE}
    for stage, most in (("answer", 10), ("judge", 13)):
        assert walks[stage]
        for walk in walks[stage]:
            # Nothing between the two ends was lost on the way.
            assert [walk[0], walk[3], walk[-1]] == ["label", "label_shard", "Gemini.send"]
            assert len(walk) <= most, walk
