"""What people set in the environment, and what they are told of it."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from routecal.deployments.environment import complaint, environment
from routecal.deployments.serve import unusable_folder, unusable_port
from tests.test_layering import ROOT


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, ""),
        ({"ROUTECAL_TIMEZONE": "Europe/Berlin", "ROUTECAL_WEBHOOK_URL": "https://hooks.example.com/x"}, ""),
        ({"ROUTECAL_TIMEZONE": "Mars/Phobos"}, "ROUTECAL_TIMEZONE is 'Mars/Phobos', which is no time zone"),
        ({"ROUTECAL_TIMEZONE": ""}, "ROUTECAL_TIMEZONE is '', which is no time zone"),
        ({"ROUTECAL_TIMEZONE": "Europe"}, "ROUTECAL_TIMEZONE is 'Europe', which is no time zone"),
        ({"ROUTECAL_TIMEZONE": "../../etc/passwd"}, "which is no time zone"),
        ({"PREFECT_SERVER_API_PORT": "many"}, "PREFECT_SERVER_API_PORT is 'many'"),
        ({"PREFECT_SERVER_API_PORT": "70000"}, "PREFECT_SERVER_API_PORT is '70000'"),
        ({"ROUTECAL_WEBHOOK_URL": "hooks.example.com/secret"}, "ROUTECAL_WEBHOOK_URL is no address"),
        ({"ROUTECAL_WEBHOOK_URL": "https://"}, "ROUTECAL_WEBHOOK_URL is no address"),
    ],
)
def test_wrong_variables_are_named(variables: dict[str, str], said: str) -> None:
    found = complaint(environment(variables))
    assert said in found
    assert bool(said) == bool(found)
    assert "secret" not in found


def test_make_serve_starts_nothing_where_one_is_wrong() -> None:
    command = [sys.executable, "-m", "routecal.deployments.serve"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={"ROUTECAL_TIMEZONE": "Mars/Phobos"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("routecal: ROUTECAL_TIMEZONE is 'Mars/Phobos'")


def test_runs_of_deployments_show_what_our_code_logs() -> None:
    code = (
        "import routecal.flows, logging; "
        "print(*(logging.getLogger(n).getEffectiveLevel() for n in ('routecal.flows.a', 'routecal.tasks', 'b')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["20", "20", "30"]


def test_what_would_be_in_the_way_of_a_server(tmp_path: Path) -> None:
    """A port that somebody has who speaks no HTTP, and folders that cannot be written."""
    (tmp_path / "file").write_text("")
    own = {"PREFECT_HOME": str(tmp_path / "state"), "ROUTECAL_HOME": str(tmp_path / "home")}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = own["PREFECT_SERVER_API_PORT"] = str(taken.getsockname()[1])
        taken.listen()
        for variables, said in (
            ({}, f"port {port} of 127.0.0.1 cannot be used (Address already in use); set PREFECT_SERVER_API_PORT to"),
            ({"PREFECT_HOME": str(tmp_path / "file")}, f"{tmp_path / 'file'} cannot be written to (Not a directory); "),
            ({"ROUTECAL_HOME": "/proc/home"}, "/proc/home cannot be written to ("),
        ):
            env = environment(own | variables)
            assert (unusable_folder(env) or unusable_port(env)).startswith(said)
    env = environment(own | {"ROUTECAL_HOME": "s3://bucket/home"})
    assert unusable_folder(env) == unusable_port(env) == ""
    assert [f.name for f in tmp_path.iterdir()] == ["file"]
