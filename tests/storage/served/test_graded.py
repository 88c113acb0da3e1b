"""Decisions are joined to the newest word on each model's answer."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from routecal.storage.served.graded import graded
from routecal.storage.served.journal import Journal
from routecal.storage.served.tables import DECISIONS, FEEDBACK

START = datetime(2026, 11, 1, tzinfo=UTC)


def written(log: Path, decisions: list[dict[str, Any]], words: list[dict[str, Any]]) -> None:
    for kind, schema, rows in (("decisions", DECISIONS, decisions), ("feedback", FEEDBACK, words)):
        journal = Journal(log / kind, schema)
        journal.append([dict.fromkeys(schema.names) | {"at": START} | row for row in rows])
        journal.close()


def word(minute: int, decision_id: str, **said: Any) -> dict[str, Any]:
    row = {"feedback_id": f"{minute:032x}", "decision_id": decision_id, "at": START + timedelta(minutes=minute)}
    return row | {"about": "served"} | said


def test_the_newest_word_on_each_answer_counts(tmp_path: Path) -> None:
    made = [
        {"decision_id": name, "served": served, "head": head, "escalate": served == "large"}
        for name, served, head in (
            ("a", "medium", "h"),
            ("b", "large", "h"),
            ("c", "medium", "other"),
            ("d", "medium", "h"),
        )
    ]
    words = [
        word(1, "b", correct=True),
        word(2, "a", correct=True),
        word(3, "a", label="NOT_ATTEMPTED"),
        word(4, "b", about="medium", score=0.25),
        word(5, "c", correct=False),
        word(6, "d", outcome="bought"),
        word(7, "gone", correct=True),
    ]
    written(tmp_path, made, words)
    found = {row["decision_id"]: row for row in graded(tmp_path).to_pylist()}
    assert list(found) == ["a", "b", "c"]
    told = ("medium_was_right", "large_was_right", "medium_grade", "large_grade")
    assert [found["a"][name] for name in told] == [0.0, None, "NOT_ATTEMPTED", None]
    assert [found["b"][name] for name in told] == [0.25, 1.0, "INCORRECT", "CORRECT"]
    assert found["b"]["graded_at"] == START + timedelta(minutes=4)
    assert graded(tmp_path, head="other")["decision_id"].to_pylist() == ["c"]


def test_an_empty_log_has_no_grades(tmp_path: Path) -> None:
    assert graded(tmp_path).num_rows == 0
