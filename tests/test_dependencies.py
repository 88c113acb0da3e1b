"""What the product imports is what pyproject.toml declares: nothing is there only because something else brings it."""

import ast
import re
import sys
import tomllib
from importlib import metadata

import pytest

from tests.test_layering import ROOT

OURS = {"calib", "deployments", "flows", "routecal", "storage", "tasks"}
DISTRIBUTIONS = metadata.packages_distributions()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def declared(*extras: str) -> set[str]:
    """Names of the distributions that an installation with these extras asks for."""
    lists = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in extras)]
    return {_plain(re.split(r"[\[<>=!~; ]", line)[0]) for lines in lists for line in lines}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(package: str) -> dict[str, set[str]]:
    """By the name of a module that is neither ours nor Python's: the files that import it."""
    found: dict[str, set[str]] = {}
    for file in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                found.setdefault(name, set()).add(str(file.relative_to(ROOT)))
    return {name: files for name, files in found.items() if name.split(".")[0] not in OURS | sys.stdlib_module_names}


def brought_by(module: str) -> set[str]:
    """Distributions that hold the module; several share the name `google`, and are called by the part after it."""
    first, second, *_ = (*module.split("."), "")
    return {f"google-{second}"} if first == "google" else {_plain(d) for d in DISTRIBUTIONS.get(first, ())}


@pytest.mark.parametrize("package", sorted(OURS - {"routecal"}))
def test_what_is_imported_is_declared(package: str) -> None:
    known = declared("demo", "openai", "postgres")
    modules = imported(package)
    assert modules
    assert not {name: files for name, files in modules.items() if not brought_by(name) & known}
