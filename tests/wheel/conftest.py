"""The wheel, and environments that hold it and nothing of the checkout: `make wheel`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.test_dependencies import OURS
from tests.test_layering import ROOT
from tests.wheel.floors import lowest_versions


class Installed(NamedTuple):
    """A virtual environment, used from a folder that has packages of its own called as our folders are."""

    venv: Path
    elsewhere: Path

    def command(self, *words: str) -> list[str]:
        """The words, the first of them a program of this environment."""
        return [str(self.venv / "bin" / words[0]), *words[1:]]

    def surroundings(self, **variables: str) -> dict[str, str]:
        """Variables under which nothing is written but in the folder."""
        homes = {"PREFECT_HOME": str(self.elsewhere / "prefect"), "ROUTECAL_HOME": str(self.elsewhere / "artifacts")}
        return outside() | homes | {"HF_HUB_OFFLINE": "1"} | variables

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """What became of a command, however it ended."""
        env = self.surroundings(**variables)
        return subprocess.run(
            self.command(*words), cwd=self.elsewhere, env=env, capture_output=True, text=True, check=False
        )

    def printed(self, *words: str, **variables: str) -> str:
        """What a command prints; where it fails the test shows all that it said."""
        done = self.run(*words, **variables)
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def python(self, code: str, **variables: str) -> str:
        """The last line that the code prints."""
        return self.printed("python", "-c", code, **variables).splitlines()[-1]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: what an older build left in `build/` would get into the wheel."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in OURS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip(Path(sys.prefix), "wheel", "--no-deps", "--wheel-dir", str(target), str(source))
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def core(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel without extras."""
    return install(tmp_path_factory.mktemp("core"), [str(wheel)])


@pytest.fixture(scope="session")
def whole(wheel: Path, core: Installed, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel with what its commands and the server need; what `core` has is read from there."""
    return install(tmp_path_factory.mktemp("whole"), [f"{wheel}[serve]"], on=core.venv)


def install(folder: Path, what: Sequence[str], *, on: Path | None = None) -> Installed:
    """A fresh environment at the lowest versions that are allowed, and a folder of a stranger's.

    The rest of the suite runs at the locked versions, which are newer.

    Args:
        folder: where both are made.
        what: to install.
        on: an environment whose packages count as installed.
    """
    venv, elsewhere = folder / "venv", folder / "project"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    if on is not None:
        (packages_of(venv) / "core.pth").write_text(f"{packages_of(on)}\n")
    # Left uncompiled: most of what pip would compile is never imported here.
    lowest = folder / "lowest.txt"
    lowest.write_text("\n".join(lowest_versions()))
    pip(venv, "install", "--no-compile", "--constraint", str(lowest), *what)
    for name in OURS - {"routecal"}:
        package = elsewhere / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(f"raise ImportError('this {name} is not of routecal')\n")
    return Installed(venv, elsewhere)


def packages_of(venv: Path) -> Path:
    (folder,) = venv.glob("lib/python*/site-packages")
    return folder


def outside() -> dict[str, str]:
    """The environment without what would lead Python, or pip, to the checkout."""
    ours = ("PYTHON", "PREFECT_", "ROUTECAL_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def pip(venv: Path, *arguments: str) -> None:
    command = [str(venv / "bin" / "python"), "-m", "pip", *arguments]
    done = subprocess.run(command, env=outside(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
