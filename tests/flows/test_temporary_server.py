"""A command in a process of its own: Prefect's temporary server ends with it, whatever ends the command."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from routecal.flows import temporary_server
from tests.patience import PATIENCE_S

HEAVY = ("prefect", "torch", "transformers", "pyarrow", "scipy", "sklearn", "matplotlib")


def process(folder: Path, code: str, **variables: str) -> "subprocess.Popen[str]":
    """Python with our packages, in a folder, with homes in it and without Prefect's variables of these tests."""
    own = {"ROUTECAL_HOME": "home", "PREFECT_HOME": "prefect"}
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | own | variables
    (folder / "q.jsonl").write_text(json.dumps({"query": "a?", "medium_label": "CORRECT", "large_label": "CORRECT"}))
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], cwd=folder, env=env, stdout=pipe, stderr=pipe, text=True)


# Who runs the tests in the background of a script has Ctrl-C ignored, and so would these.
COMMAND = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from routecal.flows import cli, terminal; terminal.end_on_signals(); print('ready', flush=True); "
    "sys.argv = ['routecal', 'label', '--queries', 'q.jsonl']; cli.console()"
)


def test_nothing_heavy_is_imported_to_say_that_a_file_is_not_there(tmp_path: Path) -> None:
    code = (
        "import sys; from routecal.flows import cli; print(cli.main(['label', '--queries', 'nowhere.jsonl']), "
        f"cli.main(['train', '--epochs', '0']), sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    out, err = process(tmp_path, code).communicate(timeout=PATIENCE_S)
    assert out == "2 2 []\n"
    assert err.startswith("routecal: there is no file nowhere.jsonl")


def test_ctrl_c_while_modules_are_imported(tmp_path: Path) -> None:
    command = process(tmp_path, COMMAND)
    assert command.stdout is not None
    assert command.stdout.readline() == "ready\n"
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=PATIENCE_S)
    assert (command.returncode, err) == (130, "routecal: interrupted before the run began; nothing was done\n")


@pytest.mark.served
def test_ctrl_c_while_the_server_starts_leaves_no_server(tmp_path: Path) -> None:
    command = process(tmp_path, COMMAND)
    children: list[psutil.Process] = []
    while not children and command.poll() is None:
        time.sleep(0.05)
        children = psutil.Process(command.pid).children()
    assert len(children) == 1
    command.send_signal(signal.SIGINT)
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=PATIENCE_S)
    assert (command.returncode, err) == (130, "routecal: interrupted before the run began; nothing was done\n")
    gone, alive = psutil.wait_procs(children, timeout=PATIENCE_S)
    assert (len(gone), alive) == (1, [])


@pytest.mark.served
def test_a_server_whose_command_was_killed_ends(tmp_path: Path) -> None:
    started = (
        "import os, socket, subprocess, sys, time; bound = socket.socket(); bound.bind(('127.0.0.1', 0)); "
        "fd = bound.fileno(); command = [sys.executable, '-P', sys.argv[1], str(os.getpid()), str(fd)]; "
        "server = subprocess.Popen(command, start_new_session=True, pass_fds=[fd]); "
        "print(server.pid, flush=True); time.sleep(3600)"
    )
    command = subprocess.Popen(
        [sys.executable, "-c", started, temporary_server.__file__], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert command.stdout is not None
    orphan = psutil.Process(int(command.stdout.readline()))
    time.sleep(2)
    assert orphan.is_running()
    command.kill()
    command.communicate(timeout=PATIENCE_S)
    assert psutil.wait_procs([orphan], timeout=PATIENCE_S)[1] == []


def test_a_server_that_takes_longer_than_allowed_is_spoken_of_and_given_up(tmp_path: Path) -> None:
    (tmp_path / "sleeps.py").write_text("import time; time.sleep(3600)")
    code = (
        "from routecal.flows import start_server, temporary_server\n"
        "temporary_server.__file__, start_server.SAYS_EVERY_S = 'sleeps.py', 0.2\n"
        "try: start_server.start_server()()\n"
        "except start_server.ServerNotStarted as error: print(error)"
    )
    out, err = process(tmp_path, code, PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="1").communicate(
        timeout=PATIENCE_S
    )
    assert out.startswith("Prefect's temporary server did not start (it did not answer within 1 s)")
    assert err.startswith("prefect: the temporary server has been starting for ")


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"PREFECT_LOGGING_LEVEL": "loud"}, "Prefect refuses its settings: LoggingSettings level is 'LOUD', and input"),
    ],
)
def test_settings_that_prefect_refuses(variables: dict[str, str], says: str, tmp_path: Path) -> None:
    command = process(tmp_path, COMMAND, **variables)
    _, err = command.communicate(timeout=PATIENCE_S)
    assert command.returncode == 2
    assert err.startswith(f"routecal: {says}")
    assert err.count("\n") == 1
