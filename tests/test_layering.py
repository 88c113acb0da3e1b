"""flows -> tasks -> {calib, storage}, and the two at the bottom know nothing of each other."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MAY_NOT = {
    "calib": {"prefect", "duckdb", "pyarrow", "google", "storage", "tasks", "flows"},
    "storage": {"prefect", "torch", "transformers", "calib", "tasks", "flows"},
    "tasks": {"flows"},
    "flows": {"torch", "duckdb", "pyarrow", "transformers"},
}
# The rooms of calib that may import each of these.
ONLY_IN = {"transformers": {"router"}, "matplotlib": {"plots"}, "safetensors": {"head", "outcome", "router"}}


def imports(file: Path) -> Iterator[str]:
    """First part of every module name that the file imports, at any depth; of our own the layer."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (_layer(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: relative imports hide the layer"
            yield from (_layer(f"{node.module}.{alias.name}") for alias in node.names)


def _layer(name: str) -> str:
    return name.removeprefix("routecal.").split(".")[0]


@pytest.mark.parametrize("package", MAY_NOT)
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    assert not {f"{f.relative_to(ROOT)}: {m}" for f in files for m in imports(f) if m in MAY_NOT[package]}


@pytest.mark.parametrize("module", ["folder_digest", "plain_text", "root_error"])
def test_what_every_layer_imports_imports_none_of_them(module: str) -> None:
    assert set(imports(ROOT / "routecal" / f"{module}.py")) <= {*sys.stdlib_module_names, "plain_text"}


@pytest.mark.parametrize("module", ONLY_IN)
def test_heavy_libraries_enter_calib_by_one_door(module: str) -> None:
    calib = ROOT / "calib"
    found = {f.relative_to(calib).parts[0].removesuffix(".py") for f in calib.rglob("*.py") if module in imports(f)}
    assert found == ONLY_IN[module]


ROOMS = (*MAY_NOT, "deployments")


@cache
def _modules() -> dict[str, Path]:
    """Every module of the product by its dotted name below routecal; a package is its `__init__`."""
    files = [f for room in ROOMS for f in (ROOT / room).rglob("*.py")]
    return {".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): f for f in files}


@cache
def _imported(file: Path) -> frozenset[str]:
    """The modules of the product that a file imports, wherever in it but for type checkers alone."""

    def walk(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            yield from walk(child)

    def module(name: str) -> str:
        return name if not name or name in _modules() else module(name.rpartition(".")[0])

    names = (name.removeprefix("routecal.") for name in walk(ast.parse(file.read_text(encoding="utf-8"))))
    return frozenset(filter(None, map(module, names)))


def _arrows(package: str) -> dict[str, set[str]]:
    """Child of the package -> the others that it imports; the children of "" are the rooms."""
    depth = package.count(".") + 1 if package else 0
    inside = f"{package}." if package else ""
    found: dict[str, set[str]] = {}
    for module, file in _modules().items():
        if module.startswith(inside):
            child = module.split(".")[depth]
            others = {other.split(".")[depth] for other in _imported(file) if other.startswith(inside)}
            found.setdefault(child, set()).update(others - {child})
    return found


PACKAGES = sorted({"", *(name for name, file in _modules().items() if file.name == "__init__.py")})


@pytest.mark.parametrize("package", PACKAGES, ids=lambda name: name or "routecal")
def test_no_room_has_a_circle_of_imports(package: str) -> None:
    """Neither between its children, whatever lies in them, nor from one of them back to the room itself."""
    back = [name for name, file in _modules().items() if name.startswith(f"{package}.") and package in _imported(file)]
    assert not back
    try:
        TopologicalSorter(_arrows(package)).prepare()
    except CycleError as circle:
        pytest.fail(f"{package or 'routecal'}: {' <- '.join(circle.args[1])}")


def test_the_root_holds_only_the_agreed_folders() -> None:
    agreed = {"calib", "deployments", "flows", "routecal", "storage", "tasks", "tests"}
    tracked = {p.name for p in ROOT.iterdir() if p.is_dir() and (p / "__init__.py").exists()} | {"tests"}
    assert tracked <= agreed


def test_no_room_without_a_name() -> None:
    vague = {"utils", "common", "helpers", "base", "misc"}
    names = {f.stem for package in MAY_NOT for f in (ROOT / package).rglob("*.py")}
    assert not names & vague


# What runs code that a file brings with it; arrays of NumPy do so only when asked to.
UNPICKLING = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
CALLS = ("torch.load", "torch.save", "torch.jit.load", ".read_pickle", ".to_pickle")
# Switchyard reads no other format. What is written holds plain values and tensors, which open with weights_only.
WRITES = {("calib/switchyard.py", "torch.save")}


@pytest.mark.parametrize("package", [*MAY_NOT, "deployments"])
def test_nothing_is_pickled(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    assert not {f"{f.relative_to(ROOT)}: {m}" for f in files for m in imports(f) if m in UNPICKLING}
    calls = [(f, c) for f in files for c in ast.walk(ast.parse(f.read_text("utf-8"))) if isinstance(c, ast.Call)]
    assert calls
    found = {(str(f.relative_to(ROOT)), ast.unparse(c.func)) for f, c in calls}
    assert not {(file, name) for file, name in found if name.endswith(CALLS)} - WRITES
    assert not {
        f"{f.relative_to(ROOT)}: {ast.unparse(c)}" for f, c in calls for k in c.keywords if "pickle" in str(k.arg)
    }
