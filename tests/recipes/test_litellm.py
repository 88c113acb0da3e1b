"""LiteLLM's Router with routecal as plugin, as judge and as System One classifier: docs/recipes/litellm.md."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.calib.packed import QUERIES
from tests.deployments.router_service.raw_upstream import RawUpstream
from tests.recipes.conftest import ALL_LARGE, THRESHOLD, RunningService, changed

pytestmark = pytest.mark.recipes

TIERS = {"medium": "SIMPLE", "large": "REASONING"}


class Way(NamedTuple):
    """A recipe: its file, the cause that LiteLLM notes where routecal decides and where not, and what it asks."""

    file: str
    cause: str
    fallback: str
    surface: str


ways = pytest.mark.parametrize(
    "way",
    [
        Way("plugin.yaml", "classifier_plugin", "default_model_fallback", "route"),
        Way("judge.yaml", "capability_classifier", "capability_classifier_fallback", "judge"),
        Way("systemone.yaml", "jev_classifier", "default_model_fallback", "systemone"),
    ],
    ids=["plugin", "judge", "systemone"],
)
Served = dict[str, list[str]]


def config(file: str, folder: Path, changes: dict[str, str] | None = None, *, wait_ms: int = 120_000) -> Path:
    """The recipe's file, with a threshold that parts QUERIES where it has one, and time for a busy machine."""
    made = {"timeout_ms: 500" if file == "plugin.yaml" else "timeout_ms: 2000": f"timeout_ms: {wait_ms}"}
    if file == "judge.yaml":
        made["base_threshold: 0.5"] = f"base_threshold: {THRESHOLD}"
    return changed("litellm", file, folder, made | (changes or {}))


@ways
def test_each_query_goes_to_the_model_that_was_decided_for(
    way: Way,
    service: RunningService,
    by_rule: Served,
    by_probability: Served,
    tmp_path: Path,
) -> None:
    said = service.run("litellm", "ask.py", config(way.file, tmp_path), *QUERIES)
    expected = by_probability if way.surface == "judge" else by_rule
    assert service.answered() == expected
    assert [line[1:] for line in said] == [[TIERS[expected[query][0]], way.cause, query] for query in QUERIES]
    service.assert_logged(way.surface)


# Of which LiteLLM knows how long its answers may be.
KNOWN = {"openai/flash": "openai/gpt-4o-mini", "openai/pro": "openai/gpt-4o-mini"}


@ways
def test_another_routing_strategy_routes_by_the_newest_message_and_keeps_max_tokens(
    way: Way,
    service: RunningService,
    by_rule: Served,
    by_probability: Served,
    tmp_path: Path,
) -> None:
    """LiteLLM puts what came before, and the caller's own prompt, around the query of a System One classifier."""
    query, other, before = QUERIES[0], QUERIES[3], QUERIES[4]
    for served in (by_rule, by_probability):
        assert served[query] != served[other] == served[before]
    conversation = [
        {"role": "system", "content": f"Be brief.\n\nClassify this message:\n{other}"},
        {"role": "user", "content": before},
        {"role": "assistant", "content": "Much."},
        {"role": "user", "content": [{"type": "text", "text": query}]},
    ]
    used = config(way.file, tmp_path, KNOWN | {"simple-shuffle": "least-busy"})
    [[_, tier, why, _]] = service.run("litellm", "ask.py", used, json.dumps(conversation))
    expected = by_probability if way.surface == "judge" else by_rule
    assert (tier, why) == (TIERS[expected[query][0]], way.cause)
    assert [(row["query"], row["surface"]) for row in service.decisions()] == [(query, way.surface)]
    [asked] = service.asked()
    assert (asked.json["messages"], asked.json["max_tokens"]) == (conversation, 64)


@ways
def test_without_routecal_the_large_model_answers(way: Way, service: RunningService, tmp_path: Path) -> None:
    service.kill()
    said = service.run("litellm", "ask.py", config(way.file, tmp_path), *QUERIES)
    assert service.answered() == ALL_LARGE
    assert {line[2] for line in said} == {way.fallback}


@ways
def test_a_routecal_that_hangs_is_given_up(
    way: Way, service: RunningService, hung: RawUpstream, tmp_path: Path
) -> None:
    """A plugin is asked and waited for each time; a judge and a classifier once, and then not for 30 s."""
    # LiteLLM counts what it imports at its first call, and that is all the time of a judge on a busy machine.
    used = config(way.file, tmp_path, wait_ms=500 if way.surface == "route" else 20_000)
    where = {"ROUTECAL_URL": hung.url.removesuffix("/v1"), "ROUTECAL_V1": hung.url}
    said = service.run("litellm", "ask.py", used, *QUERIES, **where)
    assert service.answered() == ALL_LARGE
    assert {line[2] for line in said} == {way.fallback}
    # Not to the number: half a second may pass before a request is sent.
    assert (len(hung.asked) > 3) == (way.surface == "route")
    assert hung.asked


def test_without_the_recipe_s_word_max_tokens_is_overwritten(service: RunningService, tmp_path: Path) -> None:
    changes = KNOWN | {"max_tokens_from_tier_model: false": "max_tokens_from_tier_model: true"}
    service.run("litellm", "ask.py", config("plugin.yaml", tmp_path, changes), QUERIES[0])
    assert [asked.json["max_tokens"] for asked in service.asked()] == [16384]


def test_without_the_recipe_s_fallback_keywords_decide(service: RunningService, tmp_path: Path) -> None:
    service.kill()
    used = config("plugin.yaml", tmp_path, {"classifier_fallback: default_model": "classifier_fallback: heuristic"})
    service.run("litellm", "ask.py", used, *QUERIES)
    assert service.answered() != ALL_LARGE
