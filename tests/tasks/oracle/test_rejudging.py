"""Answers as their labels tell them, and queries in the order of labels."""

from typing import Any

import pyarrow as pa
import pytest

from routecal.storage.schemas import SCHEMAS
from routecal.tasks.oracle.audit.audit_errors import QueryUnknown
from routecal.tasks.oracle.grading.answering import Answer
from routecal.tasks.oracle.grading.cascade import rule
from routecal.tasks.oracle.rejudging import aligned, stored_answer
from tests.tasks.oracle.audited import C, N, label, tables


def row(**changes: Any) -> dict[str, Any]:
    whole = dict.fromkeys(SCHEMAS["labels"].names)
    return whole | label(0, C, N, prompt_version="answer_system@1; judge_system@2", **changes)


def test_an_answer_comes_back_whole() -> None:
    found = stored_answer(row(medium_model_version="alpha-001", medium_reason="majority"), "medium")
    assert found == Answer(
        "answer 0 one", None, False, "alpha-small", "alpha-001", "gemini", "answer_system@1", keys=()
    )


@pytest.mark.parametrize(
    ("reason", "blocked", "truncated"),
    [("blocked:SAFETY", "SAFETY", False), ("empty", None, False), ("truncated", None, True)],
)
def test_silence_is_ruled_as_it_was(reason: str, blocked: str | None, truncated: bool) -> None:
    found = stored_answer(row(large_answer=None, large_reason=reason), "large")
    assert found is not None
    assert (found.text, found.blocked, found.truncated) == (None, blocked, truncated)
    verdict = rule(found, ["Lima"])
    assert verdict is not None
    assert (verdict.grade, verdict.reason) == (N, reason)


@pytest.mark.parametrize("reason", [None, "majority"])
def test_an_answer_that_was_not_kept_is_no_silence(reason: str | None) -> None:
    assert stored_answer(row(large_answer=None, large_reason=reason), "large") is None


@pytest.mark.parametrize(
    ("version", "kept"),
    [
        (None, None),
        ("judge_system@2", None),
        ("answer_system@1; answer_system@3; j@2", "answer_system@1; answer_system@3"),
    ],
)
def test_versions_of_the_answering_prompt_stay(version: str | None, kept: str | None) -> None:
    found = stored_answer({**row(), "prompt_version": version}, "medium")
    assert found is not None
    assert found.prompt_version == kept


def test_queries_in_the_order_of_labels() -> None:
    labels, queries = tables([label(i, C, C) for i in range(5)])
    mixed = aligned(labels.take([3, 0, 3]), pa.concat_tables([queries.slice(2), queries.slice(0, 2)]))
    assert mixed["query_id"].to_pylist() == ["q3", "q0", "q3"]
    assert mixed.schema.equals(queries.schema)
    with pytest.raises(QueryUnknown, match="a query q4 that"):
        aligned(labels, queries.slice(0, 4))
