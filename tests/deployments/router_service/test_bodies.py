"""Requests: which text of a conversation is routed, and a body with one field changed and no other byte."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routecal.deployments.router_service.conversation import NoQuery, Reads, query_of
from routecal.deployments.router_service.model_field import Body, BodyRefused

TALK: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Find the lake."},
    {"role": "assistant", "content": "Which?"},
    {"role": "user", "content": [{"type": "text", "text": "The deepest"}, {"type": "input_text", "text": "one."}]},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:…"}}]},
    {"role": "tool", "tool_call_id": "1", "content": "1642 m"},
]


@pytest.mark.parametrize(
    ("reads", "text"),
    [
        ("last_user", "The deepest\none."),
        ("first_user", "Find the lake."),
        ("all_user", "Find the lake.\n\nThe deepest\none."),
    ],
)
def test_what_is_read_of_a_conversation(reads: Reads, text: str) -> None:
    assert query_of(TALK, reads) == text


@pytest.mark.parametrize(
    "messages",
    [None, [], "hello", {}, [7], [{"content": "x"}], [{"role": 1}], [{"role": "user", "content": None}], TALK[4:]],
)
def test_conversations_without_a_query(messages: object) -> None:
    with pytest.raises(NoQuery):
        query_of(messages, "last_user")


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(
    fields=st.dictionaries(st.text().filter(lambda name: name != "model"), JSON, max_size=5),
    at=st.integers(0, 5),
    asked=st.text(),
    named=st.text(),
    layout=st.sampled_from([(",", ":"), (" , ", " : "), (",\n\t", ":\r\n")]),
    ascii_only=st.booleans(),
)
def test_only_the_model_changes(
    fields: dict[str, Any], at: int, asked: str, named: str, layout: tuple[str, str], ascii_only: bool
) -> None:
    items = list(fields.items())
    items.insert(min(at, len(items)), ("model", asked))
    raw = json.dumps(dict(items), separators=layout, ensure_ascii=ascii_only).encode()
    body = Body(raw)
    assert body.fields == json.loads(raw)
    want = raw.replace(
        b'"model"' + layout[1].encode() + json.dumps(asked, ensure_ascii=ascii_only).encode(),
        b'"model"' + layout[1].encode() + json.dumps(named).encode(),
        1,
    )
    if raw.count(b'"model"') == 1:
        assert body.with_model(named) == want
    assert json.loads(body.with_model(named)) == json.loads(raw) | {"model": named}


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "no JSON object"),
        (b"[]", "no JSON object"),
        (b'"x"', "no JSON object"),
        (b"\xff{}", "not UTF-8"),
        (b'{"a": 1', "a comma is expected"),
        (b'{"a": 1,}', "a name is expected"),
        (b'{"a" 1}', "a colon is expected"),
        (b"{'a': 1}", "a name is expected"),
        (b'{"a": 1} x', "something follows"),
        (b'{"a": yes}', "no JSON object"),
        (b'{"model": "a", "model": "b"}', "'model' is there twice"),
        (b'{"\\u006dodel": "a", "model": "b"}', "'model' is there twice"),
        (b'{"api_base": "x"}', "api_base is not taken"),
        (b"{" + b'"a": [' * 100_000, "no JSON object"),
    ],
)
def test_bodies_that_are_refused(raw: bytes, why: str) -> None:
    with pytest.raises(BodyRefused, match=why):
        Body(raw)


def test_a_body_without_a_model_has_none_to_change() -> None:
    with pytest.raises(BodyRefused, match="model is missing"):
        Body(b'{"messages": []}').with_model("x")
