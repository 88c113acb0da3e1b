"""A row of labels by hand, and rows that are none."""

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from routecal.calib.policy import Grade, OracleMatrix
from routecal.storage.schemas import SCHEMAS, conform
from routecal.tasks.oracle.grading.answering import Answer
from routecal.tasks.oracle.grading.judging import Verdict, Vote
from routecal.tasks.oracle.label_row import Unlabelled, label_row

NOW = datetime(2026, 11, 22, tzinfo=UTC)
QUERY = {"query_id": "q1", "query": "Which city?", "ground_truth": "Lima"}
VOTE = Vote("judge", "first", "judge_system@1", Grade.INCORRECT, 0.75, "judge-001", "k1", '{"grade": "…"}')
MEDIUM = Answer("Oslo", None, False, "small", "small-001", "gemini", "answer_system@1", ("m1",))
LARGE = Answer(None, "SAFETY", False, "big", "big-002", "gemini", "answer_system@1", ("l1",))
WRONG = Verdict(Grade.INCORRECT, "judge", 0.75, (VOTE,))
SILENT = Verdict(Grade.NOT_ATTEMPTED, "no answer", reason="blocked:SAFETY")


@dataclass
class Receipt:
    usd: dict[str, float | None] = field(default_factory=lambda: {"medium": 0.5, "large": None, "judge": 0.25})
    tokens_in: dict[str, int | None] = field(default_factory=lambda: {"medium": 10, "large": 11, "judge": 700})
    tokens_out: dict[str, int | None] = field(default_factory=lambda: {"medium": 5, "large": None, "judge": 40})


def row(verdicts: tuple[Verdict, Verdict], receipt: Any = None) -> dict[str, Any] | Unlabelled:
    return label_row(QUERY, (MEDIUM, LARGE), verdicts, matrix=OracleMatrix(), receipt=receipt or Receipt(), now=NOW)


def test_a_row_by_hand() -> None:
    found = row((WRONG, SILENT))
    assert isinstance(found, dict)
    assert set(found) == set(SCHEMAS["labels"].names)
    votes = {who: json.loads(found.pop(f"{who}_votes")) for who in ("medium", "large")}
    assert votes == {"medium": [VOTE.facts], "large": []}
    assert votes["medium"][0]["call"] == "k1"
    assert found == {
        "query_id": "q1",
        "oracle": "gemini",
        "medium_model": "small",
        "large_model": "big",
        "medium_model_version": "small-001",
        "large_model_version": "big-002",
        "medium_answer": "Oslo",
        "large_answer": None,
        "medium_grade": "INCORRECT",
        "large_grade": "NOT_ATTEMPTED",
        "medium_reason": None,
        "large_reason": "blocked:SAFETY",
        "true_policy": "Complex_Query",
        "judge": "judge / no answer",
        "judge_confidence": 0.75,
        "prompt_version": "answer_system@1; judge_system@1",
        "medium_tokens_in": 10,
        "medium_tokens_out": 5,
        "large_tokens_in": 11,
        "large_tokens_out": None,
        "judge_tokens_in": 700,
        "judge_tokens_out": 40,
        "medium_cost_usd": 0.5,
        "large_cost_usd": None,
        "judge_cost_usd": 0.25,
        "labelled_at": NOW,
    }


def test_rows_fit_the_table() -> None:
    table = pa.Table.from_pylist([row((WRONG, SILENT)), row((SILENT, SILENT))], schema=SCHEMAS["labels"])
    assert conform(table, "labels").num_rows == 2


def test_who_needed_no_judge_paid_none() -> None:
    receipt = Receipt({"medium": 0.5, "large": 1.0}, {"medium": 1, "large": 2}, {"medium": 3, "large": 4})
    found = row((SILENT, SILENT), receipt)
    assert (found["judge_tokens_in"], found["judge_tokens_out"], found["judge_cost_usd"]) == (0, 0, 0.0)
    assert (found["judge"], found["judge_confidence"]) == ("no answer", None)


def test_the_less_certain_verdict_counts() -> None:
    assert row((WRONG, replace(WRONG, confidence=0.5)))["judge_confidence"] == 0.5


SPLIT = Verdict(None, "a + b", None, (VOTE, VOTE), "judges disagree", True)
ERROR = Verdict(None, "a", None, (VOTE,), "judge error", True)


@pytest.mark.parametrize(
    ("verdicts", "reason"),
    [
        ((SPLIT, WRONG), "judges disagree: medium"),
        ((WRONG, ERROR), "judge error: large"),
        ((ERROR, ERROR), "judge error: medium, large"),
        ((ERROR, SPLIT), "judge error: medium; judges disagree: large"),
    ],
)
def test_without_both_grades_there_is_no_label(verdicts: tuple[Verdict, Verdict], reason: str) -> None:
    assert row(verdicts) == Unlabelled(reason, verdicts)
