"""Small files as people really have them: read right, or refused with what to do."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from routecal.storage.ingest import read_outcomes, read_queries
from routecal.storage.input_errors import BadRows, InputUnreadable
from routecal.storage.query_identity import query_id

CASES = Path(__file__).parents[2].parent / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the files are not beside this checkout")

MOON = "when was the last time anyone was on the moon"

# file -> (query, ground truth) of the first rows
TRUTHS = {
    "bool.jsonl": [("Is water wet?", "true")],
    "case.jsonl": [
        ("How many W is 5 MW?", "5000000"),
        ("How many W is 5 mW?", "0.005"),
        ("Which element is Co?", "cobalt"),
        ("Which element is CO?", "none, it is carbon monoxide"),
    ],
    "sup.jsonl": [
        ("What is 2²?", "4"),
        ("What is 22?", "22"),
        ("What is 10⁵ in words?", "hundred thousand"),
        ("What is 105 in words?", "one hundred five"),
    ],
    "ind.jsonl": [
        ("What prints?\nfor i in a:\n    b()\n    c()", "bc"),
        ("What prints?\nfor i in a:\n    b()\nc()", "bbc"),
    ],
    "dupc.jsonl": [("Summarise.", "1"), ("Summarise.", "2")],
    "dup.jsonl": [("Which of the following is correct?", "A")],
    "collq.jsonl": [
        ("What is 22 in words?", "twenty-two"),
        ("How many watts is 5 mW?", "0.005"),
        ("Is CO a metal?", "no"),
    ],
    "collo.jsonl": [("What is 2² in words?", None), ("How many watts is 5 MW?", None), ("Is Co a metal?", None)],
    "nan.jsonl": [("Who?", None), ("What?", "x")],
    "nan.parquet": [("q1", "18"), ("q2", None)],
    "nanid.jsonl": [("Who?", "a"), ("What?", "x")],
    "ns.parquet": [("a", None)],
    "list.parquet": [("a b", "x"), ("c d", "z")],
    "semi.csv": [("Who?", "a")],
    "sep.csv": [("Who?", "a")],
    "utf16.csv": [("Who?", "a")],
    "cr.csv": [("Who?", "a"), ("What?", "b")],
    "unn.csv": [("Who?", "a"), ("What?", "b")],
    "o1.csv": [("Who?", None)],
    "o8.csv": [("Who?", None)],
    "nq_open_head_list_truth.jsonl": [(MOON, "14 December 1972 UTC")],
    "nq_open_head_aliases.jsonl": [(MOON, "14 December 1972 UTC")],
}
REFUSED = {
    "inf.jsonl": (
        BadRows,
        "1 of 1 rows cannot be used: line 1: ground_truth is inf, a finite number or a text was expected; write it in "
        "words, as a text in quotes; correct or remove it, nothing was read",
    ),
    "zw.jsonl": (
        BadRows,
        "3 of 3 rows cannot be used: line 1: the query is blank; line 2: the query is blank; line 3: the query is "
        "blank; correct or remove them, nothing was read",
    ),
    "cp1252.csv": (
        InputUnreadable,
        "line 2 is not UTF-8 (byte 0xe4, place 16 of the line); save the file as UTF-8 (in Excel: CSV UTF-8), or "
        "convert it from the encoding it has, often Windows-1252 or ISO-8859-1: iconv -f WINDOWS-1252 -t UTF-8",
    ),
}


def test_every_file_is_tried():
    assert {path.name for path in CASES.iterdir()} == TRUTHS.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", TRUTHS)
def test_it_is_read_right(name):
    table = read_queries(CASES / name)
    found = [(row["query"], row["ground_truth"]) for row in table.to_pylist()]
    n = 1 if name.startswith("nq_") else len(found)
    assert found[:n] == TRUTHS[name]
    ids = [query_id(row["query"], row["context"]) for row in table.to_pylist()]
    assert table["query_id"].to_pylist() == ids
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_what_to_do(name):
    error, says = REFUSED[name]
    with pytest.raises(error) as caught:
        read_queries(CASES / name)
    assert str(caught.value).endswith(says)


@pytest.mark.parametrize("name", ["nq_open_head_list_truth.jsonl", "nq_open_head_aliases.jsonl"])
def test_lists_of_references_are_aliases(name):
    rows = read_queries(CASES / name).to_pylist()
    assert rows[0]["aliases"] == ["14 December 1972 UTC", "December 1972"]
    assert all(row["ground_truth"] == row["aliases"][0] for row in rows)


def test_what_is_missing_is_missing():
    assert read_queries(CASES / "nan.jsonl").select(["external_id", "topic"]).to_pylist() == [
        {"external_id": "1", "topic": None},
        {"external_id": "2", "topic": "a"},
    ]
    assert read_queries(CASES / "nanid.jsonl")["external_id"].to_pylist() == [None, None]


def test_a_truth_that_repeats_with_another_value_is_named(caplog):
    read_queries(CASES / "dup.jsonl")
    assert "1 of 2 rows repeat an earlier query, 1 of them with another ground_truth (line 1: 'A'; line 2: 'C')" in (
        caplog.text
    )


def test_nanoseconds_and_zones():
    [row] = read_queries(CASES / "ns.parquet").to_pylist()
    assert row["received_at"] == datetime(2026, 3, 31, 23, 33, 20, 123456, tzinfo=UTC)


def test_lists_and_categories_of_parquet():
    rows = read_queries(CASES / "list.parquet").to_pylist()
    assert [(row["external_id"], row["aliases"]) for row in rows] == [("1", ["x", "y"]), ("2", ["z"])]


def test_grades_in_lower_case():
    [row] = read_outcomes(CASES / "o1.csv").to_pylist()
    assert (row["medium_label"], row["large_label"]) == ("CORRECT", "INCORRECT")


def test_a_price_below_nothing():
    with pytest.raises(BadRows, match="line 2: medium_cost_usd is '-1', a number of 0 or more was expected"):
        read_outcomes(CASES / "o8.csv")


def test_no_outcome_is_that_of_another_question():
    ids = read_queries(CASES / "collq.jsonl")["query_id"].to_pylist()
    assert not set(ids) & set(read_outcomes(CASES / "collo.jsonl")["query_id"].to_pylist())
