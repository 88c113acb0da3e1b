"""The installed wheel, in a folder that has its own `tasks/`, `flows/` and `storage/`."""

import json
import re
import signal
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest

from routecal.calib.policy import POLICIES
from tests.served.conftest import free_port
from tests.tasks.made import outcome_rows, policies_for, texts, write_jsonl
from tests.test_dependencies import OURS
from tests.test_layering import ROOT
from tests.wheel.conftest import Installed

pytestmark = pytest.mark.wheel
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def test_it_installs_one_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    (top_level,) = (name for name in names if name.endswith(".dist-info/top_level.txt"))
    assert zipfile.ZipFile(wheel).read(top_level).decode().split() == ["routecal"]
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"routecal"}


def test_it_holds_every_file_of_the_product(wheel: Path) -> None:
    files = {
        file.relative_to(ROOT / "routecal" if name == "routecal" else ROOT)
        for name in OURS
        for file in (ROOT / name).rglob("*")
        if file.is_file() and file.suffix not in (".pyc", ".md")
    }
    assert {file.suffix for file in files} >= {".csv", ".html", ".py", ".sql", ".toml", ".txt", ".typed", ".yaml"}
    held = set(zipfile.ZipFile(wheel).namelist())
    assert not {str(file) for file in files if f"routecal/{file}" not in held}


@pytest.mark.parametrize("command", [("routecal",), ("python", "-m", "routecal")])
def test_it_says_its_version(core: Installed, command: tuple[str, ...]) -> None:
    assert core.printed(*command, "--version").startswith(f"routecal {VERSION}")
    assert core.python("import routecal; print(routecal.__version__)") == VERSION


def test_importing_it_loads_nothing_but_python_s_own(core: Installed) -> None:
    loaded = core.python(
        "import sys; before = set(sys.modules); import routecal; "
        "print({m.split('.')[0] for m in set(sys.modules) - before} - sys.stdlib_module_names)"
    )
    assert loaded == "{'routecal'}"


def test_every_public_name_comes_without_extras(core: Installed) -> None:
    assert core.python("from routecal import *; import routecal; print(set(routecal.__all__) - set(dir()))") == "set()"
    assert core.python("import importlib.util; print(importlib.util.find_spec('prefect'))") == "None"


def test_the_estimator_fits_without_extras(core: Installed) -> None:
    code = """
import numpy as np
from routecal import ConfidenceEstimator
rng = np.random.default_rng(0)
x = rng.normal(size=(400, 8))
p = 1 / (1 + np.exp(-3 * x[:, 0]))
y = rng.random(400) < p
confidence = ConfidenceEstimator(random_state=0).fit(x, y).predict_proba(x)[:, 1]
print(np.mean((confidence - y) ** 2) < np.var(y))
"""
    assert core.python(code) == "True"


@pytest.mark.parametrize("command", ["calibrate", "heads", "serve", "deploy"])
def test_a_command_without_its_packages_says_what_to_install(core: Installed, command: str) -> None:
    refused = core.run("routecal", command)
    assert refused.returncode == 2
    assert re.fullmatch(
        r"routecal: the package \w+ is not installed; run: pip install 'routecal\[pipeline\]'\n", refused.stderr
    )


def test_it_calibrates_and_serves(core: Installed, whole: Installed, router_checkpoint: Path, tmp_path: Path) -> None:
    queries = texts(300)
    outcomes = outcome_rows(queries, policies_for(queries, router_checkpoint))
    options = {
        "--queries": write_jsonl(tmp_path / "queries.jsonl", [{"query": text} for text in queries]),
        "--outcomes": write_jsonl(tmp_path / "outcomes.jsonl", outcomes),
        "--router-path": str(router_checkpoint),
        "--epochs": "2",
        "--hidden-units": "8",
    }
    whole.printed("python", "-m", "routecal", "calibrate", *(word for option in options.items() for word in option))
    (calibrated,) = (whole.elsewhere / "artifacts" / "calibrated").iterdir()
    # the head is served where Prefect is not installed
    code = f"""
import json
from routecal import CalibratedRouter
decisions = CalibratedRouter.from_pretrained({str(calibrated)!r}).route({queries[:3]!r})
print(json.dumps([d.confidence for d in decisions]))
"""
    confidences = json.loads(core.python(code))
    assert len(confidences) == 3
    assert all(0 <= c <= 1 for c in confidences)


@pytest.mark.served
def test_it_starts_a_server_runs_a_deployment_and_stops(whole: Installed, tmp_path: Path) -> None:
    queries = texts(60)
    outcomes = outcome_rows(queries, [POLICIES[i % 3].value for i in range(60)])
    files = {
        "queries": write_jsonl(tmp_path / "queries.jsonl", [{"query": text} for text in queries]),
        "outcomes": write_jsonl(tmp_path / "outcomes.jsonl", outcomes),
    }
    port = str(free_port())
    with subprocess.Popen(
        whole.command("python", "-m", "routecal", "serve"),
        cwd=whole.elsewhere,
        env=whole.surroundings(PREFECT_SERVER_API_PORT=port),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            said = ""
            while "ready:" not in said:
                line = server.stdout.readline()
                assert line, said
                said += line
            code = f"""
from prefect.deployments import run_deployment
print(run_deployment("label/label", parameters={{"params": {files!r}}}, timeout=300).state)
"""
            state = whole.python(code, PREFECT_API_URL=f"http://127.0.0.1:{port}/api")
            assert state.startswith("Completed(")
        finally:
            server.send_signal(signal.SIGINT)
            assert server.wait() == 0
