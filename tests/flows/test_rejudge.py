"""Other grades for stored answers: what is asked, what stays, what changes, and going on after an end."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from routecal.flows import cli
from routecal.storage.artifact import Artifact
from routecal.storage.layout import Home
from routecal.storage.manifest import manifest_of
from routecal.tasks import runs
from tests.flows.api_labels import KEY, LARGE, MEDIUM, OTHER, cells, file_of, is_judging, known, label_argv, rows_of
from tests.flows.refusal import Capture, refused
from tests.gemini_server.answers import Answers, same_words
from tests.gemini_server.scripts import Script
from tests.gemini_server.server import GeminiServer, serving
from tests.gemini_server.wire import Request
from tests.tasks.made import outcome_rows, texts, write_jsonl

pytestmark = pytest.mark.usefixtures("_own_results")

N = 20
# 20 and 18 answers that are no silence; of ten queries three are right, and one is wrong, in the same words twice.
N_JUDGED = 20 + 18 - 2 * 3 - 2 * 1

States = list[tuple[str, str]]


def opposed() -> Callable[[Request], str]:
    """As `known`, but the judge `OTHER` finds every wrong answer right and every right one wrong."""
    answers = known(N)
    swapped = {"CORRECT": "INCORRECT", "INCORRECT": "CORRECT", "NOT_ATTEMPTED": "NOT_ATTEMPTED"}
    contrary = Answers(grade=lambda *case: swapped[same_words(*case)], confidence=0.75)
    return lambda request: contrary(request) if request.model == OTHER else answers(request)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[GeminiServer]:
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    with serving(respond=opposed()) as running:
        yield running


@pytest.fixture
def labels(server: GeminiServer, tmp_path: Path) -> Artifact:
    """Labels of all queries; what the server has seen so far is forgotten."""
    assert cli.main(label_argv(file_of(tmp_path / "q.jsonl", N), server)) == 0
    server.seen.clear()
    return runs.newest_artifact("labels")


def rejudge(server: GeminiServer, *more: str) -> int:
    judge = [] if "--judge-model" in more else ["--judge-model", OTHER]
    return cli.main(["rejudge", "--base-url", server.url, "--shard-size", "8", *judge, *more])


# The columns that tell what a judge said, and what that took.
OF_JUDGES = {
    "true_policy",
    "judge",
    "judge_confidence",
    "judge_tokens_in",
    "judge_tokens_out",
    "judge_cost_usd",
    "prompt_version",
    *(f"{role}_{what}" for role in ("medium", "large") for what in ("grade", "reason", "votes")),
}


def without(rows: list[dict[str, Any]], columns: set[str]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in columns} for row in rows]


def test_only_judges_are_asked_and_answers_stay(labels: Artifact, server: GeminiServer, capsys: Capture) -> None:
    capsys.readouterr()
    before = server.requests(MEDIUM), server.requests(LARGE)
    assert rejudge(server) == 0
    assert len(server.seen) == N_JUDGED
    assert all(is_judging(request) and request.model == OTHER for request in server.seen)
    assert (server.requests(MEDIUM), server.requests(LARGE)) == before
    new = runs.newest_artifact("labels")
    old_rows, rows = rows_of(labels), rows_of(new)
    assert without(rows, OF_JUDGES) == without(old_rows, OF_JUDGES)
    swapped = {"CORRECT": "INCORRECT", "INCORRECT": "CORRECT", "NOT_ATTEMPTED": "NOT_ATTEMPTED"}
    for old, row in zip(old_rows, rows, strict=True):
        assert [row[f"{who}_grade"] for who in ("medium", "large")] == [
            swapped[old[f"{who}_grade"]] for who in ("medium", "large")
        ]
        assert OTHER in row["judge"]
        assert MEDIUM not in row["judge"]
        assert (row["judge_confidence"], row["prompt_version"]) == (0.75, old["prompt_version"])
        assert row["judge_cost_usd"] > 0


def test_the_changes_are_shown_and_the_labels_recorded(
    labels: Artifact, server: GeminiServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    capsys.readouterr()
    assert rejudge(server) == 0
    out = capsys.readouterr().out
    new = runs.newest_artifact("labels")
    assert out.endswith(f"labels  {N} rows  {new.uri}\n")
    assert cells(out) == [
        # the medium model knows 10 of 20
        ["CORRECT", "0", "10", "0", "0"],
        ["INCORRECT", "10", "0", "0", "0"],
        ["NOT_ATTEMPTED", "0", "0", "0", "0"],
        # the large one 12, and keeps silent twice
        ["CORRECT", "0", "12", "0", "0"],
        ["INCORRECT", "6", "0", "0", "0"],
        ["NOT_ATTEMPTED", "0", "0", "2", "0"],
        # medium right 10 (large right with it 6, wrong 4), wrong 10 (large right 6, wrong 2, silent 2)
        ["Standard_Query", "0", "4", "6", "0"],
        ["Complex_Query", "8", "0", "0", "0"],
        ["Ambiguous_Query", "2", "0", "0", "0"],
    ]
    assert "Grades of the large model: 2 of 20 as before" in out
    manifest = manifest_of(Home.from_env(), new)
    assert manifest is not None
    assert manifest.facts == {"judged_before": Home.from_env().relative(labels.uri)}
    assert manifest.of_kind("queries") == (runs.beside(labels, "queries"),)


def test_the_same_judge_is_found_in_the_ledger(labels: Artifact, server: GeminiServer) -> None:
    assert rejudge(server, "--judge-model", MEDIUM) == 0
    assert not server.seen
    assert rows_of(runs.newest_artifact("labels")) == rows_of(labels)


def test_a_finished_shard_is_never_done_again(labels: Artifact, server: GeminiServer, states: States) -> None:
    assert rejudge(server, "--labels", labels.uri) == 0
    assert states == [("rejudge", "Completed")] * 3
    new, asked = runs.newest_artifact("labels"), server.requests()
    states.clear()
    assert rejudge(server, "--labels", labels.uri) == 0
    assert states == [("rejudge", "Cached")] * 3
    assert (runs.newest_artifact("labels"), server.requests()) == (new, asked)


def test_a_stopped_run_goes_on_where_it_stopped(labels: Artifact, server: GeminiServer, capsys: Capture) -> None:
    server.script({OTHER: Script(steps=("ok",) * 9, then="403")})
    said = refused(capsys, "rejudge", "--base-url", server.url, "--judge-model", OTHER, "--concurrency", "1")
    assert OTHER in said
    part = runs.newest_artifact("labels")
    assert 0 < part.rows < N
    assert f"{part.rows} of {N} queries are labelled" in said
    paid = server.billed.total()
    server.script({OTHER: Script()})
    # By name: the newest labels are the part.
    assert rejudge(server, "--labels", labels.uri) == 0
    assert runs.newest_artifact("labels").rows == N
    assert server.billed.total() - paid == N_JUDGED - 9
    assert server.stats()["billed_twice"] == 0


def test_recorded_outcomes_are_judged_where_answers_were_kept(
    server: GeminiServer,
    capsys: Capture,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    asked = texts(6)
    outcomes = outcome_rows(asked, ["Standard_Query"] * 6)
    for i, row in enumerate(outcomes):
        row |= {"medium_answer": f"It must be word{i}." if i else None, "large_answer": "It is something else."}
    queries = [{"query": text, "ground_truth": f"word{i}"} for i, text in enumerate(asked)]
    files = write_jsonl(tmp_path / "q.jsonl", queries), write_jsonl(tmp_path / "o.jsonl", outcomes)
    assert cli.main(["label", "--queries", files[0], "--outcomes", files[1]]) == 0
    assert cli.main(["rejudge", "--base-url", server.url]) == 0
    assert "1 of 6 queries got no label and are left out: no stored answer (1)" in caplog.text
    (row, *_), n = rows_of(runs.newest_artifact("labels")), runs.newest_artifact("labels").rows
    assert n == 5
    assert (row["oracle"], row["medium_model"], row["judge"]) == ("replay", "mid-7b", MEDIUM)
    assert (row["medium_grade"], row["large_grade"], row["medium_cost_usd"]) == ("CORRECT", "INCORRECT", None)
    assert cells(capsys.readouterr().out)[-3:] == [
        ["Standard_Query", "5", "0", "0", "1"],
        *([policy, "0", "0", "0", "0"] for policy in ("Complex_Query", "Ambiguous_Query")),
    ]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "no labels: run `routecal label` first"),
        (["--labels", "/nowhere/labels.parquet"], "/nowhere/labels.parquet"),
        (["--oracle", "openai", "--base-url", "http://127.0.0.1:1/v1"], "no judge at the openai endpoint"),
        (["--oracle", "openai", "--judge-model", "m"], "no endpoint for the openai oracle"),
    ],
)
def test_what_is_missing_is_said(argv: list[str], says: str, capsys: Capture) -> None:
    assert says in refused(capsys, "rejudge", *argv)


def test_labels_of_other_queries(labels: Artifact, server: GeminiServer, capsys: Capture, tmp_path: Path) -> None:
    assert cli.main(label_argv(file_of(tmp_path / "few.jsonl", 3), server)) == 0
    few = runs.beside(runs.newest_artifact("labels"), "queries")
    said = refused(capsys, "rejudge", "--labels", labels.uri, "--queries", few.uri)
    assert "that the queries lack" in said
