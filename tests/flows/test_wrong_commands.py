"""Wrong command lines: exit code 2, one sentence, nothing on disk, nothing imported or started for them."""

import json
import os
import re
import shlex
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from routecal.calib.errors import CalibError
from routecal.flows import cli, prefect_server
from routecal.flows.commands import COMMANDS as KNOWN
from routecal.flows.option_names import spelled
from routecal.flows.param_checks import check
from routecal.flows.params import EvaluateParams
from routecal.storage.errors import StorageError
from routecal.storage.layout import Home
from routecal.tasks.errors import TaskError
from tests.flows import wrong_commands as wrong
from tests.flows import wrong_inputs, wrong_numbers
from tests.flows.refusal import Capture

NUMBERS = [
    (f"{command} --{option} {value}", f"--{option} is {value!r}: give {allowed}")
    for command, option, allowed, outside in wrong_numbers.NUMBERS
    for value in ("nan", "inf", outside)
]
CASES = [*wrong.COMMANDS, *wrong.OPTIONS, *wrong.FORMS, *wrong.VALUES, *NUMBERS]
CASES += [*wrong.ENGINES, *wrong_inputs.CONFLICTS, *wrong_inputs.PLACES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `wrong_commands` says there is."""
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "q.jsonl").write_text('{"query": "Who wrote Buddenbrooks?", "ground_truth": "Thomas Mann"}\n')
    (folder / "notes.txt").write_text("mine")
    for name in ("empty", "router", "head"):
        (folder / name).mkdir()
    (folder / "router" / "config.json").write_text(json.dumps({"hidden_size": 16, "num_hidden_layers": 2}))
    (folder / "head" / "head.safetensors").write_bytes(b"")
    return folder


@pytest.fixture
def _here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In that folder, with homes in it that are not there yet; what is found in it afterwards is what was there."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ROUTECAL_HOME", "home")
    monkeypatch.setenv("PREFECT_HOME", "prefect")
    # Of a command that is refused nothing comes so far.
    monkeypatch.setattr(prefect_server, "reach_server", lambda: pytest.fail("a server was looked for"))
    monkeypatch.setattr(Home, "check_writable", lambda _: pytest.fail("something would have been stored"))
    before, variables = _contents(folder), _variables()
    yield
    assert _contents(folder) == before
    assert _variables() == variables


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(f): f.read_bytes() if f.is_file() else b"" for f in folder.rglob("*")}


def test_the_table_is_long_and_holds_nothing_twice() -> None:
    lines = [line for line, _ in CASES]
    assert len(lines) == len(set(lines)) >= 200
    assert KNOWN.keys() <= {shlex.split(line)[0] for line in lines if line}


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(("line", "sentence"), CASES, ids=[line for line, _ in CASES])
def test_a_wrong_command_line(line: str, sentence: str, capsys: Capture) -> None:
    assert cli.main(shlex.split(line)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("routecal: ")
    assert captured.err.count("\n") == 1
    assert captured.err.endswith("\n")
    assert sentence in captured.err, captured.err
    assert len(captured.err) < 1000


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(("line", "sentence"), wrong_inputs.PRICES, ids=[line for line, _ in wrong_inputs.PRICES])
def test_a_model_whose_price_nobody_knows(line: str, sentence: str, capsys: Capture) -> None:
    assert cli.main(shlex.split(line)) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"routecal: {sentence}")
    assert "[[price]]" in err


@pytest.mark.parametrize("command", ["stats", "heads", "label --queries q.jsonl", "export"])
def test_a_home_that_is_a_file(command: str, folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ROUTECAL_HOME", "notes.txt")
    assert cli.main(shlex.split(command)) == 2
    said = "routecal: notes.txt cannot be written to (it is a file); set ROUTECAL_HOME to a folder or URL that can\n"
    assert capsys.readouterr().err == said


# ---- the same checks in a flow run, which no command line was before


RUNS = {
    "demo": {"folds": 2},
    "calibrate": {"queries": "nowhere.jsonl", "router_path": "router"},
    "label": {"queries": "q.jsonl", "local_model": "router"},
    "extract": {"queries": "q.jsonl", "router_path": "empty"},
    "train": {"mode": "rl", "pca": 3},
    "threshold": {"output_dir": "q.jsonl"},
    "evaluate": {"head": "empty"},
    "recalibrate": {"inbox": "nowhere", "router_path": "router"},
    "train-router": {"queries": "nowhere.jsonl", "base_model": "router"},
    "benchmark": {"data": "nowhere"},
    "ablate": {"data": "empty", "layers": [0]},
    "audit": {"file": "nowhere.csv"},
    "rejudge": {"third_judge": "m"},
    "export": {"output_file": "empty"},
    "import": {"log_format": "inspect", "medium": "nowhere.eval"},
}


def test_models_of_one_price_are_no_mistake() -> None:
    check(EvaluateParams(medium_price=1, large_price=1))


def test_only_flows_without_files_or_choices_have_nothing_to_check() -> None:
    assert KNOWN.keys() - RUNS.keys() == {
        *("heads", "promote", "decline", "rollback", "ledger", "stats"),
        "demo-night",  # makes all that it reads
    }


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize("name", RUNS)
def test_a_flow_run_refuses_first_of_all(name: str, capsys: Capture) -> None:
    command = KNOWN[name]
    params = command.params(**RUNS[name])
    run, _ = command.load()
    with pytest.raises((TaskError, StorageError, CalibError)) as refused:
        check(params)
    if command.is_quick:  # which only the command line runs
        assert cli.main([name, *chain.from_iterable((spelled(f), str(v)) for f, v in RUNS[name].items())]) == 2
        assert capsys.readouterr().err == f"routecal: {refused.value}\n"
        return
    with pytest.raises(type(refused.value), match=re.escape(str(refused.value))):
        run.fn(params)
