"""The oracles by kind."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def _of(module: str) -> Callable[..., Any]:
    """`label` of a module that is imported when it is first used."""

    def label(*arguments: Any) -> Any:
        return import_module(f"routecal.tasks.oracle.{module}").label(*arguments)

    return label


# kind of an oracle -> (queries, oracle, matrix[, runner]) -> labels of one shard
ORACLES = {
    "gemini": _of("api_oracle"),
    "openai": _of("api_oracle"),
    "local": _of("local_oracle"),
    "replay": _of("replay_oracle"),
}
