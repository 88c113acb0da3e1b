"""The text that a step's result depends on: its modules, and whatever they import of `calib` and `storage`."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from routecal.calib.errors import UnknownName

# Imports are followed into these: what is imported there is used. A module of tasks imports for all of its steps, and
# counts with its own text alone.
FOLLOWED = ("routecal.calib", "routecal.storage")
# Sentences; no result depends on them.
NO_EFFECT = (
    "routecal.calib.errors",
    "routecal.calib.checkpoint_errors",
    "routecal.storage.errors",
    "routecal.storage.input_errors",
    "routecal.storage.ledger.ledger_errors",
)


def digest_code(*modules: str) -> str:
    """A digest of the text of these modules and of what they import, 16 hexadecimal digits.

    Args:
        modules: dotted names; a package counts with everything in it.

    Raises:
        UnknownName: there is no such module.
    """
    texts = hashlib.sha256()
    for file in sorted(files_of(*modules)):
        texts.update(file.read_bytes())
    return texts.hexdigest()[:16]


def files_of(*modules: str) -> set[Path]:
    """The files whose text counts."""
    found: set[Path] = set()
    new = {file for module in modules for file in _files(module)}
    while new:
        found |= new
        imported = {name for file in new if _is_followed(file) for name in _imports(file)}
        new = {file for file in map(_file, imported) if file} - found
    return found


def _files(module: str) -> list[Path]:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise UnknownName("module", module, ())
    if spec.submodule_search_locations:
        return [file for folder in spec.submodule_search_locations for file in Path(folder).rglob("*.py")]
    return [Path(spec.origin)]


@cache
def _roots() -> dict[str, Path]:
    return {name: Path(spec.origin).parent for name in FOLLOWED if (spec := find_spec(name)) and spec.origin}


def _is_followed(file: Path) -> bool:
    return any(root in file.parents for root in _roots().values())


@cache
def _imports(file: Path) -> tuple[str, ...]:
    """Dotted names of the modules that a file imports."""
    return tuple(_names(ast.parse(file.read_bytes())))


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        for alias in node.names:
            submodule = f"{node.module}.{alias.name}"
            yield submodule if _file(submodule) else node.module
    # What only a type checker imports changes no result.
    elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
        for child in ast.iter_child_nodes(node):
            yield from _names(child)


def _file(name: str) -> Path | None:
    """The file of a module of the followed packages; None for anything else."""
    top, package, *parts = (*name.split("."), "", "")
    root = _roots().get(f"{top}.{package}")
    if root is None or name in NO_EFFECT:
        return None
    path = root.joinpath(*filter(None, parts))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)
