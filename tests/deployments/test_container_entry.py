"""The entry point of the image: the shared environment, secrets that are files, and what it refuses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from routecal.deployments.container_entry import SECRETS, main, with_secrets
from tests.test_layering import ROOT

ENTRY = "routecal.deployments.container_entry"


def test_it_becomes_the_command_in_the_shared_environment(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("only for tests\n")
    code = "import os; print(os.getpid(), *map(os.environ.get, ('GEMINI_API_KEY', 'PREFECT_API_URL', 'OTHER')))"
    others = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "ROUTECAL_"))}
    own = {"GEMINI_API_KEY_FILE": str(tmp_path / "key"), "OTHER": "kept"}
    command = [sys.executable, "-m", ENTRY, sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, env=others | own, stdout=subprocess.PIPE, text=True) as process:
        said, _ = process.communicate()
    # The same process, so that signals of an orchestrator reach the command itself.
    assert said == f"{process.pid} only for tests http://127.0.0.1:4200/api kept\n"


def test_a_secret_that_is_set_stays_and_the_name_of_its_file_goes(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from the file")
    found = with_secrets({"PGPASSWORD": "set", "PGPASSWORD_FILE": str(tmp_path / "password"), "X_FILE": "/nowhere"})
    assert found == {"PGPASSWORD": "set", "X_FILE": "/nowhere"}
    assert "PGPASSWORD" in SECRETS


@pytest.mark.parametrize(
    ("command", "variables", "said"),
    [
        ((), {}, "routecal: name a command, as routecal --help\n"),
        (("nothing-of-ours",), {}, "routecal: there is no program nothing-of-ours in this image; its own are"),
        (("true",), {"PGPASSWORD_FILE": "/nowhere"}, "the files of these secrets cannot be read: PGPASSWORD_FILE=/now"),
        (("true",), {"ROUTECAL_TIMEZONE": "Mars/Phobos"}, "routecal: ROUTECAL_TIMEZONE is 'Mars/Phobos', which is no"),
    ],
)
def test_it_refuses_in_a_sentence(
    command: tuple[str, ...],
    variables: dict[str, str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(command) == 2
    refused = capsys.readouterr().err
    assert said in refused
    assert refused.count("\n") == 1
