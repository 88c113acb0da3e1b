"""What the endpoints say, by the clients that people have."""

import hashlib
import json
from typing import Any

import httpx
import openai
import pytest

from routecal.calib.calibrated_router import CalibratedRouter
from routecal.calib.policy import Policy
from tests.calib.packed import QUERIES
from tests.deployments.router_service.conftest import Running, Start


def chat(running: Running, query: str, **more: Any) -> httpx.Response:
    body = {"model": "auto", "messages": [{"role": "user", "content": query}]} | more
    return httpx.post(f"{running.url}/v1/chat/completions", json=body, timeout=30)


def test_route_says_what_the_router_says_and_writes_it_down_first(running: Running) -> None:
    said = httpx.post(f"{running.url}/v1/route", json={"queries": QUERIES}).json()["routes"]
    decisions = CalibratedRouter.from_pretrained(running.service.settings.head).route(QUERIES)
    assert [one["confidence"] for one in said] == pytest.approx([d.confidence for d in decisions], abs=1e-5)
    assert [one["served_by"] for one in said] == [d.served_by for d in decisions]
    assert {one["served_by"] for one in said} == {"medium", "large"}
    assert [one["model"] for one in said] == [{"medium": "flash", "large": "pro"}[d.served_by] for d in decisions]
    rows = running.rows("decisions")
    assert [row["decision_id"] for row in rows] == [one["decision_id"] for one in said]
    assert [row["query"] for row in rows] == QUERIES
    assert {row["propensity"] for row in rows} == {1.0}
    # Nothing was promised of this head, so its number is not passed off as one that was checked.
    assert {one["estimate"]["status"] for one in said} == {"insufficient_evidence"}
    assert {one["estimate"]["probability"] for one in said} == {None}
    assert said[0]["no_guarantee"].startswith("no guarantee")


def test_route_reads_a_conversation_as_a_completion_does(start: Start) -> None:
    said = [{"role": "user", "content": QUERIES[0]}, {"role": "assistant", "content": "Much."}]
    said.append({"role": "user", "content": [{"type": "text", "text": QUERIES[1]}, {"type": "image_url"}]})
    with start(reads="all_user") as running:
        assert httpx.post(f"{running.url}/v1/route", json={"messages": said}).status_code == 200
        assert [row["query"] for row in running.rows("decisions")] == [f"{QUERIES[0]}\n\n{QUERIES[1]}"]
        for body, param in (
            ({}, "query"),
            ({"query": "a", "messages": said}, "query"),
            ({"messages": []}, "messages"),
            ({"messages": said[1:2]}, "messages"),
        ):
            refused = httpx.post(f"{running.url}/v1/route", json=body)
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


def test_chat_goes_to_the_model_that_was_decided_for_with_only_the_name_changed(running: Running) -> None:
    for query in QUERIES:
        raw = json.dumps({"messages": [{"role": "user", "content": query}], "model": "auto", "n": 1.0, "new": None})
        said = httpx.post(f"{running.url}/v1/chat/completions", content=raw)
        model = said.headers["x-routecal-model"]
        upstream = {"flash": running.medium, "pro": running.large}[model]
        assert upstream.asked[-1].body.decode() == raw.replace('"auto"', f'"{model}"')
        assert said.json()["model"] == model
        assert said.headers["x-routecal-status"] == "ok"
        assert 0 <= float(said.headers["x-routecal-confidence"]) <= 1
    assert running.medium.asked
    assert running.large.asked
    ids = [row["decision_id"] for row in running.rows("decisions")]
    answers = running.answers(len(QUERIES))
    assert [row["decision_id"] for row in answers] == ids
    assert {row["tokens_output"] for row in answers} == {3}


def test_the_openai_package_reads_answers_and_streams(running: Running) -> None:
    client = openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0)
    messages: Any = [{"role": "user", "content": QUERIES[0]}]
    assert client.chat.completions.create(model="auto", messages=messages).choices[0].message.content == "It is Baikal."
    stream = client.chat.completions.create(model="routecal", messages=messages, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "It is Baikal."
    assert {"auto", "routecal", "routecal-judge", "flash", "pro"} == {one.id for one in client.models.list().data}
    rule = client.get("/models", cast_to=httpx.Response).json()["routecal"]
    assert rule == {"head": "abc", "threshold": running.service.decider.router.serving.threshold, "decides_by": "gain"}
    with pytest.raises(openai.NotFoundError, match="no model 'gpt-9'"):
        client.chat.completions.create(model="gpt-9", messages=messages)


@pytest.mark.parametrize(("threshold", "served"), [("0", "flash"), ("1", "pro"), ("0.0", "flash"), ("1.0", "pro")])
def test_a_threshold_in_the_name_serves_all_or_none_at_its_ends(threshold: str, served: str, running: Running) -> None:
    said = chat(running, QUERIES[0], model=f"router-routecal-{threshold}")
    assert said.headers["x-routecal-model"] == served


def test_a_threshold_in_the_name_is_of_the_probability_that_the_medium_model_is_enough(running: Running) -> None:
    """A complex query is not sent to the medium model because the router is sure that it is complex."""
    decision = CalibratedRouter.from_pretrained(running.service.settings.head).route(QUERIES[0])[0]
    p = decision.medium_enough
    assert p == pytest.approx(1 - decision.confidence if decision.policy is Policy.COMPLEX else decision.confidence)
    for threshold, served, escalates in ((p - 0.01, "flash", "false"), (p + 0.01, "pro", "true")):
        said = chat(running, QUERIES[0], model=f"router-routecal-{threshold:.6f}")
        headers = {name: said.headers[f"x-routecal-{name}"] for name in ("model", "escalate", "threshold")}
        assert headers == {"model": served, "escalate": escalates, "threshold": f"{threshold:.6g}"}
        row = running.rows("decisions")[-1]
        assert (row["decides_by"], row["threshold"]) == ("medium_enough", pytest.approx(threshold, abs=1e-6))
        assert row["escalate"] == (escalates == "true")


def test_decisions_of_openai(running: Running) -> None:
    client = openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0)
    questions: Any = [
        {"type": "predicate", "name": "medium_is_enough", "instructions": "Is the medium model enough?"},
        {"type": "choice", "instructions": "Which?", "choices": [{"value": "pro"}, {"value": "flash"}]},
        {"type": "score", "instructions": "How hard?", "levels": []},
        {"type": "predicate", "name": "is_rude", "instructions": "Is it rude?"},
        {"type": "choice", "instructions": "Which?", "choices": [{"value": True}, {"value": False}]},
    ]
    for query in QUERIES:
        said = client.decisions.create(model="routecal", input=query, questions=questions)
        enough, choice, *others = said.answers
        [row] = [row for row in running.rows("decisions") if row["query"] == query]
        assert enough.type == "predicate"
        assert choice.type == "choice"
        assert choice.choice == {"large": "pro", "medium": "flash"}[row["served"]]
        p = {str(one.value): one.probability for one in choice.probabilities}
        assert p == {"flash": pytest.approx(enough.probability), "pro": pytest.approx(1 - enough.probability)}
        assert [one.type for one in others] == ["refusal"] * 3


def test_systemone_answers_its_one_question_and_litellm_s_four_tiers(running: Running) -> None:
    tiers = {name: f"for {name}" for name in ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")}
    questions = {
        "medium_is_enough": {"type": "noul", "instructions": "Is it?"},
        "tier": {"type": "choice", "instructions": "Which tier?", "criteria": tiers},
    }
    state = f"Caller system prompt: be brief.\n\nClassify this message:\n{QUERIES[1]}"
    said = httpx.post(f"{running.url}/v1/systemone", json={"state": state, "model": "m", "questions": questions}).json()
    [row] = running.rows("decisions")
    assert row["query"] == QUERIES[1]
    tier = said["answers"]["tier"]
    assert tier["choice"] == {"large": "REASONING", "medium": "SIMPLE"}[row["served"]]
    assert sum(tier["probabilities"].values()) == pytest.approx(1)
    assert tier["probabilities"]["SIMPLE"] == pytest.approx(said["answers"]["medium_is_enough"]["noul"])
    other = {"state": QUERIES[0], "questions": {"urgent": {"type": "noul", "instructions": "Is it urgent?"}}}
    refused = httpx.post(f"{running.url}/v1/systemone", json=other)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "questions.urgent")


def test_the_judge_says_what_gateways_read(running: Running) -> None:
    said = chat(running, QUERIES[2], model="routecal-judge").json()
    verdict = json.loads(said["choices"][0]["message"]["content"])
    assert set(verdict) == {"crux", "primary_rule", "capability_boundary", "p_solve"}
    assert isinstance(verdict["p_solve"], float)
    assert not running.medium.asked
    assert not running.large.asked


def test_keys_are_asked_for_and_kept(start: Start) -> None:
    keys = [{"name": "team", "sha256": hashlib.sha256(b"secret-key").hexdigest()}]
    with start(keys=keys) as running:
        assert httpx.post(f"{running.url}/v1/route", json={"query": "a"}).status_code == 401
        headers = {"Authorization": "Bearer wrong"}
        assert httpx.post(f"{running.url}/v1/route", json={"query": "a"}, headers=headers).status_code == 401
        client = openai.OpenAI(base_url=f"{running.url}/v1", api_key="secret-key", max_retries=0)
        client.chat.completions.create(model="auto", messages=[{"role": "user", "content": QUERIES[0]}])
        [asked] = [*running.medium.asked, *running.large.asked]
        assert asked.header("authorization") is None
        assert [row["client"] for row in running.rows("decisions")] == ["team"]
        assert httpx.get(f"{running.url}/healthz").text == "ok"


def test_feedback_is_taken_once(running: Running) -> None:
    said = httpx.post(f"{running.url}/v1/route", json={"query": QUERIES[0]}).json()["routes"][0]
    word = {"decision_id": said["decision_id"], "correct": True}
    first, second = (httpx.post(f"{running.url}/v1/feedback", json=word).json() for _ in range(2))
    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert [(row["correct"], row["source"]) for row in running.rows("feedback")] == [(True, "local")]
    assert httpx.post(f"{running.url}/v1/feedback", json=word | {"decision_id": "0" * 32}).status_code == 404
    assert httpx.post(f"{running.url}/v1/feedback", json={"decision_id": said["decision_id"]}).status_code == 400


def test_metrics_and_readiness(running: Running) -> None:
    chat(running, QUERIES[0])
    running.answers(1)
    text = httpx.get(f"{running.url}/metrics").text
    assert 'routecal_answers_total{model="' in text
    assert "routecal_not_logged 0.0" in text
    assert httpx.get(f"{running.url}/readyz").json() == {"ready": True, "head": "abc", "faults": []}
