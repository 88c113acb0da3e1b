"""What the product imports is what pyproject.toml declares, and in the extra that it declares it for."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from tests.test_layering import ROOT

OURS = {"calib", "deployments", "flows", "routecal", "storage", "tasks"}
DISTRIBUTIONS = metadata.packages_distributions()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


EXTRAS = PROJECT["optional-dependencies"]
# What each layer may import. Parts of `tasks` are imported only where a provider, the demo or the plots ask for them,
# and engines where --on does.
NEEDS = {
    "calib": ("pipeline",),
    "routecal": (),
    "storage": ("pipeline", "postgres"),
    "tasks": ("pipeline", "demo", "gemini", "openai"),
    "flows": ("pipeline", "dask", "ray"),
    "deployments": ("serve", "modal", "router"),
}
# Files that are imported once their extra was seen to be there; and the plots, which only reports import.
LATER = {"calib/plots": ("pipeline",), "tasks/oracle/providers/openai": ("openai",)}


def declared(*extras: str) -> set[str]:
    """Names of the distributions that an installation with these extras asks for."""
    names: set[str] = set()
    for line in [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]:
        if builds_on := re.match(r"routecal\[(.+)\]$", line):
            names |= declared(*builds_on[1].split(","))
        else:
            names.add(_plain(re.split(r"[\[<>=!~; ]", line)[0]))
    return names


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(package: str, *, at_once: bool = False) -> dict[str, set[str]]:
    """By the name of a module that is neither ours nor Python's: the files that import it.

    Args:
        package: a folder.
        at_once: leave out what is imported inside a function, or for types alone.
    """
    found: dict[str, set[str]] = {}
    for file in (ROOT / package).rglob("*.py"):
        for node in _at_once(_tree(file)) if at_once else ast.walk(_tree(file)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                found.setdefault(name, set()).add(str(file.relative_to(ROOT)))
    return {name: files for name, files in found.items() if name.split(".")[0] not in OURS | sys.stdlib_module_names}


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _at_once(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _at_once(child)


def brought_by(module: str) -> set[str]:
    """Distributions that hold the module; several share the name `google`, and are called by the part after it."""
    first, second, *_ = (*module.split("."), "")
    if first == "pydantic_core":  # pydantic allows one version of it
        return {"pydantic"}
    return {f"google-{second}"} if first == "google" else {_plain(d) for d in DISTRIBUTIONS.get(first, ())}


@pytest.mark.parametrize("package", NEEDS)
def test_what_is_imported_is_declared(package: str) -> None:
    modules, known = imported(package), declared(*NEEDS[package])
    assert modules or package == "routecal"
    assert not {name: files for name, files in modules.items() if not brought_by(name) & known}


@pytest.mark.parametrize(
    ("package", "extras"),
    [("calib", ()), ("storage", ("pipeline",)), ("tasks", ("pipeline",)), ("flows", ("pipeline",))],
)
def test_what_is_imported_at_once_needs_no_further_extra(package: str, extras: tuple[str, ...]) -> None:
    for name, files in imported(package, at_once=True).items():
        for file in files:
            more = next((later for start, later in LATER.items() if file.startswith(start)), ())
            assert brought_by(name) & declared(*extras, *more), f"{file} imports {name}"


def test_every_layer_of_the_product_is_looked_at() -> None:
    assert NEEDS.keys() == OURS


# For users, that is; what development needs is pinned in constraints.txt.
@pytest.mark.parametrize(
    "line",
    [*PROJECT["dependencies"], *(line for extra in sorted(EXTRAS.keys() - {"dev", "docs"}) for line in EXTRAS[extra])],
)
def test_every_dependency_has_a_lowest_version_for_make_floors(line: str) -> None:
    assert re.search(r"[>=]=\d", line) or re.fullmatch(r"routecal\[[a-z0-9,]+\]", line)


def test_all_is_all_that_the_product_can_do_but_two_object_stores() -> None:
    assert declared("all") == declared(*(EXTRAS.keys() - {"all", "dev", "docs", "gcs", "azure"}))
