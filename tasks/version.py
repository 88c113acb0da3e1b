"""Which code a result was made by."""

import os
import subprocess
import tomllib
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

NAME = "routecal"
# Says the commit where there is no checkout: set by whoever builds an image of one.
COMMIT = "ROUTECAL_COMMIT"


@lru_cache(maxsize=1)
def code_version() -> str:
    """The installed version and, of a checkout of this project, its commit: `0.1.0+g1f0c…`."""
    return version(NAME) + (f"+g{found}" if (found := commit()) else "")


def commit() -> str | None:
    """Of the checkout that this code lies in, or that its image was built of; None where nobody knows."""
    return commit_of(Path(__file__).resolve().parents[1]) or os.environ.get(COMMIT) or None


def commit_of(root: Path) -> str | None:
    """The commit of a checkout of this project, 12 digits; None where `root` is none.

    An installed package may lie inside the repository of somebody else (a virtual environment in a project's folder),
    whose commits say nothing about this code: the repository has to begin at `root` and to hold our pyproject.toml.

    Args:
        root: the folder that holds `tasks`.
    """
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
        if project.get("name") != NAME:
            return None
        top, commit = (_git(root, "rev-parse", *what) for what in (["--show-toplevel"], ["--short=12", "HEAD"]))
    # No git, no repository, no commit yet, one of another user, or a file that is no TOML.
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None
    return commit if Path(top).resolve() == root.resolve() else None


def _git(folder: Path, *arguments: str) -> str:
    # Inside a hook of git its variables name another repository.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True).stdout.strip()
