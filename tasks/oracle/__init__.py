"""Oracles: what finds a query's true policy."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def _of(module: str) -> Callable[..., Any]:
    """`label` of a module that is imported when it is first used: torch and SDKs are heavy, and a run needs one."""

    def label(*arguments: Any) -> Any:
        return import_module(module).label(*arguments)

    return label


# name -> (queries, spec, matrix[, desk]) -> labels
ORACLES = {
    "gemini": _of("routecal.tasks.oracle.api_oracle"),
    "openai": _of("routecal.tasks.oracle.api_oracle"),
    "local": _of("routecal.tasks.oracle.local_oracle"),
    "replay": _of("routecal.tasks.oracle.replay_oracle"),
}
