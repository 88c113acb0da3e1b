"""Two logs become outcomes, or a sentence says why they cannot."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from routecal.storage.errors import UnknownName
from routecal.storage.eval_logs.errors import LogsDiffer, NothingGraded, RuleNeeded, SampleUnusable
from routecal.storage.eval_logs.formats import open_log
from routecal.storage.eval_logs.merge import Merged, merge
from routecal.storage.eval_logs.sample import EvalLog, Sample
from routecal.storage.ingest import read_outcomes, read_queries


def sample(i: int, score: object = 1, **more: Any) -> Sample:
    return Sample(f"line {i}", str(i), f"Question {i}?", score)._replace(**more)


def log(name: str, samples: Sequence[Sample], **more: Any) -> EvalLog:
    facts = {"tool": "a tool", "model": name, "task": "sums", "scorer": "match"} | more
    return EvalLog(path=f"{name}.log", samples=iter(samples), **facts)


class Joined:
    """What two lists of samples become."""

    def __init__(self, folder: Path) -> None:
        self.output = folder / "outcomes.parquet"

    def __call__(self, medium: Sequence[Sample], large: Sequence[Sample], **more: Any) -> tuple[Merged, list[Any]]:
        merged = merge(log("small", medium), log("big", large), str(self.output), **more)
        rows = pq.read_table(self.output).to_pylist()
        assert len(rows) == merged.n
        return merged, rows


@pytest.fixture
def joined(tmp_path: Path) -> Joined:
    return Joined(tmp_path)


def test_grades_are_of_the_same_question_in_the_order_of_the_medium_log(joined: Joined) -> None:
    medium = [sample(i, i % 2) for i in (3, 1, 2, 5, 4)]
    large = [sample(i, i > 2) for i in (5, 4, 3, 2, 1)]
    merged, rows = joined(medium, large)
    assert [row["id"] for row in rows] == ["3", "1", "2", "5", "4"]
    assert [row["medium_label"] for row in rows] == ["CORRECT", "CORRECT", "INCORRECT", "CORRECT", "INCORRECT"]
    assert [row["large_label"] for row in rows] == ["CORRECT", "INCORRECT", "INCORRECT", "CORRECT", "CORRECT"]
    assert (merged.medium_right, merged.large_right) == (0.6, 0.6)


def test_ids_that_only_count_do_not_join_other_questions(joined: Joined) -> None:
    # The same questions in another order, numbered as they come.
    medium = [sample(i, i % 2) for i in range(6)]
    large = [sample(i, i % 2)._replace(id=str(5 - i)) for i in range(6)]
    merged, rows = joined(medium, large)
    assert merged.key == "query"
    assert all(row["medium_label"] == row["large_label"] for row in rows)


def test_one_id_with_two_texts_in_some_samples_leaves_these_out(joined: Joined) -> None:
    large = [sample(i) for i in range(10)]
    large[4] = large[4]._replace(query="Another question?")
    merged, rows = joined([sample(i) for i in range(10)], large)
    assert (merged.n, merged.n_changed) == (9, 1)
    assert "4" not in {row["id"] for row in rows}


def test_white_space_around_a_question_is_no_other_question(joined: Joined) -> None:
    large = [sample(i)._replace(query=f" Question {i}?\n", id=None) for i in range(4)]
    assert joined([sample(i) for i in range(4)], large)[0].n == 4


def test_repeats_give_the_first_grade_and_the_share_that_is_right(joined: Joined) -> None:
    medium = [sample(1, score, repeat=repeat) for repeat, score in ((2, 1), (0, 0), (1, 1), (3, 1))]
    merged, rows = joined(medium, [sample(1)])
    assert (rows[0]["medium_label"], rows[0]["medium_share_right"], rows[0]["medium_answers"]) == ("INCORRECT", 0.75, 4)
    assert (rows[0]["large_share_right"], rows[0]["large_answers"], merged.n_repeated) == (1.0, 1, 1)


def test_repeats_without_an_id_are_joined_by_their_text(joined: Joined) -> None:
    medium = [sample(1, score, id=None) for score in (1, 0)]
    assert joined(medium, [sample(1)])[1][0]["medium_share_right"] == 0.5


def test_one_text_with_two_right_answers_is_two_questions(joined: Joined) -> None:
    medium = [sample(i) for i in range(5)] + [sample(7, query="Which is it?", target=t, id=t) for t in "AB"]
    large = [sample(i)._replace(id=None) for i in range(5)] + [sample(7, query="Which is it?", target="A", id=None)]
    merged, rows = joined(medium, large)
    assert (merged.n, merged.n_contradictory) == (5, 1)
    assert "Which is it?" not in {row["query"] for row in rows}


def test_samples_without_an_answer_or_a_score_are_counted(joined: Joined) -> None:
    medium = [sample(i) for i in range(6)]
    medium[0] = medium[0]._replace(error="timeout", score=None)
    medium[1] = medium[1]._replace(score=None)
    merged, _ = joined(medium, [sample(i) for i in range(5)])
    assert (merged.n, merged.n_medium, merged.n_large) == (3, 4, 5)
    assert (merged.medium.n, merged.medium.n_errors, merged.medium.n_unscored) == (6, 1, 1)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"model": "small"}, "both are of the model small"),
        ({"task": "history"}, "they are of the tasks sums and history"),
        ({"scorer": "judge"}, "graded by match and judge"),
    ],
)
def test_logs_that_are_not_of_one_task_and_two_models(facts: dict[str, str], reason: str, tmp_path: Path) -> None:
    def never() -> Any:
        yield pytest.fail("a sample was read")

    output = tmp_path / "outcomes.parquet"
    with pytest.raises(LogsDiffer, match=reason):
        merge(log("small", []), EvalLog(**vars(log("big", [], **facts)) | {"samples": never()}), str(output))
    assert not output.exists()


def test_a_task_that_is_named_differently_can_be_named(tmp_path: Path) -> None:
    output = str(tmp_path / "outcomes.parquet")
    for name, task in ((None, "inspect_evals/sums"), ("sums", "arithmetic")):
        merge(log("small", [sample(1)]), log("big", [sample(1)], task=task), output, task=name)
        assert pq.read_table(output)["label_source"].to_pylist() == ["a tool, sums, match"]


@pytest.mark.parametrize("ids", [True, False])
def test_other_questions_are_refused_and_shown(ids: bool, joined: Joined) -> None:
    large = [sample(i)._replace(query=f"Frage {i}?", id=str(i) if ids else None) for i in range(6)]
    with pytest.raises(LogsDiffer, match="0 of 6 questions are in both") as refused:
        joined([sample(i) for i in range(6)], large)
    assert ("the id 0 is of 'Question 0?'" in str(refused.value)) == ids
    assert not joined.output.exists()


def test_half_a_log_is_refused_and_a_little_more_is_not(joined: Joined) -> None:
    for n, is_refused in ((10, True), (11, False)):
        large = [sample(i) if i < n else sample(i)._replace(query=f"Frage {i}?") for i in range(20)]
        if is_refused:
            with pytest.raises(LogsDiffer):
                joined([sample(i) for i in range(20)], large)
        else:
            assert joined([sample(i) for i in range(20)], large)[0].n == n


def test_nothing_that_was_there_is_lost_to_an_import_that_fails(joined: Joined) -> None:
    joined.output.write_text("before")
    for large, error in (
        ([sample(i)._replace(score=float("nan")) for i in range(3)], SampleUnusable),
        ([sample(i)._replace(score="wat") for i in range(3)], SampleUnusable),
        ([sample(i)._replace(score=0.4) for i in range(3)], RuleNeeded),
        ([sample(i)._replace(query=" ") for i in range(3)], SampleUnusable),
        ([sample(i)._replace(tokens_in=-3) for i in range(3)], SampleUnusable),
        ([sample(i)._replace(cost_usd="dear") for i in range(3)], SampleUnusable),
        ([sample(i)._replace(error="down") for i in range(3)], NothingGraded),
        ([], NothingGraded),
    ):
        with pytest.raises(error):
            joined([sample(i) for i in range(3)], large)
        assert [path.name for path in joined.output.parent.iterdir()] == ["outcomes.parquet"]
        assert joined.output.read_text() == "before"


@pytest.mark.parametrize(
    ("score", "right_at", "grade"),
    [
        ("C", None, "CORRECT"),
        ("I", None, "INCORRECT"),
        ("N", 0.1, "NOT_ATTEMPTED"),
        ("not attempted", None, "NOT_ATTEMPTED"),
        ("P", 0.5, "CORRECT"),
        ("P", 0.6, "INCORRECT"),
        (True, None, "CORRECT"),
        (False, 0.5, "INCORRECT"),
        (1.0, None, "CORRECT"),
        ("0", None, "INCORRECT"),
        (7, 7, "CORRECT"),
        (6.99, 7, "INCORRECT"),
        ("0.7", 0.7, "CORRECT"),
    ],
)
def test_the_rule_of_grades(score: object, right_at: float | None, grade: str, joined: Joined) -> None:
    rows = joined([sample(1, score)], [sample(1)], right_at=right_at)[1]
    assert rows[0]["medium_label"] == grade


@pytest.mark.parametrize("score", ["P", 0.5, 2, -1, "0.99"])
def test_a_score_between_right_and_wrong_needs_a_rule(score: object, joined: Joined) -> None:
    with pytest.raises(RuleNeeded, match=r"small\.log, line 1: the score .* --right-at"):
        joined([sample(1, score)], [sample(1)])


def test_progress_is_told_of_both(joined: Joined) -> None:
    said: list[tuple[str, int]] = []
    joined([sample(i) for i in range(3)], [sample(i) for i in range(3)], note=lambda name, n: said.append((name, n)))
    assert said == [("medium", 3), ("large", 3)]


def test_a_format_that_is_none() -> None:
    with pytest.raises(UnknownName, match="inspect"):
        open_log("excel", "log.xlsx")


def test_what_is_written_is_read_as_queries_and_as_outcomes(joined: Joined) -> None:
    medium = [sample(i, i % 2, target="42", topic="sums", tokens_in=9, cost_usd=0.5) for i in range(6)]
    joined(medium, [sample(i) for i in range(6)])
    queries, outcomes = read_queries(joined.output), read_outcomes(joined.output)
    assert queries["external_id"].to_pylist() == [str(i) for i in range(6)]
    assert queries["query_id"] == outcomes["query_id"]
    assert outcomes["medium_label"].to_pylist() == ["INCORRECT", "CORRECT"] * 3
    assert outcomes["medium_cost_usd"].to_pylist() == [0.5] * 6
    assert outcomes["ground_truth"].to_pylist() == queries["ground_truth"].to_pylist() == ["42"] * 6
    assert outcomes["medium_model"].to_pylist() == ["small"] * 6


def test_outcomes_at_a_url_leave_nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    output = "memory://evaluations/outcomes.parquet"
    merge(log("small", [sample(1)]), log("big", [sample(1, 0)]), output)
    assert read_outcomes(output)["large_label"].to_pylist() == ["INCORRECT"]
    assert list(tmp_path.iterdir()) == []
