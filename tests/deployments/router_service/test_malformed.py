"""A thousand bodies that nobody should send: each is refused or served, none is a fault of the server."""

import json
import random
from typing import Any

import httpx
import pytest

from tests.calib.packed import QUERIES
from tests.deployments.router_service.conftest import Running, Start

N = 1_000
MESSAGE = {"role": "user", "content": QUERIES[0]}
CHOICE = {"type": "choice", "name": "c", "instructions": "?", "choices": [{"value": "flash"}, {"value": "pro"}]}
GOOD: dict[str, dict[str, Any]] = {
    "/v1/route": {"queries": QUERIES[:2]},
    "/v1/chat/completions": {"model": "auto", "messages": [MESSAGE], "stream": False, "tools": []},
    "/v1/decisions": {"model": "m", "input": [MESSAGE], "questions": [CHOICE]},
    "/v1/systemone": {
        "state": {"query": QUERIES[0]},
        "questions": {"c": {"type": "choice", "criteria": {"medium": None, "large": "x"}}},
    },
    "/v1/feedback": {"decision_id": "0" * 32, "correct": True, "score": 0.5},
}
VALUES: list[Any] = [None, True, 0, -1, 1e308, 10**400, "", " ", "\0", "\ud800", "x" * 5000, [], {}, [None], {"a": 1},
                     [[[[]]]], "auto", float("nan"), float("inf"), [{"role": "user"}], {"type": "noul"}]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


def changed(rng: random.Random, good: Any) -> bytes:
    """A good body with one thing wrong: another value, a missing one, one too many, or bytes that are no JSON."""
    body = json.loads(json.dumps(good))
    path = rng.choice(places(body)[1:])
    outer = body
    for key in path[:-1]:
        outer = outer[key]
    match rng.randrange(5):
        case 0 | 1:
            outer[path[-1]] = rng.choice(VALUES)
        case 2:
            del outer[path[-1]]
        case 3:
            body[rng.choice(["api_key", "extra", "query", "messages"])] = rng.choice(VALUES)
        case _:
            raw = bytearray(json.dumps(body).encode())
            for _ in range(rng.randrange(1, 4)):
                raw[rng.randrange(len(raw))] = rng.randrange(256)
            return bytes(raw[: rng.randrange(len(raw)) or None])
    return json.dumps(body).encode()


def test_no_body_is_a_fault_of_the_server(running: Running) -> None:
    rng, seen = random.Random(3), set[int]()
    with httpx.Client(base_url=running.url, timeout=60) as client:
        for i in range(N):
            path = list(GOOD)[i % len(GOOD)]
            body = changed(rng, GOOD[path])
            said = client.post(path, content=body, headers={"content-type": "application/json"})
            assert said.status_code < 500, (path, body, said.text)
            seen.add(said.status_code)
            if said.status_code >= 400:
                assert set(said.json()["error"]) == {"message", "type", "param", "code"}, (path, body, said.text)
        assert {200, 400, 404} <= seen
        assert client.post("/v1/route", json={"query": QUERIES[0]}).json()["routes"][0]["status"] == "ok"


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_large_is_refused_before_it_is_held(announced: bool, start: Start) -> None:
    def pieces() -> Any:
        for _ in range(64):
            yield b" " * 2**15

    with start(max_body_mib=1) as running:
        content: Any = b" " * 2**21 if announced else pieces()
        said = httpx.post(f"{running.url}/v1/chat/completions", content=content)
        assert said.status_code == 413
        assert "larger than 1,048,576 bytes" in said.json()["error"]["message"]
        assert httpx.post(f"{running.url}/v1/route", json={"query": "a"}).status_code == 200
