"""World-facts questions with known answers, made from the countries and cities of GeoNames.

Every question carries its answer, other spellings of it, and a fact sheet that an open-book model may read.
Subjects run from Tokyo to villages few people have heard of, so that no model finds all of them easy.
Deterministic by seed; each fact is asked once, in one of several phrasings, so no fact stands in two splits.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from routecal.tasks.worldfacts.gazetteer import CONTINENTS, World, calling_code, name_aliases

PHRASINGS: dict[str, tuple[str, ...]] = {
    "capital": (
        "What is the capital of {0}?",
        "Name the capital city of {0}.",
        "Which city is {0}'s seat of government?",
    ),
    "country of capital": (
        "Of which country is {0} the capital?",
        "{0} is the capital of which country or territory?",
        "Name the country whose capital is {0}.",
    ),
    "currency": (
        "Which currency is used in {0}?",
        "What do people in {0} pay with?",
        "What is the name of {0}'s currency?",
    ),
    "continent": ("On which continent is {0}?", "Which continent does {0} belong to?", "{0} lies on what continent?"),
    "calling code": (
        "What is the international calling code of {0}?",
        "Which prefix do you dial to call {0} from abroad?",
        "Give the country calling code for {0}.",
    ),
    "internet domain": (
        "What is the internet top-level domain of {0}?",
        "Web sites of {0} end in which country domain?",
        "Give the country code top-level domain of {0}.",
    ),
    "neighbour": (
        "Name one country that borders {0}.",
        "Which country shares a land border with {0}? Name one.",
        "Give one neighbouring country of {0}.",
    ),
    "country of city": (
        "In which country is the city of {0}?",
        "{0} is a city in which country?",
        "Name the country where the city {0} lies.",
    ),
    "larger city": (
        "Which city has more inhabitants, {0} or {1}?",
        "Where do more people live, in {0} or in {1}?",
        "Of the cities {0} and {1}, which is the more populous?",
    ),
    "larger country": (
        "Which is larger by area, {0} or {1}?",
        "{0} or {1}: which covers more land?",
        "Of {0} and {1}, which has the greater area?",
    ),
    "more people": (
        "Which has the larger population, {0} or {1}?",
        "{0} or {1}: which has more people?",
        "Of {0} and {1}, where do more people live?",
    ),
}

# Shares of the topics: cities are many and mostly obscure, countries few and better known.
WEIGHTS = {
    "capital": 12, "country of capital": 12, "currency": 9, "continent": 8, "calling code": 7, "internet domain": 7,
    "neighbour": 7, "country of city": 18, "larger city": 8, "larger country": 6, "more people": 6,
}  # fmt: skip


class Fact(NamedTuple):
    """One question with what counts as its answer."""

    query: str
    ground_truth: str
    aliases: tuple[str, ...]
    topic: str
    context: str


def facts(world: World, topic: str, rng: random.Random) -> Iterator[Fact]:
    """Every fact of one topic, in random order (topics about pairs: without end)."""
    for subjects, answer, aliases, context in SOURCES[topic](world, rng):
        yield Fact(rng.choice(PHRASINGS[topic]).format(*subjects), answer, aliases, topic, context)


_Row = tuple[tuple[str, ...], str, tuple[str, ...], str]


def _about_countries(answer: Callable[[World, dict[str, Any]], tuple[str, tuple[str, ...]] | None]) -> Any:
    """A source with one row per country that `answer` knows something about."""

    def rows(world: World, rng: random.Random) -> Iterator[_Row]:
        for country in rng.sample(world.countries, len(world.countries)):
            if found := answer(world, country):
                yield (country["name"],), *found, world.sheet(country)

    return rows


def _currency(world: World, c: dict[str, Any]) -> tuple[str, tuple[str, ...]] | None:
    name, code = c["currencyname"], c["currencycode"]
    return (name, (code, f"{name}s", f"{name} ({code})", f"{c['name']} {name}")) if name else None


def _continent(world: World, c: dict[str, Any]) -> tuple[str, tuple[str, ...]] | None:
    names = CONTINENTS.get(c["continentcode"])
    return (names[0], names[1:]) if names else None


def _neighbour(world: World, c: dict[str, Any]) -> tuple[str, tuple[str, ...]] | None:
    around = world.neighbours(c)
    if not around:
        return None
    others = [n for other in around[1:] for n in (other["name"], *name_aliases(other))]
    return around[0]["name"], (*name_aliases(around[0]), *others)


def _country_of_capital(world: World, rng: random.Random) -> Iterator[_Row]:
    times = Counter(c["capital"] for c in world.countries)
    for country in rng.sample(world.countries, len(world.countries)):
        if times[country["capital"]] == 1 and country["capital"] != country["name"]:
            yield (country["capital"],), country["name"], name_aliases(country), world.sheet(country)


def _country_of_city(world: World, rng: random.Random) -> Iterator[_Row]:
    for city in _skewed(world.cities, rng):
        country = world.by_iso[city["countrycode"]]
        yield (city["name"],), country["name"], name_aliases(country), world.city_sheet(city)


def _larger(of: str, key: str, sheet: str) -> Any:
    """A source of pairs, the one with the larger `key` being the answer; no near ties, on which sources differ."""

    def rows(world: World, rng: random.Random) -> Iterator[_Row]:
        everything = getattr(world, of)[: 3000 if of == "cities" else None]
        asked: set[frozenset[str]] = set()
        while True:
            first, second = rng.sample(everything, 2)
            pair = frozenset((first["name"], second["name"]))
            if pair not in asked and min(first[key], second[key]) * 1.2 < max(first[key], second[key]):
                asked.add(pair)
                answer = max(first, second, key=lambda c: c[key])
                aliases = name_aliases(answer) if of == "countries" else ()
                context = " ".join(getattr(world, sheet)(c) for c in (first, second))
                yield (first["name"], second["name"]), answer["name"], aliases, context

    return rows


SOURCES: dict[str, Callable[[World, random.Random], Iterator[_Row]]] = {
    "capital": _about_countries(lambda _, c: (c["capital"], ())),
    "country of capital": _country_of_capital,
    "currency": _about_countries(_currency),
    "continent": _about_countries(_continent),
    "calling code": _about_countries(lambda _, c: (calling_code(c), ()) if c["phone"].strip() else None),
    "internet domain": _about_countries(lambda _, c: (c["tld"], ()) if c["tld"] else None),
    "neighbour": _about_countries(_neighbour),
    "country of city": _country_of_city,
    "larger city": _larger("cities", "population", "city_sheet"),
    "larger country": _larger("countries", "areakm2", "size_sheet"),
    "more people": _larger("countries", "population", "size_sheet"),
}


def _skewed(ranked: list[dict[str, Any]], rng: random.Random) -> Iterator[dict[str, Any]]:
    """All of `ranked`, the famous early more often: drawn without replacement with weight 1 / (10 + rank).

    Exponential keys, Efraimidis and Spirakis 2006, "Weighted random sampling with a reservoir".
    """
    keys = [rng.expovariate(1) * (10 + rank) for rank in range(len(ranked))]
    yield from (ranked[i] for i in sorted(range(len(ranked)), key=keys.__getitem__))


def world_facts(n: int, *, seed: int = 0) -> list[Fact]:
    """Make n distinct questions.

    Args:
        n: how many; well over 10,000 exist.
        seed: the same n and seed give the same questions, in the same order.

    Raises:
        ValueError: more than the package's facts can fill.
    """
    world, rng = World(), random.Random(seed)
    streams = {topic: facts(world, topic, rng) for topic in WEIGHTS}
    made: dict[str, Fact] = {}
    while len(made) < n:
        if not streams:
            raise ValueError(f"only {len(made)} distinct questions exist, {n} were asked for")
        topic = rng.choices(list(streams), [WEIGHTS[t] for t in streams])[0]
        fact = next(streams[topic], None)
        if fact is None:
            del streams[topic]
        else:
            made.setdefault(fact.query, fact)
    return list(made.values())
