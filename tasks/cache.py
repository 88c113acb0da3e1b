"""What decides whether a finished step is reused: its inputs, a version or the code it stands on, and what it made.

The code is the text of the step's modules and of whatever they import of `calib` and `storage`.
"""

import ast
import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import INPUTS, CachePolicy
from prefect.context import TaskRunContext
from pydantic import BaseModel

from routecal.calib.errors import UnknownName
from routecal.storage.artifact import Artifact
from routecal.storage.remote import is_there
from routecal.tasks.remote_steps import remote_body

# Imports are followed into these: what is imported there is used. A module of tasks imports for all of its steps, and
# counts with its own text alone.
FOLLOWED = ("routecal.calib", "routecal.storage")
# Sentences; no result depends on them.
NO_EFFECT = (
    "routecal.calib.errors",
    "routecal.calib.decision_errors",
    "routecal.calib.checkpoint_errors",
    "routecal.storage.errors",
    "routecal.storage.input_errors",
    "routecal.storage.store_errors",
    "routecal.storage.ledger.ledger_errors",
)

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class WhileItStands(CachePolicy):
    """Reuse by another policy, but only while every artifact of the result is there; else the step is done again.

    A result whose artifact somebody deleted stays where it is, and the new one gets the next name: two runs that find
    the gap at once do not take each other's results away.

    Attributes:
        policy: the other one.
        holds: whether a result can be reused; None asks for its artifacts alone.
    """

    policy: CachePolicy = field(default_factory=lambda: INPUTS)
    holds: Callable[[object], bool] | None = None

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **more: Any
    ) -> str | None:
        """The first of the names `key`, `key-1` … under which nothing is stored, or a result that stands."""
        key = self.policy.compute_key(task_ctx, inputs, flow_parameters, **more)
        if key is None or task_ctx is None or task_ctx.result_store is None:
            return key
        names = (key if n == 0 else f"{key}-{n}" for n in itertools.count())
        return next(name for name in names if _is_free_or_stands(task_ctx, name, self.holds))


def _is_free_or_stands(context: TaskRunContext, name: str, holds: Callable[[object], bool] | None) -> bool:
    if not context.result_store.exists(name):
        return True
    try:
        result = context.result_store.read(name).result
    # A file that was cut short by a crash: Prefect takes it for a miss and writes it anew.
    except Exception:
        return True
    return stands(result) and (holds is None or holds(result))


def stands(result: object) -> bool:
    """Every artifact that a result refers to is there."""
    if isinstance(result, Artifact):
        return is_there(result.uri)
    if isinstance(result, BaseModel):
        return stands(dict(result))
    if isinstance(result, Mapping):
        return all(map(stands, result.values()))
    return not isinstance(result, list | tuple) or all(map(stands, result))


def cache_on(own: str, *modules: str) -> CachePolicy:
    """Reuse until an input changes, or the text of one of `modules` or of what they import of `calib` and `storage`.

    Args:
        own: `__name__` of the step's module.
        modules: other modules that have a part in the numbers, as `calib.metrics`; a package counts with everything in
            it.

    Raises:
        UnknownName: there is no such module.
    """
    texts = hashlib.sha256()
    for file in sorted(files_of(own, *(f"routecal.{module}" for module in modules))):
        texts.update(file.read_bytes())
    version = texts.hexdigest()[:16]

    def code_version(_context: object, _inputs: object) -> str:
        return version

    return WhileItStands(policy=INPUTS + CachePolicy.from_cache_key_fn(code_version))


def step(
    name: str, run_name: str, *, on: Sequence[str] | CachePolicy | None, stays: bool = False
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task whose result is stored, and reused while its inputs stay as they are, and its code or its `version`.

    Args:
        name: of the task.
        run_name: of its runs, with its arguments in braces.
        on: modules beside its own that have a part in the numbers, see `cache_on`. None for slow or paid steps: they
            take an explicit `version` argument, as an edited comment must not buy them again. Or a policy of its own.
        stays: no engine may run it on another machine, see `tasks.remote_steps`.
    """

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        if isinstance(on, CachePolicy):
            policy = on
        else:
            policy = WhileItStands(policy=INPUTS) if on is None else cache_on(function.__module__, *on)
        # Results are JSON and always stored, or Retry would run finished tasks again.
        options = task(
            name=name, task_run_name=run_name, cache_policy=policy, persist_result=True, result_serializer="json"
        )
        return options(function if stays else remote_body(name, function))

    return decorate


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
