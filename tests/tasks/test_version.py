"""The commit that results are stamped with is one of this project's, or none."""

import importlib.util
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from routecal.tasks.version import code_version, commit_of

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def repository(folder: Path, project: str | None = None) -> Path:
    """A repository with a copy of the module at its root, and one commit."""
    (folder / "tasks").mkdir(parents=True)
    shutil.copy(ROOT / "tasks" / "version.py", folder / "tasks")
    if project is not None:
        (folder / "pyproject.toml").write_text(project)
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "--allow-empty", "-m", "one")
    return folder


def said_by(file: Path) -> str:
    spec = importlib.util.spec_from_file_location("copied_version", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.code_version()


OURS = '[project]\nname = "routecal"\n'


def test_a_checkout_of_ours_stamps_its_commit(tmp_path: Path) -> None:
    folder = repository(tmp_path / "ours", OURS)
    assert said_by(folder / "tasks" / "version.py") == f"{version('routecal')}+g{git(folder, 'rev-parse', 'HEAD')[:12]}"


def test_this_tree() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    code_version.cache_clear()
    assert re.fullmatch(rf"{re.escape(version('routecal'))}\+g[0-9a-f]{{12}}", code_version())


def test_a_hook_of_another_repository_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, other = repository(tmp_path / "ours", OURS), repository(tmp_path / "other", '[project]\nname = "other"\n')
    expected = commit_of(ours)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert commit_of(ours) == expected is not None


def test_a_worktree_of_ours(tmp_path: Path) -> None:
    ours = repository(tmp_path / "ours", OURS)
    git(ours, "worktree", "add", "-q", str(tmp_path / "second"))
    assert commit_of(tmp_path / "second") == commit_of(ours) is not None


@pytest.mark.parametrize("project", [None, '[project]\nname = "theirs"\n', "no TOML ="])
def test_a_repository_of_somebody_else(project: str | None, tmp_path: Path) -> None:
    assert said_by(repository(tmp_path / "theirs", project) / "tasks" / "version.py") == version("routecal")


@pytest.mark.parametrize("inside", [".venv/lib/python3.11/site-packages", "vendor/routecal"])
@pytest.mark.parametrize("with_project", [False, True])
def test_installed_inside_a_repository_of_somebody_else(inside: str, with_project: bool, tmp_path: Path) -> None:
    """A wheel in a virtual environment, and our sources copied without their history."""
    folder = repository(tmp_path / "theirs", OURS) / inside
    (folder / "tasks").mkdir(parents=True)
    shutil.copy(ROOT / "tasks" / "version.py", folder / "tasks")
    if with_project:
        (folder / "pyproject.toml").write_text(OURS)
    assert said_by(folder / "tasks" / "version.py") == version("routecal")


def test_no_repository_and_no_commit_yet(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(OURS)
    assert commit_of(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert commit_of(tmp_path) is None
