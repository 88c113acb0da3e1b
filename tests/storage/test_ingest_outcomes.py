"""Recorded outcomes: keyed by text and context, grades and prices checked, contested questions left out."""

import pytest

from routecal.storage.ingest import read_outcomes, read_queries
from routecal.storage.input_errors import (
    BadRows,
    MissingColumn,
)
from routecal.storage.query_identity import query_id
from routecal.storage.schemas import SCHEMAS
from tests.storage.written_files import jsonl

OUTCOME = {"query_id": "theirs-1", "query": "What is 2+2?", "medium_label": "CORRECT", "large_label": "NOT_ATTEMPTED"}


def test_outcomes_are_keyed_by_the_text_and_unknown_prices_stay_null(tmp_path):
    more = {"query": "y", "medium_cost_usd": 0.25, "medium_tokens_in": 7.0, "large_answer": "z"}
    table = read_outcomes(jsonl(tmp_path / "o.jsonl", [OUTCOME, OUTCOME | more, OUTCOME]))
    assert table.schema.equals(SCHEMAS["outcomes"])
    assert table["query_id"].to_pylist() == [query_id("What is 2+2?"), query_id("y")]
    assert table["medium_cost_usd"].to_pylist() == [None, 0.25]
    assert table["medium_tokens_in"].to_pylist() == [None, 7]
    assert table["large_answer"].to_pylist() == [None, "z"]
    assert table.schema.metadata[b"duplicates"] == b"1"


def test_outcomes_are_valid_queries_too(tmp_path):
    table = read_queries(jsonl(tmp_path / "o.jsonl", [OUTCOME]))
    assert table["external_id"].to_pylist() == ["theirs-1"]


@pytest.mark.parametrize(
    "value", ["right", "correctly", None, float("nan"), "", 2, 0.5, -1, ["CORRECT"], "yes", "2", "nan"]
)
def test_a_grade_that_is_none_is_named_with_its_line(tmp_path, value):
    with pytest.raises(BadRows) as caught:
        read_outcomes(jsonl(tmp_path / "o.jsonl", [OUTCOME, OUTCOME | {"large_label": value}]))
    [(line, why)] = caught.value.faults
    assert line == 2
    if value in (None, "") or value != value:
        assert why == "large_label is missing, a grade is needed"
    else:
        assert f"large_label is {value!r}, CORRECT, INCORRECT, NOT_ATTEMPTED, or true or 1 and false or 0" in why


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"medium_tokens_in": 1.5}, "a whole number was expected"),
        ({"medium_tokens_in": -1}, "a number of 0 or more"),
        ({"large_cost_usd": "free"}, "a number was expected"),
        ({"large_cost_usd": True}, "a number was expected"),
        ({"large_cost_usd": -1}, "a number of 0 or more"),
        ({"large_cost_usd": "$0.5"}, "without units or currency"),
        ({"large_cost_usd": "0,5"}, "with a decimal point"),
        ({"large_cost_usd": "1_000"}, "a number was expected"),
        ({"large_cost_usd": "nan"}, "a number was expected"),
        ({"large_cost_usd": "inf"}, "a number was expected"),
        ({"large_cost_usd": float("inf")}, "a finite number was expected"),
        ({"large_cost_usd": 10**400}, "a number was expected"),
    ],
)
def test_a_price_or_count_that_is_none_is_refused(tmp_path, bad, says):
    with pytest.raises(BadRows, match=says):
        read_outcomes(jsonl(tmp_path / "o.jsonl", [OUTCOME | bad]))


def test_missing_prices_stay_missing(tmp_path):
    rows = [
        OUTCOME | {"query": f"{i}?", "medium_cost_usd": v} for i, v in enumerate([float("nan"), None, " ", 0, "2e-3"])
    ]
    found = read_outcomes(jsonl(tmp_path / "o.jsonl", rows))
    assert found["medium_cost_usd"].to_pylist() == [None, None, None, 0.0, 0.002]


def test_of_repeated_outcomes_with_other_grades_the_first_stays_and_a_pair_is_named(tmp_path, caplog):
    rows = [OUTCOME, OUTCOME | {"large_label": "CORRECT"}, OUTCOME | {"query": "y"}]
    table = read_outcomes(jsonl(tmp_path / "o.jsonl", rows))
    assert table["large_label"].to_pylist() == ["NOT_ATTEMPTED"] * 2
    assert "1 of 3 rows repeat an earlier query, 1 of them with another large_label" in caplog.text
    assert "(line 1: 'NOT_ATTEMPTED'; line 2: 'CORRECT'); the first of each stays" in caplog.text


def test_outcomes_of_different_questions_with_one_text_are_left_out(tmp_path, caplog):
    rows = [
        OUTCOME,
        OUTCOME | {"query": "Which?"},
        OUTCOME | {"query": "Which?", "ground_truth": "A"},
        OUTCOME | {"query": "Which?", "ground_truth": "C"},
        OUTCOME | {"query": "Which?", "ground_truth": "C", "context": "B. and C."},
    ]
    table = read_outcomes(jsonl(tmp_path / "o.jsonl", rows))
    assert table.select(["query", "context"]).to_pylist() == [
        {"query": "What is 2+2?", "context": None},
        {"query": "Which?", "context": "B. and C."},
    ]
    assert "with another ground_truth (line 3: 'A'; line 4: 'C'); as these are different questions, none" in caplog.text


def test_outcomes_without_labels(tmp_path):
    with pytest.raises(MissingColumn, match="medium_label"):
        read_outcomes(jsonl(tmp_path / "o.jsonl", [{"query": "x"}]))
