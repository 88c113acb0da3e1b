"""A night reads the log of a service: its queries once each, and what other rules would have been worth."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routecal.storage.artifact import read_metadata, read_table
from routecal.storage.query_identity import query_id
from routecal.storage.served.journal import Journal
from routecal.storage.served.tables import DECISIONS, FEEDBACK
from routecal.tasks.night.inbox import PROPENSITY, gather
from routecal.tasks.night.served_log import decision_log, digest_of

START = datetime(2026, 11, 1, tzinfo=UTC)


def write_log(log: Path, decisions: list[dict[str, Any]], words: Sequence[dict[str, Any]] = ()) -> None:
    for kind, schema, rows in (("decisions", DECISIONS, decisions), ("feedback", FEEDBACK, words)):
        journal = Journal(log / kind, schema)
        journal.append([dict.fromkeys(schema.names) | {"at": START} | row for row in rows])
        journal.close()


def asked(*texts: str | None) -> list[dict[str, Any]]:
    return [
        {
            "decision_id": f"{i:032x}",
            "at": START + timedelta(seconds=i),
            "query": text,
            "query_id": query_id(text or ""),
            "served": "medium",
        }
        for i, text in enumerate(texts)
    ]


def test_queries_of_a_log_are_gathered_once_beside_files(tmp_path: Path) -> None:
    log = tmp_path / "served"
    write_log(log, asked("Which lake is the deepest?", "How high?", "Which lake is the deepest?", None, " "))
    (log / "more.jsonl").write_text('{"query": "How high?"}\n{"query": "How wide?"}\n')
    gathered = gather.fn(str(log), frozenset(), 100)
    rows = {row["query"]: row for row in read_table(gathered.queries).to_pylist()}
    assert sorted(rows) == ["How high?", "How wide?", "Which lake is the deepest?"]
    assert rows["Which lake is the deepest?"]["received_at"] == START
    assert rows["Which lake is the deepest?"]["query_id"] == query_id("Which lake is the deepest?")
    assert (gathered.n_new, gathered.n_files) == (3, 1)
    assert gathered.served is not None
    assert gathered.served.sentences == [
        "5 decisions are logged, 0.0% of them served by the large model",
        "nobody has graded an answer: send grades to /v1/feedback",
    ]
    again = gather.fn(str(log), frozenset({query_id("How high?")}), 100)
    assert again.n_new == 2


def test_each_new_query_is_drawn_with_the_probability_that_is_recorded(tmp_path: Path) -> None:
    log = tmp_path / "served"
    write_log(log, asked(*(f"What is number {i}?" for i in range(40))))
    gathered = gather.fn(str(log), frozenset(), 10)
    assert gathered.queries.rows == 10
    assert float(read_metadata(gathered.queries)[PROPENSITY]) == 10 / 40
    whole = gather.fn(str(log), frozenset(), 40)
    assert float(read_metadata(whole.queries)[PROPENSITY]) == 1


def test_an_ordinary_folder_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"query": "How high?"}\n')
    assert decision_log(str(tmp_path)) is None
    assert gather.fn(str(tmp_path), frozenset(), 10).served is None


def simulated(log: Path, *, n: int, explore: float, seed: int = 0) -> None:
    """Decisions of a head that is calibrated: medium right in p, large in .9; each served answer graded."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.3, 0.95, n)
    escalate = p < 0.6
    drawn = rng.random(n) < explore
    large = np.where(drawn, rng.random(n) < 0.5, escalate)
    right = rng.random(n) < np.where(large, 0.9, p)
    decisions, words = [], []
    for i in range(n):
        is_asked_for = bool(large[i] == escalate[i])
        decisions.append(
            {
                "decision_id": f"{i:032x}",
                "query": f"q {i}",
                "served": "large" if large[i] else "medium",
                "escalate": bool(escalate[i]),
                "propensity": 1 - explore / 2 if is_asked_for else explore / 2,
                "medium_right": float(p[i]),
                "large_right": 0.9,
                "status": "ok",
                "decides_by": "gain",
            }
        )
        word = {"feedback_id": f"{i:032x}", "decision_id": f"{i:032x}", "about": "served", "correct": bool(right[i])}
        words.append(word)
    write_log(log, decisions, words)


def test_what_other_rules_are_worth_is_told_where_chance_had_a_say(tmp_path: Path) -> None:
    simulated(tmp_path, n=3000, explore=0.3)
    digest = digest_of(tmp_path)
    assert (digest.n, digest.n_graded) == (3000, 3000)
    # E p for p above .6 is .775, of which 35 of 65 are; E p is .625.
    truths = {"by the head": (0.35 * 0.775 + 0.3 * 0.9) / 0.65, "all to the medium model": 0.625}
    for value in digest.values:
        assert value.right is not None
        truth = truths.get(value.rule, 0.9)
        assert value.right.low < truth < value.right.high
        assert value.right.high - value.right.low < 0.15
    assert "by the head: " in digest.sentences[1]
    assert "95% interval" in digest.sentences[1]


def test_a_log_without_chance_tells_of_its_own_rule_alone(tmp_path: Path) -> None:
    simulated(tmp_path, n=300, explore=0.0)
    own, medium, large = digest_of(tmp_path).values
    assert own.right is not None
    assert medium.right is None
    assert large.right is None
    assert "serve a share of queries at random (--explore)" in medium.reason
    assert "cannot be told" in digest_of(tmp_path).sentences[2]


@pytest.mark.parametrize("n", [0, 3])
def test_a_log_with_next_to_nothing(n: int, tmp_path: Path) -> None:
    simulated(tmp_path, n=n, explore=0.5)
    digest = digest_of(tmp_path)
    assert digest.sentences[0].startswith(f"{n} decisions are logged" if n else "the decision log is empty")
    assert [value.right for value in digest.values] == [None] * (3 if n else 0)
    assert len(digest.sentences) == (4 if n else 1)
