"""Labels from an OpenAI-compatible server of one's own, and where its key comes from."""

from pathlib import Path

import pytest

from routecal.tasks.oracle import openai_oracle
from routecal.tasks.oracle.api_oracle import ApiOracle
from routecal.tasks.oracle.engine.pace import Pace
from routecal.tasks.oracle.grading.judging import JudgeSpec, ModelSpec
from routecal.tasks.oracle.job_runner import job_runner
from routecal.tasks.oracle.model_drift import ModelDrift
from routecal.tasks.oracle.money.pricing import UnknownPrice
from tests.gemini_server.answers import Answers
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import GeminiServer, serving
from tests.gemini_server.wire import Request
from tests.tasks.oracle.labelling import RIGHT, WRONG, Run, asked, recorded, shard

SMALL, BIG = "qwen3:4b", "qwen3:72b"
N = 20
PRICES = "".join(
    f'[[price]]\nmodel = "{model}"\ninput_usd = {usd}\noutput_usd = {usd}\n' for model, usd in ((SMALL, 0), (BIG, 2))
)

connect = openai_oracle.ORACLE.api.connect


def respond(request: Request) -> str:
    """Every other query is known to the small model, every third to the big one, which judges too."""
    if request.schema is not None:
        return Answers()(request)
    number = int("".join(c for c in request.prompt if c.isdigit()))
    return RIGHT if number % (2 if request.model == SMALL else 3) == 0 else WRONG


def oracle_at(base_url: str) -> ApiOracle:
    small, big = (ModelSpec(model=model, thinking_level=None) for model in (SMALL, BIG))
    return ApiOracle(kind="openai", provider=f"openai:{base_url}", medium=small, large=big, judge=JudgeSpec(first=big))


def run(server: GeminiServer, prices: Path, n: int = N) -> Run:
    pace = Pace(job="job", backoff_s=0.01, prices=str(prices), base_url=server.openai_url)
    oracle = oracle_at(server.openai_url)
    with job_runner(pace, connect(oracle, pace), n) as runner:
        return shard(runner, asked(n), oracle)


@pytest.fixture
def prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-test")
    path = tmp_path / "prices.toml"
    path.write_text(PRICES)
    return path


def test_a_server_of_one_s_own_labels_and_is_asked_once(prices: Path) -> None:
    with serving(respond=respond) as server:
        first = run(server, prices)
        assert [row["medium_grade"] for row in first.rows] == ["CORRECT", "INCORRECT"] * (N // 2)
        assert [row["large_grade"] for row in first.rows] == ["INCORRECT" if i % 3 else "CORRECT" for i in range(N)]
        assert {row["oracle"] for row in first.rows} == {f"openai:{server.openai_url}"}
        # The small model costs nothing; the big one 2 USD per 1,000,000 tokens, read or written.
        assert {row["medium_cost_usd"] for row in first.rows} == {0.0}
        tokens = sum(r["large_tokens_in"] + r["large_tokens_out"] for r in first.rows)
        assert sum(r["large_cost_usd"] for r in first.rows) == pytest.approx(2e-6 * tokens)
        assert {request.headers["authorization"] for request in server.seen} == {"Bearer sk-of-the-test"}
        # Two answers each; of the judge's words each pair of query and answer is asked for once.
        calls = recorded()
        assert len(calls) == server.requests() == first.tally.calls > 2 * N
        assert {call["state"] for call in calls} == {"ended"}
        again = run(server, prices)
        assert (again.rows, again.tally.calls, server.requests()) == (first.rows, 0, len(calls))
        assert again.tally.reused == len(calls)


def test_what_is_wrong_with_every_request_costs_one(prices: Path) -> None:
    with serving({SMALL: Script(then="404"), BIG: Script(then="404")}, respond=respond) as server:
        stopped = run(server, prices)
        assert "--medium-model" in str(stopped.error)
        assert server.requests() == 1


def test_another_model_than_the_one_asked_stops_the_run(prices: Path) -> None:
    with serving({SMALL: Script(version="llama4:8b")}, respond=respond) as server:
        stopped = run(server, prices)
    assert isinstance(stopped.error, ModelDrift)
    assert "llama4:8b" in str(stopped.error)


def test_a_model_without_a_price_of_the_user_s_own_is_not_asked(prices: Path) -> None:
    prices.write_text(PRICES.replace(BIG, "another"))
    with serving(respond=respond) as server:
        stopped = run(server, prices, 3)
        assert isinstance(stopped.error, UnknownPrice)
        assert not [request for request in server.seen if request.model == BIG]


def test_google_s_key_is_sent_to_no_other_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-of-google")
    asked_for: list[str] = []

    def stored(block: str) -> str | None:
        asked_for.append(block)
        return "AIza-of-google" if block == "gemini-api-key" else None

    monkeypatch.setattr(openai_oracle, "stored_secret", stored)
    oracle = oracle_at("http://127.0.0.1:8000/v1")
    made = [connect(oracle, Pace(job="job", **block))()[0] for block in ({}, {"secret": "mine"})]
    assert asked_for == ["openai-api-key", "mine"]
    # With a key it would be named by a digest of it too.
    assert {provider.project for provider in made} == {"http://127.0.0.1:8000/v1"}


def test_a_login_in_the_address_is_used_but_names_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-test")
    oracle = oracle_at("http://127.0.0.1:8000/v1")
    [provider] = connect(oracle, Pace(job="job", base_url="http://user:pass@127.0.0.1:8000/v1/"))()
    assert provider.name == oracle.provider
    assert provider._address.login == ("user", "pass")
