"""An edit of the code makes the steps anew that stand on it, and no other."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL

from tests.bench.workload import ROOT, environment

PACKAGES = ("calib", "storage", "tasks", "flows")
# Always made: what a run itself leaves.
OF_THE_RUN = {"report", "publish"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, to be edited, laid out as a wheel is: a process that starts there imports the copy."""
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "routecal", tmp_path / "project" / "routecal", ignore=without)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / "project" / "routecal" / package, ignore=without)
    return tmp_path / "project"


def made_by(project: Path, *options: str) -> tuple[set[str], set[str]]:
    """(steps that were done, steps that were found) by `calibrate` in a process of its own."""
    own = {"PREFECT_API_URL": str(PREFECT_API_URL.value()), "OMP_NUM_THREADS": "1", "COLUMNS": "400"}
    command = [sys.executable, "-m", "routecal", "--verbose", "calibrate", *options]
    env = environment(project.parent) | own
    run = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-4000:]
    states = re.findall(r"Task run '([^']+)' - \1: (done before|done)", run.stdout + run.stderr)
    done, found = ({re.split("[ :]", name)[0] for name, end in states if end == e} for e in ("done", "done before"))
    return done - OF_THE_RUN, found


@pytest.mark.served
def test_an_edit_makes_anew_what_stands_on_it(
    project: Path, queries_file: str, outcomes_file: str, router_checkpoint: Path, prefect_server: None
) -> None:
    options = ("--queries", queries_file, "--outcomes", outcomes_file, "--router-path", str(router_checkpoint))
    small = ("--epochs", "2", "--hidden-units", "8", "--folds", "0")
    done, found = made_by(project, *options, *small)
    assert not found

    # RL alone earns rewards, and its head comes out the same, so that recalibrating it is found. Binned errors are in
    # what measures and draws.
    for module in ("calib/learn/rewards.py", "calib/metrics/binned.py"):
        (project / "routecal" / module).write_text((project / "routecal" / module).read_text() + "\n# an edit\n")
    anew, found = made_by(project, *options, *small)
    assert anew == {"RL", "score", "slices", "escalate", "draw"}
    assert found == done - anew
