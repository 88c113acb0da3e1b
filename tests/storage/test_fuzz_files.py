"""A thousand seeded files: what is read is what was written, and all else is refused with a sentence."""

import json
import random
import warnings

import pytest

from routecal.storage.errors import StorageError
from routecal.storage.ingest import read_outcomes, read_queries
from tests.storage.fuzzed_files import WRITERS, broken, must_be, some_rows

READ = ("query", "external_id", "ground_truth", "aliases", "topic", "context")
GRADES = ("CORRECT", "INCORRECT", "NOT_ATTEMPTED")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def read(path, reader=read_queries):
    """The rows read, or None where the file was refused; anything but a sentence of ours is a fault."""
    try:
        return reader(path).to_pylist()
    except StorageError as error:
        said = str(error)
        assert said
        assert "\n" not in said
        assert len(said) < 3000
        return None


@pytest.mark.parametrize("writer", WRITERS)
def test_what_was_written_is_read(writer, folder):
    for seed in range(120):
        rng = random.Random(f"{writer.__name__} {seed}")
        rows = some_rows(rng)
        name, content = writer(rng, rows)
        (folder / name).write_bytes(content)
        found = read_queries(folder / name).select(list(READ)).to_pylist()
        assert found == must_be(rows), (seed, content[:300])


@pytest.mark.parametrize("writer", WRITERS)
def test_broken_files_are_refused_or_read_as_rows(writer, folder):
    """What no one can tell from a file of other words may be read, but only as texts that the file holds."""
    refused = 0
    for seed in range(120):
        rng = random.Random(f"broken {writer.__name__} {seed}")
        name, content = writer(rng, some_rows(rng))
        (folder / name).write_bytes(broken(rng, content))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = read(folder / name)
        refused += found is None
        for row in found or ():
            assert row["query"].strip()
            assert row["ground_truth"] is None or row["ground_truth"].strip()
    assert 20 < refused < 120


STRANGE = (
    [],
    {},
    [[]],
    {"text": 1},
    float("inf"),
    10**400,
    True,
    -1,
    1e-9,
    "\u3164",
    "$5",
    "1e5",
    "nan",
    ["a", {}],
    "CORRECTLY",
    float("nan"),
    None,
    "x" * 5000,
    "\x00",
    "\u202eevil",
)


def test_strange_values_are_refused_or_read_as_what_they_are(folder):
    """Of rows in which some values are replaced, the others are read as ever."""
    refused = 0
    for seed in range(200):
        rng = random.Random(f"strange {seed}")
        rows = [
            {
                "query": f"Question {i}?",
                "medium_label": rng.choice(GRADES),
                "large_label": "CORRECT",
                "large_cost_usd": 0.5,
            }
            for i in range(3)
        ]
        spoiled = [dict(row) for row in rows]
        name, value = rng.choice([*rows[0], "ground_truth", "context", "medium_tokens_in"]), rng.choice(STRANGE)
        row = rng.randrange(3)
        spoiled[row][name] = value
        (folder / "o.jsonl").write_text("\n".join(map(json.dumps, spoiled)), encoding="utf-8")
        found = read(folder / "o.jsonl", read_outcomes)
        refused += found is None
        if found is not None:
            assert len(found) == 3
            same = [i for i in range(3) if i != row]
            assert [found[i]["query"] for i in same] == [rows[i]["query"] for i in same]
            assert all(outcome["medium_label"] in GRADES and outcome["large_label"] in GRADES for outcome in found)
            assert all((outcome["large_cost_usd"] or 0) >= 0 for outcome in found)
            if name == "ground_truth" and not isinstance(value, list | dict):
                nothing = value is None or value != value or value in ("\u3164", "\x00")
                assert (found[row]["ground_truth"] is None) == nothing
    assert 60 < refused < 180


def test_strange_columns_are_refused_or_read(folder):
    """Names that are lost, doubled or spelled otherwise."""
    for seed in range(80):
        rng = random.Random(f"columns {seed}")
        names = ["query", "ground_truth", "id", "topic"]
        place, change = rng.randrange(4), rng.randrange(5)
        old = names[place]
        names[place] = [old.upper(), f" {old}\t", "", rng.choice(names), old + "s"][change]
        cells = [["Who?", "a", "1", "t"], ["What?", "b", "2", ""]]
        text = "\n".join(";".join(row) for row in [names, *cells])
        (folder / "q.csv").write_text(text, encoding="utf-8")
        found = read(folder / "q.csv")
        expected = dict(zip(("query", "ground_truth", "external_id", "topic"), zip(*cells, strict=True), strict=True))
        if found is not None:
            assert [row["query"] for row in found] in ([*expected["query"]], [*expected.get(old, ())]) or change == 3
        if change in (0, 1):
            assert [row["ground_truth"] for row in found] == ["a", "b"]
            assert [row["topic"] for row in found] == ["t", None]
        if old == "query" and change in (2, 4):
            assert found is None
