"""Recorded outcomes become labels by the matrix, cell by cell."""

import logging
from pathlib import Path

import pytest

from calib.policy import Grade, OracleMatrix
from storage.artifact import read_table
from storage.errors import NoOutcomeMatches
from tasks.label import check_labelled, label_shard
from tasks.queries import import_outcomes
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


def test_no_outcome_at_all(tmp_path: Path) -> None:
    row = {"query": "Of another set?", "medium_label": "CORRECT", "large_label": "CORRECT"}
    oracle = import_outcomes(write_jsonl(tmp_path / "o.jsonl", [row]))
    queries = store_queries(["What is new?"])
    labels = label_shard.fn(queries, oracle, OracleMatrix())
    assert labels.rows == 0
    with pytest.raises(NoOutcomeMatches, match="an outcome for none of the 1 queries"):
        check_labelled(labels, queries, oracle)
