"""What goes with labels from an API: the audit after, the ledger, and why there are fewer."""

import csv
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from routecal.flows import cli
from routecal.tasks import runs
from tests.flows.api_labels import LARGE, MEDIUM, N, cells, file_of, label_argv, rows_of
from tests.flows.refusal import Capture, refused
from tests.gemini_server.server import GeminiServer
from tests.tasks.made import outcome_rows, texts, write_jsonl

pytestmark = pytest.mark.usefixtures("_own_results")


def home() -> Path:
    return Path(os.environ["ROUTECAL_HOME"])


# ---- the audit


def filled(sheet: Path, into: Path, grade: dict[str, str]) -> str:
    """The sheet with the grade that people give to an answer, by a word in it."""
    with sheet.open(encoding="utf-8-sig", newline="") as handle:
        rows = list(csv.DictReader(handle))
    for row in rows:
        row["human_grade"] = next(g for word, g in grade.items() if word in row["answer"])
    with into.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return str(into)


def test_an_audit_from_labels_to_score(file: str, server: GeminiServer, capsys: Capture, tmp_path: Path) -> None:
    sheet = tmp_path / "audit.csv"
    # More than there are, so that the score has no chance in it: 20 + 20 answers.
    assert cli.main(label_argv(file, server, "--audit", "99", "--audit-file", str(sheet))) == 0
    out = capsys.readouterr().out
    labels = runs.newest_artifact("labels")
    assert f"40 answers in {sheet}" in out
    assert f"routecal audit --file {sheet} --labels {labels.uri}" in out
    # People find "I am sure …" (10 of the medium model, 6 of the large) no attempt; the judge said INCORRECT.
    grades = {"I am sure": "n", "I believe": "Correct", "know": "N"}
    done = filled(sheet, tmp_path / "filled.csv", grades)
    asked = server.requests()
    assert cli.main(["audit", "--file", done, "--labels", labels.uri]) == 0
    out = capsys.readouterr().out
    assert "40 answers graded, 0 left blank" in out
    found = cells(out)
    values = {row[0]: row[1:] for row in found[:4]}
    # Large: 12 right, 2 silent, 6 wrong of 20. 24 of 40 agree. Intervals: see the tests of `score`.
    assert values["accuracy"][0].startswith("0.600 [")
    assert values["on answers of the medium model"][0].startswith("0.500 [")
    assert values["on answers of the large model"][0].startswith("0.700 [")
    # chance: (22 × 22 + 16 × 0 + 2 × 18) / 1600 = 0.325; (0.6 − 0.325) / 0.675
    assert values["Cohen's kappa"][0].startswith("0.407 [")
    matrix = [["CORRECT", "22", "0", "0"], ["INCORRECT", "0", "0", "16"], ["NOT_ATTEMPTED", "0", "0", "2"]]
    assert found[4:] == [*matrix, *matrix]
    assert server.requests() == asked


def test_a_taken_sheet_is_refused_before_anything_is_paid(
    file: str, server: GeminiServer, capsys: Capture, tmp_path: Path
) -> None:
    sheet = tmp_path / "audit.csv"
    sheet.write_text("what people wrote", encoding="utf-8")
    said = refused(capsys, *label_argv(file, server, "--audit", "10", "--audit-file", str(sheet)))
    assert said.startswith(f"{sheet} exists already")
    assert server.requests() == 0
    assert sheet.read_text(encoding="utf-8") == "what people wrote"


def test_scoring_without_a_sheet_or_labels(capsys: Capture, tmp_path: Path) -> None:
    assert "there is no file" in refused(capsys, "audit", "--file", str(tmp_path / "none.csv"))
    (tmp_path / "some.csv").write_text("human_grade\n", encoding="utf-8")
    assert "no labels: run `routecal label` first" in refused(capsys, "audit", "--file", str(tmp_path / "some.csv"))


# ---- the ledger


def test_no_ledger_is_not_made_by_looking(capsys: Capture) -> None:
    said = refused(capsys, "ledger")
    assert said.startswith(f"no ledger at {home() / 'ledger.sqlite'}")
    assert not home().exists()


def test_the_ledger_adds_up(file: str, server: GeminiServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    # Parallel tests have a terminal's 80 columns in their environment.
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main(label_argv(file, server)) == 0
    capsys.readouterr()
    assert cli.main(["ledger"]) == 0
    found = cells(capsys.readouterr().out)
    # 20 answers each; judged: 20 of the medium model, 18 of the large one, of which 6 are the same calls.
    by_stage = {(row[1], row[2]): row[3] for row in found}
    judged = server.requests(MEDIUM) - N
    assert by_stage == {
        (MEDIUM, "medium"): "20",
        (LARGE, "large"): "20",
        (MEDIUM, "judge"): str(judged),
        ("", ""): str(server.requests()),
    }
    paid = [float(row[7]) for row in found]
    assert paid[-1] == pytest.approx(sum(paid[:-1]), abs=2e-4)
    of_labels = rows_of(runs.newest_artifact("labels"))
    usd = sum(row[f"{who}_cost_usd"] for row in of_labels for who in ("medium", "large"))
    assert usd == pytest.approx(sum(float(row[7]) for row in found[:-1] if row[2] != "judge"), abs=2e-4)


# ---- fewer labels than queries


def test_queries_without_ground_truth_are_named_once(
    server: GeminiServer, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.WARNING)
    # in shards, each of which knows of its own only
    file = file_of(tmp_path / "some.jsonl", N, without_truth={1, 4, 8, 9, 12, 15, 19})
    assert cli.main(label_argv(file, server, "--shard-size", "5")) == 0
    said = [record.getMessage() for record in caplog.records if record.name == "routecal.tasks.oracle.label_shards"]
    assert said == [
        "7 of 20 queries have no ground truth and are left out: row 1, row 4, row 8, row 9, row 12 and 2 more"
    ]
    assert runs.newest_artifact("labels").rows == N - 7


def test_an_empty_harvest_says_why(server: GeminiServer, capsys: Capture, tmp_path: Path) -> None:
    file = file_of(tmp_path / "some.jsonl", 6, without_truth={0, 1})
    said = refused(capsys, *label_argv(file, server, "--finished-only"))
    assert said == (
        "none of the 6 queries got a label: not answered yet (4), no ground truth (2); "
        "label without --finished-only to ask for them"
    )
    none = file_of(tmp_path / "none.jsonl", 3, without_truth={0, 1, 2})
    assert refused(capsys, *label_argv(none, server)).startswith("none of the 3 queries has a ground_truth")
    assert server.requests() == 0


def test_other_oracles_are_labelled_as_before(capsys: Capture, tmp_path: Path) -> None:
    asked = texts(12)
    rows = outcome_rows(asked, ["Standard_Query"] * 12)
    queries = write_jsonl(tmp_path / "r.jsonl", [{"query": text} for text in asked])
    outcomes = write_jsonl(tmp_path / "o.jsonl", rows)
    assert cli.main(["label", "--queries", queries, "--outcomes", outcomes]) == 0
    assert capsys.readouterr().out == f"labels  12 rows  {runs.newest_artifact('labels').uri}\n"


# ---- memory and time


def test_labelling_needs_no_torch() -> None:
    code = (
        "import sys; from routecal.flows import label, print_results, rejudge; "
        "from routecal.tasks import audit, spend, stats; print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
