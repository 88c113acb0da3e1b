"""flows -> tasks -> {calib, storage}, and the two at the bottom know nothing of each other."""

import ast
from collections.abc import Iterator
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
ONLY_IN = {"transformers": {"router"}, "matplotlib": {"plots"}, "safetensors": {"head", "router"}}


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


@pytest.mark.parametrize("module", ONLY_IN)
def test_heavy_libraries_enter_calib_by_one_door(module: str) -> None:
    calib = ROOT / "calib"
    found = {f.relative_to(calib).parts[0].removesuffix(".py") for f in calib.rglob("*.py") if module in imports(f)}
    assert found == ONLY_IN[module]


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


@pytest.mark.parametrize("package", [*MAY_NOT, "deployments"])
def test_nothing_is_pickled(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    assert not {f"{f.relative_to(ROOT)}: {m}" for f in files for m in imports(f) if m in UNPICKLING}
    calls = [(f, c) for f in files for c in ast.walk(ast.parse(f.read_text("utf-8"))) if isinstance(c, ast.Call)]
    assert calls
    assert not {f"{f.relative_to(ROOT)}: {ast.unparse(c)}" for f, c in calls if ast.unparse(c.func).endswith(CALLS)}
    assert not {
        f"{f.relative_to(ROOT)}: {ast.unparse(c)}" for f, c in calls for k in c.keywords if "pickle" in str(k.arg)
    }
