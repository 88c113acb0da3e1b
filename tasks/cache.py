"""What decides whether a finished step is reused: its inputs, a version or the code it stands on, and what it made."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

from prefect.cache_policies import INPUTS, CachePolicy
from prefect.context import TaskRunContext
from pydantic import BaseModel

from routecal.storage.artifact import Artifact
from routecal.storage.atomic import resolve
from routecal.tasks.code_digest import digest_code


class TaskOptions(TypedDict):
    """Options of Prefect's `task` that every task here shares."""

    persist_result: bool
    result_serializer: str


# Results are JSON and always stored, or Retry would run finished tasks again.
STORED: Final[TaskOptions] = {"persist_result": True, "result_serializer": "json"}


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
        fs, path = resolve(result.uri)
        return bool(fs.exists(path))
    if isinstance(result, BaseModel):
        return stands(dict(result))
    if isinstance(result, Mapping):
        return all(map(stands, result.values()))
    return not isinstance(result, list | tuple) or all(map(stands, result))


# Of slow or paid steps, with an explicit `version` argument: an edited comment must not buy them again.
ON_INPUTS = WhileItStands(policy=INPUTS)


def cache_on(own: str, *modules: str) -> CachePolicy:
    """Reuse until an input changes, or the text of one of `modules` or of what they import of `calib` and `storage`.

    For steps that are cheap to redo. Slow or paid ones take ON_INPUTS with an explicit `version` argument instead.

    Args:
        own: `__name__` of the step's module.
        modules: other modules that have a part in the numbers, as `calib.metrics`; a package counts with everything in
            it.
    """
    version = digest_code(own, *(f"routecal.{module}" for module in modules))

    def code_version(_context: object, _inputs: object) -> str:
        return version

    return WhileItStands(policy=INPUTS + CachePolicy.from_cache_key_fn(code_version))
