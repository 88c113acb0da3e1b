"""Recorded outcomes become labels by the matrix, cell by cell."""

import logging
from pathlib import Path
from unittest.mock import patch

import pytest

from routecal.calib.policy import Grade, OracleMatrix
from routecal.storage.artifact import Artifact, read_table
from routecal.storage.input_errors import NoOutcomeMatches
from routecal.storage.query_identity import query_id
from routecal.tasks.oracle.label_shards import check_labelled, label_shard
from routecal.tasks.oracle.replay_oracle import import_outcomes, matched
from routecal.tasks.queries import import_queries
from tests.tasks.made import store_queries, write_jsonl

S, C, A = "Standard_Query", "Complex_Query", "Ambiguous_Query"
# DESIGN §3: medium by row, large by column, both in the order CORRECT, INCORRECT, NOT_ATTEMPTED
MATRIX = ((S, S, S), (C, A, C), (C, A, A))
CELLS = [(m, g, MATRIX[i][j]) for i, m in enumerate(Grade) for j, g in enumerate(Grade)]


def test_every_cell(tmp_path: Path) -> None:
    asked = [f"Question of cell {i}?" for i in range(9)]
    rows = [
        {"query": q, "medium_label": m.value, "large_label": g.value, "medium_cost_usd": 0.5, "large_tokens_in": 7}
        for q, (m, g, _) in zip(asked, CELLS, strict=True)
    ]
    oracle = import_outcomes(write_jsonl(tmp_path / "o.jsonl", rows[::-1]))
    found = read_table(label_shard.fn(store_queries(asked), oracle, OracleMatrix())).to_pylist()
    assert [(r["medium_grade"], r["large_grade"], r["true_policy"]) for r in found] == [
        (m.value, g.value, policy) for m, g, policy in CELLS
    ]
    assert {(r["medium_cost_usd"], r["large_cost_usd"], r["large_tokens_in"]) for r in found} == {(0.5, None, 7)}
    assert {(r["medium_model"], r["judge"], r["oracle"]) for r in found} == {("unknown", "recorded", "replay")}


def test_queries_without_an_outcome_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    known = {"query": " What is known?\n", "medium_label": "CORRECT", "large_label": "CORRECT", "medium_model": "m7"}
    oracle = import_outcomes(write_jsonl(tmp_path / "o.jsonl", [known]))
    assert (oracle.medium_model, oracle.large_model) == ("m7", "unnamed")
    queries = store_queries(["What is new?", "What is known?", "What else?"])
    labels = label_shard.fn(queries, oracle, OracleMatrix())
    assert read_table(labels)["query_id"].to_pylist() == [read_table(queries)["query_id"][1].as_py()]
    with caplog.at_level(logging.WARNING):
        check_labelled(labels, queries, oracle)
    assert "2 of 3 queries got no label" in caplog.text


def test_outcomes_are_read_once_for_all_shards(tmp_path: Path) -> None:
    asked = [f"Question {i}?" for i in range(40)]
    oracle = import_outcomes(write_jsonl(tmp_path / "o.jsonl", [outcome(text) for text in asked[5:35]]))
    with patch("routecal.storage.artifact.read_table", wraps=read_table) as reads:
        parts = [
            read_table(label_shard.fn(store_queries(asked[i : i + 8]), oracle, OracleMatrix())) for i in range(0, 40, 8)
        ]
    assert [part["query_id"].to_pylist() for part in parts] == [
        [query_id(text) for text in asked[max(i, 5) : min(i + 8, 35)]] for i in range(0, 40, 8)
    ]
    assert [call.args[0].kind for call in reads.mock_calls].count("outcomes") == 1


def test_no_outcome_at_all(tmp_path: Path) -> None:
    row = {"query": "Of another set?", "medium_label": "CORRECT", "large_label": "CORRECT"}
    oracle = import_outcomes(write_jsonl(tmp_path / "o.jsonl", [row]))
    queries = store_queries(["What is new?"])
    labels = label_shard.fn(queries, oracle, OracleMatrix())
    assert labels.rows == 0
    with pytest.raises(NoOutcomeMatches, match="an outcome for none of the 1 queries"):
        check_labelled(labels, queries, oracle)


def outcome(text: str, medium: str = "CORRECT", **more: str) -> dict[str, str]:
    return {"query": text, "medium_label": medium, "large_label": "CORRECT", **more}


def replay(queries: Artifact, path: str) -> dict[tuple[str, str | None], str]:
    """(text, context) -> the medium model's recorded grade."""
    oracle = matched(import_outcomes(path), queries)
    labels = read_table(label_shard.fn(queries, oracle, OracleMatrix())).to_pylist()
    grades = {row["query_id"]: row["medium_grade"] for row in labels}
    assert len(grades) == len(labels)
    rows = read_table(queries).to_pylist()
    return {(r["query"], r["context"]): grades[r["query_id"]] for r in rows if r["query_id"] in grades}


def test_outcomes_are_found_by_text_and_context(tmp_path: Path) -> None:
    rows = [outcome("Sum?", context="one"), outcome("Sum?", "INCORRECT", context="two"), outcome("Sum?", context="3")]
    path = write_jsonl(tmp_path / "o.jsonl", rows)
    queries = store_queries(["Sum?", "Sum?", "Sum?"], context=["two", "one", None])
    assert replay(queries, path) == {("Sum?", "two"): "INCORRECT", ("Sum?", "one"): "CORRECT"}


def test_outcomes_without_contexts_are_found_by_a_text_that_one_query_has(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_jsonl(tmp_path / "o.jsonl", [outcome("Sum?"), outcome("Why?", "INCORRECT"), outcome("Who?")])
    queries = store_queries(["Sum?", "Sum?", " Why?\n", "Who?"], context=["one", "two", "here", None])
    assert replay(queries, path) == {(" Why?\n", "here"): "INCORRECT", ("Who?", None): "CORRECT"}
    assert "1 recorded outcomes have no context, but the text of several queries" in caplog.text
    # where queries have none either, nothing is written anew
    oracle = import_outcomes(path)
    assert matched(oracle, store_queries(["Sum?"])) == oracle


def test_an_outcome_is_not_that_of_a_query_with_one_text_less(tmp_path: Path) -> None:
    queries = store_queries(["Sum?", "Sum?"], context=["one", None])
    assert replay(queries, write_jsonl(tmp_path / "o.jsonl", [outcome("Sum?")])) == {}


def test_a_limit_does_not_make_a_text_unambiguous(tmp_path: Path) -> None:
    rows = [{"query": "Sum?", "context": f"text {i}"} for i in range(5)]
    path = write_jsonl(tmp_path / "q.jsonl", rows)
    outcomes = write_jsonl(tmp_path / "o.jsonl", [outcome("Sum?")])
    one = import_queries(path, limit=1)
    assert one.rows == 1
    assert replay(one, outcomes) == {}
    assert len(replay(import_queries(write_jsonl(tmp_path / "one.jsonl", rows[:1])), outcomes)) == 1


def test_texts_that_differ_in_case_or_form_are_other_questions(tmp_path: Path) -> None:
    pairs = [("What is 2²?", "What is 22?"), ("5 MW?", "5 mW?"), ("Is Co a metal?", "Is CO a metal?")]
    path = write_jsonl(tmp_path / "o.jsonl", [outcome(recorded) for recorded, _ in pairs])
    assert replay(store_queries([text for _, text in pairs]), path) == {}
    assert len(replay(store_queries([text for text, _ in pairs]), path)) == 3
