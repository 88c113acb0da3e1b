"""The command line: every command and option is there, and a wrong one is refused."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from routecal.flows import cli
from routecal.flows.cli import write_crash_report
from routecal.flows.cli_options import parse
from routecal.flows.commands import COMMANDS
from routecal.flows.option_names import spelled
from routecal.flows.params import EvaluateParams
from routecal.tasks import runs
from routecal.tasks.load_examples import block_names
from tests.flows.refusal import Capture

pytestmark = pytest.mark.usefixtures("_own_results")


def options(command: str) -> set[str]:
    """Every option of a command, as its model names them."""
    return {spelled(name) for name in COMMANDS[command].params.model_fields}


# ---- help


@pytest.mark.parametrize("argv", [["--help"], ["-h"], ["help"]])
def test_help_names_every_command(argv: list[str], capsys: Capture) -> None:
    assert cli.main(argv) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^  {command} ", out, re.MULTILINE) for command in COMMANDS)


def test_version_says_which_code_this_is(capsys: Capture) -> None:
    assert cli.main(["--version"]) == 0
    assert re.fullmatch(r"routecal \d+\.\d+\.\d+(\+g[0-9a-f]{12})?\n", capsys.readouterr().out)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_full_help_of_a_command_names_every_option(command: str, capsys: Capture) -> None:
    assert cli.main([command, "--help-all"]) == 0
    out = capsys.readouterr().out
    assert f"routecal {command}" in out
    assert not {option for option in options(command) if not re.search(rf"{option}\b", out)}


@pytest.mark.parametrize(
    ("argv", "code", "out"),
    [(["routecal.flows", "label", "--help"], 0, "--outcomes"), (["routecal", "label"], 2, "")],
)
def test_the_process_ends_with_the_code(argv: list[str], code: int, out: str, tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", *argv],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert found.returncode == code, found.stderr
    assert out in found.stdout
    assert "Traceback" not in found.stderr


# ---- options


def test_no_command_prints_the_help_and_fails(capsys: Capture) -> None:
    assert cli.main([]) == 2
    assert "Start here" in capsys.readouterr().out


def test_the_method_s_names_mean_the_same(queries_file: str, outcomes_file: str) -> None:
    assert cli.main(["label", "--validation-file", queries_file, "--outcomes", outcomes_file, "--limit", "7"]) == 0
    assert runs.newest_artifact("labels").rows == 7


def test_names_of_before_still_work_and_say_what_they_are_called_now() -> None:
    words = ["--margin", ".02", "--margin-confidence=.9"]
    now = parse(EvaluateParams, "evaluate", ["--at-most", ".02", "--with=.9"])
    before = parse(EvaluateParams, "evaluate", words)
    assert before.params == now.params == EvaluateParams.model_validate({"margin": 0.02, "margin_confidence": 0.9})
    assert (now.params.at_most, now.params.probability) == (0.02, 0.9)
    assert now.notices == ()
    assert before.notices == ("--margin is called --at-most now", "--margin-confidence is called --with now")


def test_json_is_all_that_a_run_prints(queries_file: str, outcomes_file: str, capsys: Capture) -> None:
    argv = ["label", "--queries", queries_file, "--outcomes", outcomes_file, "--limit", "7", "--json"]
    assert cli.main(argv) == 0
    labels = json.loads(capsys.readouterr().out)
    newest = runs.newest_artifact("labels")
    # with the place as it is opened, where what is stored has it relative to the home
    assert labels == newest.model_dump(mode="json") | {"uri": newest.uri}
    assert Path(labels["uri"]).is_file()
    assert labels["rows"] == 7


def test_layers_and_poolings_are_lists_with_commas(queries_file: str, router_checkpoint: Path) -> None:
    argv = ["extract", "--queries", queries_file, "--limit", "5", "--router-path", str(router_checkpoint)]
    assert cli.main([*argv, "--layers", "1,-1", "--poolings", "last,mean"]) == 0
    assert block_names(runs.newest_artifact("features")) == (
        "hidden",
        "hidden_L1_last",
        "hidden_L1_mean",
        "hidden_L2_mean",
    )


def test_the_environment_is_not_an_option(
    queries_file: str, outcomes_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("limit", "3")
    monkeypatch.setenv("shard_size", "2")
    assert cli.main(["label", "--queries", queries_file, "--outcomes", outcomes_file]) == 0
    assert runs.newest_artifact("labels").rows == 300


def test_what_nobody_foresaw_is_one_line_and_a_file(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> int:
        raise KeyError("a\nb")

    monkeypatch.setattr(cli, "_run", broken)
    assert cli.main(["stats"]) == 1
    err = capsys.readouterr().err
    (file,) = (tmp_path / "artifacts" / "logs").iterdir()
    assert err == (
        r"routecal: a fault of routecal, not of yours: KeyError: 'a\nb'; please report it with the traceback in "
        f"{file}\n"
    )
    assert 'raise KeyError("a\\nb")' in file.read_text()
    with pytest.raises(KeyError):
        cli.main(["--verbose", "stats"])


def test_a_fault_where_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTECAL_HOME", "/dev/null/home")
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/dev/null")
    assert write_crash_report(ValueError("x"), "stats").endswith("`routecal --verbose stats …` prints the traceback")
