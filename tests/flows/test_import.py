"""`routecal import`: two logs, one file, and what is said about both."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from routecal.flows.cli import main

LOGS = Path(__file__).parents[1] / "storage" / "eval_logs" / "data" / "inspect"
GIVEN = ["import", "--from", "inspect", "--medium", str(LOGS / "medium.eval")]


def test_two_logs_become_a_file_and_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*GIVEN, "--large", str(LOGS / "large.eval")]) == 0
    said = capsys.readouterr().out
    assert "8 questions written to outcomes.parquet, of sums" in said
    assert "medium  mockllm/medium: 50.0% right" in said
    assert "repeats 8 were answered several times: the first answer is graded" in said
    assert "routecal train-router --queries outcomes.parquet --base-model minilm --limit 2 " in said
    assert "routecal calibrate --queries outcomes.parquet --outcomes outcomes.parquet --router-path router" in said
    assert pq.read_table("outcomes.parquet").num_rows == 8


def test_the_result_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*GIVEN, "--large", str(LOGS / "large.eval"), "--output", "o.parquet", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n"], found["path"], found["medium_right"], found["large_right"]) == (8, "o.parquet", 0.5, 0.75)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--large", "no.eval"], "no file no.eval"),
        ([], "both are of the model mockllm/medium"),
        (["--from", "excel"], "give one of "),
        (["--large-model", "gpt"], "--medium-model or --large-model"),
        (["--output", "nowhere/o.parquet", "--large", str(LOGS / "large.eval")], "nowhere"),
        (["--large", str(LOGS / "README.md")], "cannot be read as a log of inspect_ai"),
    ],
)
def test_a_sentence_and_no_file(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [word for word in GIVEN if "--from" not in words or word not in ("--from", "inspect")]
    assert main([*given, *words]) == 2
    found = capsys.readouterr()
    assert said in found.err
    assert found.out == ""
    assert list(tmp_path.iterdir()) == []
